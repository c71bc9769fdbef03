"""``lem images``: build, list, save and prune the engine images."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lem.cli import output
from lem.errors import BadInput, EnvironmentFault

if TYPE_CHECKING:
    from lem.containers import Image


@click.group(name="images")
def command() -> None:
    """Build, list, save and prune the engine images.

    The sources of the images come with lem: this works outside a clone too.
    """


@command.command(name="build")
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every backend that has an image for this machine; names those that are left out.",
)
@click.option(
    "--variant",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="cuda where Docker can give containers a GPU, else cpu (auto).",
)
@click.option("--base-image", metavar="IMAGE", help="Build on this image.")
@click.option("--no-cache", is_flag=True, help="Build anew, also what has not changed.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def build(
    backends: tuple[str, ...],
    everything: bool,
    variant: str,
    base_image: str | None,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Build the images of BACKENDs, unless they are there already."""
    from lem import containers
    from lem.launchers import image

    if everything == bool(backends):
        raise click.UsageError(
            f"name the backends to build ({', '.join(image.buildable())}), or --all"
        )
    built = []
    with containers.connect() as engine:
        if variant == "auto":
            variant = "cuda" if engine.facts.nvidia else "cpu"
        chosen: image.Variant = "cuda" if variant == "cuda" else "cpu"
        for backend in image.buildable() if everything else backends:
            if everything and chosen not in image.variants(backend):
                others = ", ".join(v.upper() for v in image.variants(backend))
                output.note(f"left out: {backend}, which is for {others} only")
                continue
            built.append(
                image.ensure(engine, backend, chosen, base_image, output.note, cache=not no_cache)
            )
    _show(built, as_json)


@command.command(name="list")
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def list_images(backends: tuple[str, ...], as_json: bool) -> None:
    """The engine images of this machine, with contract and engine versions, newest first."""
    from lem import containers
    from lem.launchers import image

    with containers.connect() as engine:
        found = engine.images(image.BACKEND)
    wanted = [i for i in found if not backends or i.labels[image.BACKEND] in backends]
    wanted.sort(key=lambda i: i.created, reverse=True)
    wanted.sort(key=lambda i: i.labels[image.BACKEND])
    if not wanted and not as_json:
        which = f"of {', '.join(backends)}" if backends else "yet"
        known = ", ".join(image.buildable())
        output.note(f"no images {which}; lem images build NAME builds them for: {known}")
    _show(wanted, as_json)
    old = len({tag for tag, _ in image.superseded(wanted)})
    if old:
        output.note(f"{old} of them superseded by a newer build; lem images prune removes those")


@command.command(name="save")
@click.argument("backend", metavar="BACKEND")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file (BACKEND.tar)."
)
@click.option("--variant", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--base-image", metavar="IMAGE", help="Build on this image.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def save(backend: str, out: Path | None, variant: str, base_image: str | None, force: bool) -> None:
    """Write BACKEND's image to one file, for machines without Docker and without a network.

    It is built if it is not there. A campaign file names it: `backends: {BACKEND: {image: FILE}}`.
    """
    from lem import containers
    from lem.launchers import image

    out = out or Path(f"{backend}.tar")
    if out.exists() and not force:
        raise BadInput(f"{out} is there already", hint="use --force to overwrite it")
    with containers.connect() as engine:
        if variant == "auto":
            variant = "cuda" if engine.facts.nvidia else "cpu"
        chosen: image.Variant = "cuda" if variant == "cuda" else "cpu"
        found = image.ensure(engine, backend, chosen, base_image, output.note)
        aside = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            engine.save(found.id, aside)
            aside.replace(out)
        except OSError as e:
            raise EnvironmentFault(f"{out} cannot be written: {e.strerror}", kind="disk") from e
        finally:
            aside.unlink(missing_ok=True)
    output.note(f"wrote {out} ({out.stat().st_size / 1e9:.1f} GB): {found.id}")
    output.note(f"in a campaign file: backends: {{{backend}: {{image: {out}}}}}")


@command.command(name="prune")
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def prune(backends: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove engine images that a newer build has taken the place of.

    Of each backend, variant and base image the newest build stays, and so does every image that
    lem did not name. Results don't need the images they were measured with.
    """
    from lem import containers
    from lem.launchers import compiled, image
    from lem.launchers.cache import cache_root

    with containers.connect() as engine:
        found = engine.images(image.BACKEND)
        old = [
            (tag, i)
            for tag, i in image.superseded(found)
            if not backends or i.labels[image.BACKEND] in backends
        ]
        for tag, i in old:
            output.note(f"superseded: {tag}  {i.size_bytes / 1e9:.2f} GB")
        if not old:
            output.note("no superseded images")
        agreed = bool(old) and not dry_run and (yes or _asked(len(old)))
        kept = {}
        if agreed:
            for tag, _ in old:
                why = engine.remove_image(tag)
                if why is not None:
                    output.note(f"{tag} stays: {why}")
                    kept[tag] = why
            output.note(f"removed {len(old) - len(kept)} (layers that others share stay)")
            compiled.forget(cache_root(), [i.id for i in engine.images(image.BACKEND)])
    if as_json:
        tags = [tag for tag, _ in old]
        removed = [t for t in tags if t not in kept] if agreed else []
        output.emit({"superseded": tags, "removed": removed, "kept": kept})


def _asked(count: int) -> bool:
    """Ask on a terminal; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        output.note("nothing removed: --yes removes them")
        return False
    return click.confirm(f"Remove {count} image(s)?", err=True)


def _show(images: "list[Image]", as_json: bool) -> None:
    from lem.launchers import image

    rows = [_row(i, image.label_names()) for i in images]
    if as_json:
        output.emit({"images": rows})
        return
    if not rows:
        return
    # No table that folds: an image's name is there to be copied.
    lines = [("backend", "image", "contract", "engine", "size", "conformance suite")]
    for row in rows:
        contract = str(row["contract"]) + ("" if row["usable"] else ": build it anew")
        size = f"{row['size_bytes'] / 1e9:.2f} GB"
        name = ", ".join(row["tags"]) or row["id"][:19]
        lines.append(
            (row["backend"], name, contract, row["engine_version"], size, row["conformance"])
        )
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        output.out().print(output.visible("  ".join(cells).rstrip()), soft_wrap=True)


def _row(found: "Image", labels: dict[str, str]) -> dict[str, Any]:
    from lem import verified
    from lem.contract.base import CONTRACT_VERSION
    from lem.launchers import image

    variant = found.labels.get(image.VARIANT)
    said = {key: found.labels.get(label, "unknown") for key, label in labels.items()}
    return {
        **said,
        "tags": list(found.tags),
        "id": found.id,
        "size_bytes": found.size_bytes,
        "created": found.created,
        "usable": said["contract"] == str(CONTRACT_VERSION),
        "conformance": verified.standing(
            said["backend"], "gpu" if variant == "cuda" else "cpu", said["engine_version"]
        ),
    }
