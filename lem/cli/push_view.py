"""``lem results push --dry-run``: exactly what would leave this machine."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lem.cli.output import emit, note, visible
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.contract.submission import ArchiveInfo
    from lem.submit.bundle import Bundle
    from lem.submit.preview import Shown

ROWS = {"trace.csv.gz": "readings: time, meter, device, quantity, value; every digit",
        "responses.csv.gz": "requests: times and token counts; no texts, names replaced by numbers",
        }  # fmt: skip
WIDTH = 96
FEW_FILES = 12


def preview(
    folders: Sequence[Path],
    url: str,
    plain_http: bool,
    allowed: Sequence[str],
    output: Path | None,
    show: str | None,
    as_json: bool,
) -> None:
    """Print, or write to ``output``, what a push would send now. Sends nothing."""
    from lem.submit.leaks import Net
    from lem.submit.outbox import Outbox
    from lem.submit.push import fresh, words

    info = _info(url, plain_http)
    net, outbox = Net(words(folders, allowed)), Outbox()
    documents = []
    for folder in folders:
        bundles = list(fresh(folder, info, outbox, net))
        if show is not None:
            _show(folder, bundles, show)
        elif as_json:
            documents += [_json(folder, b) for b in bundles]
        else:
            for line in _lines(folder, bundles, info):
                click.echo(visible(line))
        if output is not None:
            _write(bundles, output / folder.name)
    if as_json and show is None:
        emit({"schema_version": 1, "server": url, "archive": info.archive, "sent": False,
              "submissions": documents})  # fmt: skip
    if show is None:
        note("nothing was sent")


def _info(url: str, plain_http: bool) -> "ArchiveInfo":
    """What the archive is; where it is away, what is known of it from before."""
    from lem.contract.submission import ArchiveInfo
    from lem.submit import settings
    from lem.submit.client import ArchiveClient, Unreachable

    known = settings.read().archives.get(url)
    try:
        with ArchiveClient(
            url, plain_http=plain_http or bool(known and known.plain_http)
        ) as client:
            info = client.info()
        settings.read().knowing(url, info)
        return info
    except Unreachable as e:
        if known is None:
            raise
        note(f"{e.message}; what would be sent is shown with what is known of it")
    return ArchiveInfo(
        metric_semantics_version=0,
        archive=known.archive,
        board_salt=known.board_salt,
        enrolment="invitation",
        lem_version="",
        max_submission_bytes=2**26,
        runs=0,
        configurations=0,
        data_version=0,
    )


def _lines(folder: Path, bundles: "list[Bundle]", info: "ArchiveInfo") -> Iterator[str]:
    from lem.submit.preview import (
        KINDS,
        board_names,
        documents,
        field_list,
        meter_names,
        together,
    )

    if not bundles:
        yield f"{folder}: nothing; everything of it was sent before"
        return
    shown = [file for b in bundles for file in documents(b)]
    runs = sum(len(b.content.runs) for b in bundles)
    total = sum(f.sent_bytes for f in shown)
    yield (
        f"{folder}: {runs} attempts in {len(bundles)} submission(s), {total:,} bytes,"
        f" to be published under {info.licence}"
    )
    yield "files, compressed:"
    yield from _files(shown)
    yield "boards, told apart by a salted hash alone:"
    boards = board_names(*_private(folder), info.board_salt)
    yield from (f"  {uuid} → {name}" for uuid, name in boards.items())
    if not boards:
        yield "  none: it ran on CPUs"
    if names := meter_names(shown):
        yield f"names that you gave to external meters: {', '.join(names)}"
    there = {f.name.rpartition("/")[2] for f in shown}
    for name, kind in KINDS.items():
        if name in there:
            yield f"{name}:"
            fields = field_list(kind)
            for fate in ("replaced", "withheld"):
                yield from (f"  {f.path}: {fate}: {f.words}" for f in fields if f.fate == fate)
            yield "  sent as they are (.*: with all that is in it):"
            yield from _wrapped(together(fields))
    yield from (f"{name}: {text}" for name, text in ROWS.items() if name in there)
    yield "every file and the whole documents: --json; one file as it is sent: --show FILE, such as"
    yield f"{shown[-1].name}; all of them: -o DIR"


def _files(shown: "list[Shown]") -> Iterator[str]:
    """One by one where they are few; of many, how many of each kind."""
    if len(shown) <= FEW_FILES:
        yield from (f"  {f.sent_bytes:>11,}  {f.name}" for f in shown)
        return
    kinds: dict[str, list[int]] = {}
    for file in shown:
        kinds.setdefault(file.name.rpartition("/")[2], []).append(file.sent_bytes)
    for name, sizes in kinds.items():
        yield f"  {sum(sizes):>11,}  {len(sizes)} × {name}"


def _private(folder: Path) -> tuple[Any, list[Any]]:
    from lem.stores.folder import entries
    from lem.submit.bundle import locked

    return locked(folder), [e.record for e in entries(folder) if e.record is not None]


def _wrapped(names: list[str]) -> Iterator[str]:
    line = "   "
    for name in names:
        if len(line) + len(name) + 1 > WIDTH:
            yield line
            line = "   "
        line += f" {name}"
    yield line


def _json(folder: Path, bundle: "Bundle") -> dict[str, Any]:
    from lem.submit.manifest import content_sha256
    from lem.submit.preview import documents

    return {
        "folder": str(folder),
        "submission": content_sha256(bundle.content),
        "content": bundle.content.model_dump(mode="json"),
        "files": [
            {"name": f.name, "sha256": f.sha256, "bytes": f.sent_bytes, "document": f.document}
            for f in documents(bundle)
        ],
    }


def _show(folder: Path, bundles: "list[Bundle]", wanted: str) -> None:
    """One file's text, as it would be sent; its name's end is enough."""
    from lem.submit.pack import inflated

    for bundle in bundles:
        for sha, name in bundle.names.items():
            if name == wanted or f"/{name}".endswith(f"/{wanted}"):
                for piece in inflated(bundle.files[sha]):
                    sys.stdout.write(visible(piece.decode("utf-8", "replace")))
                if not sys.stdout.isatty():
                    return
                sys.stdout.write("\n")
                return
    raise BadInput(f"{folder} would send no file {wanted!r}", hint="--dry-run lists them")


def _write(bundles: "list[Bundle]", output: Path) -> None:
    """The files as they would be sent, and the content that a manifest would have."""
    from lem.contract.base import write_atomic
    from lem.submit.manifest import canonical, content_sha256

    for bundle in bundles:
        here = output / content_sha256(bundle.content)
        for sha, name in bundle.names.items():
            suffix = "" if name.endswith(".gz") else ".gz"
            write_atomic(here / (name + suffix), bundle.files[sha])
        write_atomic(here / "content.json", canonical(bundle.content))
    note(f"written to {output}")
