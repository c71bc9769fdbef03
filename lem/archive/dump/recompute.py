"""Every figure of a dump again, from the signed files: the raw traces are judged by the same code
as a server's, in parallel, and the derived tables are held against what comes out."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from lem.archive import log, rows
from lem.archive.dump import layout
from lem.archive.dump.read import Dump, Finding
from lem.archive.schema import RECOMPUTED
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.contract.submission import Submitted
from lem.errors import BadInput, LemError
from lem.submit import pack

MAX_TEXT_BYTES = 64 * 2**20
"""Of a record or lock, unpacked."""
MAX_SHOWN = 1000


class Claim(NamedTuple):
    """What ``runs.parquet`` says of a run."""

    configuration: str
    tier: int
    figures: tuple[float | None, ...]


class Recomputed(NamedTuple):
    """``confirmed``: runs whose every figure follows from their traces, by today's rules."""

    runs: int
    confirmed: int
    findings: list[Finding]


Progress = Callable[[int, int], None]


def recompute(
    dump: Dump,
    submissions: list[str],
    processes: int | None = None,
    progress: Progress = lambda done, of: None,
) -> Recomputed:
    """Judge every run of these submissions. A finding is what contradicts the dump: a table's
    figure that is not its record's, or a tier that the traces do not bear out. A run that its own
    archive calls self-reported contradicts nothing; it is only not among the ``confirmed``."""
    findings: list[Finding] = []
    accepted = {
        str(e.payload.get("submission")): e.at
        for e in dump.parts(layout.LOG, log.LogEntry)
        if e.kind == "accepted"
    }
    runs = confirmed = done = 0
    wanted = set(submissions)
    tasks: Iterator[tuple[Path, str, str, dict[int, Claim]]] = (
        (dump.folder, content, accepted.get(content, ""), claims)
        for content, claims in _claims(dump)
        if content in wanted
    )
    seen: set[str] = set()
    workers = processes or os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        # Claims are handed out as they are needed: a table of millions is never held whole.
        while batch := list(islice(tasks, 4 * workers)):
            for content, of, good, told in pool.map(_judged, batch):
                seen.add(content)
                runs, confirmed, done = runs + of, confirmed + good, done + 1
                findings += told[: MAX_SHOWN - len(findings)]
                progress(done, len(submissions))
    for content in sorted(wanted - seen):
        findings.append(Finding(layout.RUNS, f"has no run of submission {content}"))
    return Recomputed(runs, confirmed, findings)


def _claims(dump: Dump) -> Iterator[tuple[str, dict[int, Claim]]]:
    """Submission → place of each run → what the table says of it."""
    for content, group in groupby(_table(dump), key=lambda row: row["submission"]):
        yield (
            str(content),
            {
                row["number"]: Claim(
                    row["configuration"], row["tier"], tuple(row[name] for name in rows.FIGURES)
                )
                for row in group
            },
        )


def _table(dump: Dump) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["submission", "number", "configuration", "tier", *rows.FIGURES]
    try:
        with pq.ParquetFile(dump.folder / layout.RUNS) as table:
            for batch in table.iter_batches(20_000, columns=columns):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, KeyError) as e:
        raise BadInput(f"{layout.RUNS} cannot be read: {str(e)[:200]}") from e


def _judged(task: tuple[Path, str, str, dict[int, Claim]]) -> tuple[str, int, int, list[Finding]]:
    """In a process of its own. One that cannot be judged is a finding, never the end of all."""
    folder, content, at, claims = task
    name = layout.pack_name(content)
    try:
        read = pack.read(Dump(folder).pack(content))
        signed = read.unverified.content
        lock = Lock.parse(pack.unpacked(read.file(signed.lock), MAX_TEXT_BYTES), name)
    except LemError as e:
        return content, 0, 0, [Finding(name, e.message)]
    when = datetime.fromisoformat(at) if at else None
    findings: list[Finding] = []
    runs = confirmed = 0
    for number, run in enumerate(signed.runs):
        if run.record is None:
            continue
        runs += 1
        place = f"{name}, run {number}"
        try:
            good, told = _run(read, run, lock, when, claims.pop(number, None))
        except LemError as e:
            good, told = False, e.message
        confirmed += good
        if told:
            findings.append(Finding(place, told))
    findings += [Finding(layout.RUNS, f"has run {n} of {content}, which is none") for n in claims]
    return content, runs, confirmed, findings


def _run(
    read: pack.Pack, run: Submitted, lock: Lock, when: datetime | None, claim: Claim | None
) -> tuple[bool, str]:
    """Whether its figures follow from its traces, and what contradicts the dump."""
    from lem.trust.judge import judge

    assert run.record is not None
    record = Record.parse(pack.unpacked(read.file(run.record), MAX_TEXT_BYTES), "record.json")
    trace, responses = (read.file(s) if s else b"" for s in (run.trace, run.responses))
    judgement = judge(record, trace, responses, lock=lock, now=when)
    confirmed = judgement.tier >= RECOMPUTED
    if claim is None:
        return confirmed, f"is not in {layout.RUNS}"
    config = rows.config_of(record)
    if claim.configuration != config.hash:
        return confirmed, f"{layout.RUNS} says that it is of another configuration"
    if claim.figures != rows.figures_of(record, config.energy_class):
        return confirmed, f"{layout.RUNS} has other figures than its record"
    if claim.tier >= RECOMPUTED and not confirmed:
        why = "; ".join(f.rule for f in judgement.findings if f.consequence != "note")
        return confirmed, f"is called recomputed, but its traces do not bear it out: {why}"
    return confirmed, ""
