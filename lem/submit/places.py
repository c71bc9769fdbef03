"""Where this machine keeps its key, what it knows of archives, and what is still to be sent."""

import os
from collections.abc import Mapping
from pathlib import Path


def config_folder(environ: Mapping[str, str] | None = None) -> Path:
    """``$XDG_CONFIG_HOME/lem`` or ``~/.config/lem``."""
    return _below("XDG_CONFIG_HOME", ".config", environ)


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """``$XDG_STATE_HOME/lem`` or ``~/.local/state/lem``."""
    return _below("XDG_STATE_HOME", ".local/state", environ)


def _below(variable: str, otherwise: str, environ: Mapping[str, str] | None) -> Path:
    base = (os.environ if environ is None else environ).get(variable, "")
    # The specification has relative paths ignored.
    return (Path(base) if base.startswith("/") else Path.home() / otherwise) / "lem"
