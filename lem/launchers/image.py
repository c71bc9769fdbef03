"""Engine images: what goes into one, what it is called, and whether it fits this lem."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import lem
from lem.containers import Engine, Image
from lem.contract.base import CONTRACT_VERSION, canonical_json
from lem.errors import BadInput, EnvironmentFault
from lem.launchers.wheel import agent_wheel

Say = Callable[[str], None]
Variant = Literal["cpu", "cuda"]

CONTRACT = "org.lem.contract"
BACKEND = "org.lem.backend"
LEM_VERSION = "org.lem.version"
ENGINE_VERSION = "org.lem.engine-version"
VARIANT = "org.lem.variant"
BASE = "org.lem.base"

HASH = 12
"""Digits of the sources' hash in a build's name."""
DEFAULT_BASE = "python:3.11-slim-bookworm"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
CONSTRAINTS = "constraints.txt"
OF_THE_AGENT = (
    "annotated-types",
    "nvidia-ml-py",
    "pydantic",
    "pydantic-core",
    "typing-extensions",
    "typing-inspection",
)
"""The distributions that the agent's wheel needs, those that these need included."""
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "default-timeout")


@dataclass(frozen=True)
class Recipe:
    """A build context that is ready to send, and its name.

    ``tag`` ends in a hash of everything that decides what the image will be, so a changed source
    gives a new name and an unchanged one is found again.
    """

    tag: str
    arguments: dict[str, str]
    proxies: dict[str, str]


def label_names() -> dict[str, str]:
    """What an image says of itself → the label that says it."""
    return {
        "backend": BACKEND,
        "contract": CONTRACT,
        "lem_version": LEM_VERSION,
        "engine_version": ENGINE_VERSION,
    }


def sources() -> Path:
    """The folder with one folder for each engine: the clone's, or the one in the package."""
    package = Path(lem.__file__).parent
    for folder in (package / "_images", package.parent / "images"):
        if folder.is_dir():
            return folder
    raise EnvironmentFault("lem's image sources are missing", hint="reinstall lem-energy")


def buildable() -> list[str]:
    """The backends that lem can build an image for."""
    return sorted(d.name for d in sources().iterdir() if (d / "Dockerfile").is_file())


def variants(backend: str) -> tuple[Variant, ...]:
    """What an image can be built for: that which its folder pins requirements for. Some engines
    run on GPUs only."""
    folder = sources() / backend
    every: tuple[Variant, ...] = ("cpu", "cuda")
    return tuple(v for v in every if requirements(folder, v).is_file())


def check_variant(backend: str, variant: Variant) -> None:
    """Refuse to build what there is not."""
    if backend in buildable() and variant not in variants(backend):
        raise EnvironmentFault(
            f"there is no {variant.upper()} variant of {backend}'s image: the engine's own image "
            f"is for {', '.join(v.upper() for v in variants(backend))} only",
            hint=f"lem images build {backend} on a machine whose Docker can give containers a GPU; "
            "with --variant cuda it is built here all the same, to be run elsewhere",
        )


def pinned_engine(backend: str) -> str | None:
    """The engine's version in the image that lem builds."""
    for variant in variants(backend):
        pins = pinned(requirements(sources() / backend, variant).read_text())
        return next(iter(pins.values()))
    return None


def write_context(
    folder: Path,
    backend: str,
    variant: Variant,
    base_image: str | None,
    environ: Mapping[str, str],
    pip: Mapping[str, str],
    say: Say,
) -> Recipe:
    """Fill ``folder`` with the build context of one image.

    ``pip`` is the host's own pip configuration (:func:`pip_configuration`).
    """
    if backend not in buildable():
        raise BadInput(
            f"lem has no image for the backend {backend!r}; there are: {', '.join(buildable())}",
            hint=f"name a ready image in the campaign file: backends.{backend}.image",
        )
    check_variant(backend, variant)
    source = sources() / backend
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.md"))
    name, wheel = agent_wheel()
    (folder / name).write_bytes(wheel)
    dockerfile = (folder / "Dockerfile").read_text()
    base = base_image or default_base(dockerfile, variant)
    # A base image that comes with its engine has the libraries that its owner chose.
    plain = base == default_base(dockerfile, None)
    (folder / CONSTRAINTS).write_text(constraints() if plain and not base_image else "")
    pins = pinned(requirements(folder, variant).read_text())
    wheels = folder / "wheels"
    wheels.mkdir()
    for path in local_wheels(_wheel_folders(environ, pip), pins, variant):
        _link_or_copy(path, wheels / path.name)
    arguments = {
        "BASE_IMAGE": base,
        "VARIANT": variant,
        "LEM_VERSION": lem.__version__,
        "LEM_CONTRACT": str(CONTRACT_VERSION),
        "ENGINE_VERSION": next(iter(pins.values())) or "unknown",
        **pip_arguments(pip, say),
    }
    content = _content_hash(folder, arguments)[:HASH]
    return Recipe(
        tag=f"lem/{backend}:{lem.__version__}-{variant}-{content}",
        arguments=arguments,
        proxies={k: environ[k] for k in PROXIES if environ.get(k)},
    )


def requirements(folder: Path, variant: Variant) -> Path:
    """The file that pins what goes into an image: ``requirements-VARIANT.txt`` where a variant
    differs from the others, else ``requirements.txt``."""
    own = folder / f"requirements-{variant}.txt"
    return own if own.is_file() else folder / "requirements.txt"


def default_base(dockerfile: str, variant: Variant | None) -> str:
    """The image that an engine's image is built on unless the campaign names another: the
    Dockerfile's ``ARG BASE_IMAGE_VARIANT=`` where it has one (``BASE_IMAGE_CUDA``), else its ``ARG
    BASE_IMAGE=``."""
    for name in (f"BASE_IMAGE_{(variant or '').upper()}", "BASE_IMAGE"):
        if found := re.search(rf"^ARG {name}=(\S+)$", dockerfile, re.MULTILINE):
            return found[1]
    return DEFAULT_BASE


def constraints() -> str:
    """The versions, for pip, of what the agent needs, as they are where lem runs, so that documents
    are read and checked by the same code inside and outside of a container."""
    lines = []
    for name in OF_THE_AGENT:
        with suppress(PackageNotFoundError):
            found = version(name)
            # A build of somebody's own is not to be had in an image.
            if re.fullmatch(r"[0-9]+(\.[0-9]+)*", found):
                lines.append(f"{name}=={found}\n")
    return "".join(lines)


def ensure(
    engine: Engine,
    backend: str,
    variant: Variant,
    base_image: str | None,
    say: Say,
    *,
    cache: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Image:
    """The image of a backend: the one that is there, or a new build of it."""
    environ = os.environ if environ is None else environ
    with tempfile.TemporaryDirectory(prefix="lem-build-") as place:
        folder = Path(place)
        recipe = write_context(
            folder, backend, variant, base_image, environ, pip_configuration(environ), say
        )
        image = engine.image(recipe.tag) if cache else None
        if image is None:
            say(f"building {recipe.tag} (the first time this takes several minutes)")
            image = engine.build(
                folder, recipe.tag, {**recipe.arguments, **recipe.proxies}, say, cache
            )
    check(image, recipe.tag, backend)
    return image


def superseded(images: Sequence[Image]) -> list[tuple[str, Image]]:
    """The tags of lem's own builds that a newer build of the same backend, variant and base image
    has taken the place of, the oldest first.

    A name holds the hash of its sources, so each edit leaves the build before it behind. Images
    that somebody named otherwise are not lem's to judge, nor do they take a build's place.
    """
    newest: set[tuple[str, ...]] = set()
    old = []
    for image in sorted(images, key=lambda i: i.created, reverse=True):
        backend = image.labels.get(BACKEND, "")
        build = re.compile(rf"lem/{re.escape(backend)}:[\w.]+-(cpu|cuda)-[0-9a-f]{{{HASH}}}")
        own = [t for t in image.tags if build.fullmatch(t)]
        if not own:
            continue
        kind = (backend, image.labels.get(VARIANT, ""), image.labels.get(BASE, DEFAULT_BASE))
        if kind in newest:
            old += [(t, image) for t in own]
        newest.add(kind)
    return old[::-1]


def check(image: Image, name: str, backend: str) -> None:
    """Refuse an image that does not speak this lem's contract, or is another backend's."""
    fix = (
        f"lem images build {backend}"
        if name.startswith("lem/")
        else f"build {name} anew with this version of lem, or leave `image` out of the campaign "
        f"file and run: lem images build {backend}"
    )
    contract = image.labels.get(CONTRACT)
    if contract is None:
        raise EnvironmentFault(
            f"the image {name} has no label {CONTRACT}: it is not an image of lem",
            hint=fix,
            kind="contract",
        )
    if contract != str(CONTRACT_VERSION):
        raise EnvironmentFault(
            f"the image {name} speaks contract {contract}, this lem speaks {CONTRACT_VERSION}",
            hint=fix,
            kind="contract",
        )
    found = image.labels.get(BACKEND)
    if found != backend:
        raise EnvironmentFault(
            f"the image {name} is for the backend {found}, not {backend}",
            hint=fix,
            kind="contract",
        )


def pinned(requirements: str) -> dict[str, str | None]:
    """Normalised distribution → exact version (None where it is a range), in the file's order.

    The first is the engine itself.
    """
    pins: dict[str, str | None] = {}
    for line in requirements.splitlines():
        found = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([^\s;,#]+))?", line.strip())
        if found:
            pins[_normalised(found[1])] = found[2]
    return pins


def local_wheels(
    folders: Sequence[Path], pins: Mapping[str, str | None], variant: Variant
) -> list[Path]:
    """The wheels in ``folders`` that a build could use instead of fetching them.

    Only of pinned versions, and no CPU-only build for a GPU image.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.whl")):
            parts = path.name.split("-")
            if len(parts) < 5 or ("linux" not in parts[-1] and parts[-1] != "any.whl"):
                continue
            public, _, local = parts[1].partition("+")
            wanted = pins.get(_normalised(parts[0]))
            if wanted == public and (variant == "cpu" or local != "cpu"):
                found.setdefault(path.name, path)
    return list(found.values())


def pip_configuration(environ: Mapping[str, str]) -> dict[str, str]:
    """The host's pip settings, such as ``{"find-links": "/wheels"}``; empty without pip."""
    if find_spec("pip") is None:
        prefix = "PIP_"
        return {
            k.removeprefix(prefix).lower().replace("_", "-"): v
            for k, v in environ.items()
            if k.startswith(prefix)
        }
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "config", "list"],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    settings: dict[str, str] = {}
    # Later lines win: pip lists files before the environment only in name, so sort that way.
    lines = sorted(shown.splitlines(), key=lambda line: line.startswith(":env:"))
    for line in lines:
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = value.strip("'\"").replace("\\n", " ")
    return settings


def _wheel_folders(environ: Mapping[str, str], pip: Mapping[str, str]) -> list[Path]:
    named = environ.get("LEM_WHEELS")
    places = named.split(os.pathsep) if named else pip.get("find-links", "").split()
    folders = [Path(place.removeprefix("file://")) for place in places]
    return [f for f in folders if f.is_absolute() and f.is_dir()]


def pip_arguments(pip: Mapping[str, str], say: Say) -> dict[str, str]:
    """pip's settings as build arguments; none that holds a password, which would stay in the
    image's history, and none that is only a folder of this machine."""
    arguments = {}
    for setting in PIP_SETTINGS:
        value = pip.get(setting, "")
        kept = []
        for word in value.split():
            address = urlsplit(word)
            if address.password or address.username:
                say(f"pip's {setting} holds a password and is not passed to the build")
            elif address.scheme != "file":
                kept.append(word)
        if kept:
            arguments["PIP_" + setting.upper().replace("-", "_")] = " ".join(kept)
    return arguments


def _content_hash(folder: Path, arguments: Mapping[str, str]) -> str:
    files = {
        str(path.relative_to(folder)): (
            # Large, and a wheel's name says which build it is.
            path.name
            if path.parent.name == "wheels"
            else hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    ours = {k: v for k, v in arguments.items() if not k.startswith("PIP_")}
    return hashlib.sha256(canonical_json([files, ours])).hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
