"""An interpreter that sees lem, what was brought along, and this Python's own packages.

Agents of the process launcher get no PYTHONPATH, so a checkout that is not installed has to be made
visible in another way: a virtual environment whose one .pth file names the folders.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path


def unpack(wheels: Path, folder: Path) -> None:
    """Make the packages that were brought along importable, here and in what is started from here.
    They are unpacked, not installed."""
    found = sorted(wheels.glob("*.whl"))
    for wheel in found:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    if found:
        show(folder)


def show(folder: Path) -> None:
    """Let this process and what it starts import from ``folder``."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(folder) + (os.pathsep + others if others else "")


def make(folder: Path, checkout: Path) -> Path:
    """The environment's Python. Nothing is fetched."""
    from lem.errors import EnvironmentFault

    result = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if result.returncode != 0:
        raise EnvironmentFault(
            f"no virtual environment can be made: {result.stderr.strip()[-500:]}",
            "install Python's venv module (Debian: python3-venv)",
        )
    python = folder / "bin/python"
    lines = [str(checkout)]
    # addsitedir also reads the .pth files there (editable installs), a bare line would not.
    lines += [f"import site; site.addsitedir({folder!r})" for folder in _own_folders()]
    (_site_packages(folder) / "gpu_check.pth").write_text("\n".join(lines) + "\n")
    return python


def _own_folders() -> list[str]:
    """Where this interpreter finds installed packages, those of PYTHONPATH included."""
    named = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    installed = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    absolute = [str(Path(p).resolve()) for p in [*named, *installed] if Path(p).is_dir()]
    return list(dict.fromkeys(absolute))


def _site_packages(folder: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return folder / "lib" / version / "site-packages"
