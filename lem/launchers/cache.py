"""Where prepared models, images and downloads are kept between campaigns."""

import os
from pathlib import Path


def cache_root() -> Path:
    """``LEM_CACHE``, else ``lem`` in the user's folder for caches."""
    named = os.environ.get("LEM_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(named) if named else Path(base) / "lem"
