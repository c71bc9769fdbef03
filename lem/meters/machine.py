"""What a machine's owner says of its power meters: one TOML file, the same for every campaign.

A wall meter belongs to the machine, not to a campaign: a campaign stays the same wherever it runs,
and somebody else's campaign cannot bring a command with it. Looked for at ``$LEM_METERS``, else
``~/.config/lem/meters.toml`` (``$XDG_CONFIG_HOME``).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lem.errors import BadInput, Problem

UNITS = {
    # quantity and what one unit is in W or J
    "uW": ("power", 1e-6), "mW": ("power", 1e-3), "W": ("power", 1.0), "kW": ("power", 1e3),
    "uJ": ("energy", 1e-6), "mJ": ("energy", 1e-3), "J": ("energy", 1.0), "kJ": ("energy", 1e3),
    "mWh": ("energy", 3.6), "Wh": ("energy", 3.6e3), "kWh": ("energy", 3.6e6),
}  # fmt: skip

CLASSES = ("node", "gpu", "cpu", "dram", "module", "sensor")

_KEYS = {
    "name", "command", "url", "query", "field", "unit", "class", "period_s", "timeout_s",
    "uncertainty", "description",
}  # fmt: skip
_DEPENDS = "command must be a name on the PATH or an absolute path"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", re.ASCII)


def path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the file is looked for."""
    if named := environ.get("LEM_METERS"):
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(base) / "lem" / "meters.toml"


def settings(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """``external`` and ``ipmi`` as :class:`lem.meters.protocol.MeterSettings` takes them; empty
    where there is no file. Raises :class:`BadInput` with everything that is wrong in it."""
    import tomllib  # not for the sampler, which knows this module's units only

    file = path(environ)
    try:
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        if environ.get("LEM_METERS"):
            raise BadInput([Problem("does not exist (LEM_METERS)", file=str(file))]) from None
        return {}
    except (OSError, UnicodeDecodeError) as e:
        raise BadInput([Problem(f"cannot be read: {e}", file=str(file))]) from e
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadInput([Problem(f"is not TOML: {e}", file=str(file))]) from e
    return checked(data, str(file))


def checked(data: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The file's contents with defaults filled in. Raises :class:`BadInput`."""
    problems = [f"unknown key '{k}'" for k in data if k not in ("external", "ipmi")]
    raw = data.get("external", [])
    external: list[dict[str, Any]] = []
    if not isinstance(raw, list):
        problems.append("external must be written as [[external]]")
        raw = []
    for i, one in enumerate(raw):
        found, wrong = _external(one)
        problems += [f"external[{i}]: {w}" for w in wrong]
        external.append(found)
    names = [e.get("name") for e in external]
    if len(set(names)) < len(names):
        problems.append("two external meters have the same name")
    ipmi = data.get("ipmi", {})
    command = ipmi.get("command") if isinstance(ipmi, dict) else None
    if not isinstance(ipmi, dict) or set(ipmi) - {"command"}:
        problems.append("ipmi takes only command")
    if command is not None and not _arguments(command):
        problems.append("ipmi.command must be a list of words")
    elif command is not None and _depends(command):
        problems.append(f"ipmi.{_DEPENDS}")
    if problems:
        raise BadInput([Problem(p, file=file) for p in problems])
    found_settings: dict[str, Any] = {}
    if external:
        found_settings["external"] = tuple(external)
    if command is not None:
        found_settings["ipmi"] = tuple(command)
    return found_settings


def _external(one: Any) -> tuple[dict[str, Any], list[str]]:
    """One meter with its defaults, and what is wrong with it."""
    if not isinstance(one, dict):
        return {}, ["must be a table"]
    wrong = [f"unknown key '{k}'" for k in one if k not in _KEYS]
    name = one.get("name", "wall")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        wrong.append("name must be letters, digits, '.', '_' and '-', at most 40")
    if ("command" in one) == ("url" in one):
        wrong.append("needs either command (a list of words) or url")
    if "command" in one and not _arguments(one["command"]):
        wrong.append('command must be a list of words, such as ["pdu-read", "outlet3"]')
    elif "command" in one and _depends(one["command"]):
        wrong.append(_DEPENDS)
    url = one.get("url")
    if url is not None and not (isinstance(url, str) and re.match(r"https?://[^\s/]", url)):
        wrong.append("url must begin with http:// or https://")
    for key in ("query", "field", "description"):
        if key in one and not (isinstance(one[key], str) and one[key]):
            wrong.append(f"{key} must be text")
    if "query" in one and (url is None or "field" in one):
        wrong.append("query goes with url (a Prometheus server's), and without field")
    unit = one.get("unit")
    if unit not in UNITS:
        wrong.append(f"unit must be one of {', '.join(UNITS)}")
    device_class = one.get("class", "node")
    if device_class not in CLASSES:
        wrong.append(f"class must be one of {', '.join(CLASSES)}")
    period_s = one.get("period_s", 1.0)
    timeout_s = one.get("timeout_s", 2.0)
    for key, value, low, high in (
        ("period_s", period_s, 0.1, 60.0),
        ("timeout_s", timeout_s, 0.1, 30.0),
        ("uncertainty", one.get("uncertainty", 0.01), 1e-6, 10.0),
    ):
        if not _number(value) or not low <= value <= high:
            wrong.append(f"{key} must be a number from {low:g} to {high:g}")
    found = {
        "name": name,
        "unit": unit,
        "class": device_class,
        "period_s": period_s,
        "timeout_s": timeout_s,
        "uncertainty": one.get("uncertainty"),
        "description": one.get("description", "power meter outside the machine"),
    }
    found |= {k: one[k] for k in ("command", "url", "query", "field") if k in one}
    return found, wrong


def _arguments(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= 100
        and all(isinstance(v, str) and v and "\0" not in v for v in value)
    )


def _depends(command: list[str]) -> bool:
    """Whether what it runs depends on the current folder, which may be anybody's."""
    return "/" in command[0] and not command[0].startswith("/")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
