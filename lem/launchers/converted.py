"""Engine images in other forms, for launchers that have no engine with images of its own.

From a Docker archive (a file), from this machine's Docker, or from a registry; converted once, and
kept in the cache by the image's id. On a cluster the cache is where every node sees it.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lem import containers
from lem.containers import Image
from lem.contract.base import write_atomic
from lem.errors import BadInput, EnvironmentFault
from lem.launchers import flatten, image, registry
from lem.launchers.protocol import BackendSetup, Say

FACTS = "image.json"
DIGITS = 24
ARCHIVES = (".tar", ".gz", ".tgz")


@dataclass(frozen=True)
class Form:
    """What an image is turned into."""

    name: str
    """Of its folder in the cache."""
    make: Callable[[flatten.Archive, Path], None]
    """Turns an archive into something in an empty folder."""


@dataclass(frozen=True)
class Converted:
    id: str
    folder: Path
    """What the form has made, in it."""
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    """The image's own."""


def converted(setup: BackendSetup, form: Form, cache: Path, say: Say) -> Converted:
    """A backend's image, converted where it is not there yet.

    Raises :class:`EnvironmentFault` or :class:`BadInput` with the fix.
    """
    named = setup.image
    if named is not None and Path(named).suffix in ARCHIVES:
        found = from_archive(Path(named).expanduser(), form, cache, say)
    else:
        found = _from_engine(setup, form, cache, say)
    facts = Image(found.id, found.id, (), dict(found.labels), 0, "")
    image.check(facts, named or f"lem/{setup.name}", setup.name)
    return found


def of_id(image_id: str, form: Form, cache: Path) -> Converted:
    """The converted image of that id. Raises :class:`EnvironmentFault` where there is none."""
    found = _kept(image_id, form, cache)
    if found is None:
        raise EnvironmentFault(
            f"the image {image_id[:19]} is not in the cache {cache}",
            hint="stage the campaign again: lem campaign stage FILE",
            kind="image",
        )
    return found


def from_archive(path: Path, form: Form, cache: Path, say: Say) -> Converted:
    """The only image of a Docker archive."""
    if not path.is_file():
        raise BadInput(f"image {path}: there is no such file")
    archive = flatten.read(path)
    if (there := _kept(archive.id, form, cache)) is not None:
        return there
    say(f"converting {path.name} (once)")
    folder = _place(archive.id, form, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converting-") as name:
        aside = Path(name) / "image"
        aside.mkdir()
        form.make(archive, aside)
        facts = {"labels": archive.labels, "environment": archive.environment}
        write_atomic(aside / FACTS, json.dumps(facts, indent=1).encode())
        try:
            aside.rename(folder)
        except OSError:
            # Another process was faster.
            if _kept(archive.id, form, cache) is None:
                raise
    return of_id(archive.id, form, cache)


def _from_engine(setup: BackendSetup, form: Form, cache: Path, say: Say) -> Converted:
    """Of this machine's Docker; where there is none, of a registry."""
    variant: image.Variant = "cuda" if setup.gpu else "cpu"
    try:
        with containers.connect() as engine:
            if setup.image is None:
                found = image.ensure(engine, setup.name, variant, setup.base_image, say)
            else:
                found = engine.image(setup.image) or engine.pull(setup.image, say)
            if (there := _kept(found.id, form, cache)) is not None:
                return there
            with _aside(form, cache) as place:
                saved = place / f"{setup.name}.tar"
                engine.save(found.id, saved)
                return from_archive(saved, form, cache, say)
    except EnvironmentFault as e:
        if e.kind != "unsupported":
            raise
        if setup.image is not None and registry.available():
            with _aside(form, cache) as place:
                saved = place / f"{setup.name}.tar"
                registry.fetch(setup.image, saved, say)
                return from_archive(saved, form, cache, say)
        how = (
            f"on a machine with Docker: lem images save {setup.name} --out {setup.name}.tar; "
            f"bring the file here and name it: backends.{setup.name}.image: ./{setup.name}.tar"
        )
        if setup.image is None:
            what = f"there is no image for {setup.name} here, and no Docker to build it"
        else:
            what = f"there is neither Docker nor skopeo here to fetch {setup.image}"
            how = f"install skopeo; or {how}"
        raise EnvironmentFault(what, hint=how, kind="image") from e


@contextmanager
def _aside(form: Form, cache: Path) -> Iterator[Path]:
    """A folder for an archive that is only on its way."""
    folder = cache / form.name
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as name:
        yield Path(name)


def _kept(image_id: str, form: Form, cache: Path) -> Converted | None:
    folder = _place(image_id, form, cache)
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return Converted(image_id, folder, facts["labels"], facts["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def kept(form: str, cache: Path) -> list[str]:
    """What images of a form are there: the engines in them, with their versions."""
    found = set()
    for path in (cache / form).glob(f"*/{FACTS}"):
        try:
            labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
            found.add(f"{labels[image.BACKEND]} {labels.get(image.ENGINE_VERSION, 'unknown')}")
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found)


def _place(image_id: str, form: Form, cache: Path) -> Path:
    digest = image_id.rpartition(":")[2]
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise BadInput(f"{image_id!r} is no image's id")
    return cache / form.name / digest[:DIGITS]
