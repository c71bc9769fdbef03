"""Signed submissions to a running server, and the checks of real traces."""

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.archive import campaigns
from bench.measure import Line
from lem.archive.checks import check_next
from lem.archive.database import Database
from lem.archive.packs import Packs
from lem.contract.submission import ArchiveInfo, Manifest, Receipt
from lem.submit.bundle import Bundle, bundles
from lem.submit.client import ArchiveClient
from lem.submit.manifest import enrol_message, key_id, raw_public, sign
from lem.submit.pack import write


def lines(address: str, folder: Path, count: int, blocks: int) -> Iterator[Line]:
    """So many submissions of two arms × ``blocks`` runs, each until the board shows it."""
    taken, seen, sizes = [], [], []
    with ArchiveClient(address) as client:
        info = client.info()
        key = enrolled(client, info)
        for number in range(count):
            place = folder / f"made-up-{number}"
            place.mkdir()
            model = campaigns.made_up(place, number, blocks)
            (bundle,) = bundles(place, info)
            body = packed(bundle, info, key, client.nonce(key_id(raw_public(key))))
            start = time.perf_counter()
            receipt = client.submit(body)
            taken.append(time.perf_counter() - start)
            _expect(receipt, 2 * blocks)
            board = client.get("/leaderboard", {"model": model, "tier": "self-reported"})
            seen.append(time.perf_counter() - start)
            if board["configurations"] != 2:
                raise RuntimeError(f"the board does not show {model}: {board}")
            sizes.append(len(body))
    yield Line(
        f"PostgreSQL: a signed submission of {2 * blocks} runs "
        f"({statistics.median(sizes) / 2**20:.1f} MiB), until it is acknowledged",
        _milliseconds(taken),
        "one after the other",
        "p95 ≤ 250 ms",
    )
    yield Line("… until the board shows it", _milliseconds(seen), "", "p95 ≤ 250 ms")


def checked(
    database: Database, data: Path, folder: Path, blocks: int, window_s: float
) -> Iterator[Line]:
    """The checks of one submission of really run runs, in this process."""
    from bench.archive import serving

    what = "trace checks"
    place = folder / "run"
    place.mkdir()
    if why := campaigns.run(place, blocks, window_s):
        yield Line(what, f"not measured: the campaign failed: {why}")
        return
    url = None if database.is_sqlite else database.engine.url.render_as_string(hide_password=False)
    with serving.served(url, data) as address, ArchiveClient(address) as client:
        info = client.info()
        key = enrolled(client, info)
        (bundle,) = bundles(place / "out", info)
        client.submit(packed(bundle, info, key, client.nonce(key_id(raw_public(key)))))
    packs = Packs(data / "packs")
    taken: list[float] = []
    cpu_s = 0.0
    while True:
        start, busy = time.perf_counter(), time.process_time()
        if check_next(database, packs) is None:
            break
        taken.append(time.perf_counter() - start)
        cpu_s = time.process_time() - busy
    runs = len(bundle.content.runs)
    rows = campaigns.rows_of(place / "out") / runs
    # The made-up submissions came first; the last one is the real one.
    made_up = sum(taken[:-1]) / max(1, len(taken) - 1)
    yield Line(
        f"PostgreSQL: {what} of {runs} real runs ({rows:,.0f} rows of trace each), one process",
        f"{runs / taken[-1]:.0f} runs/s",
        f"{1000 * cpu_s / runs:.0f} ms of CPU a run; tiers, summaries and log included; "
        f"of the made-up submissions before ("
        f"{2 * campaigns.SAMPLES:,} rows a run): {1000 * made_up:,.0f} ms each",
        "≥ 20 runs/s",
    )


def enrolled(client: ArchiveClient, info: ArchiveInfo) -> Ed25519PrivateKey:
    """A new key that the archive knows."""
    key = Ed25519PrivateKey.generate()
    public = raw_public(key)
    client.enrol(public, key.sign(enrol_message(info.archive, public)), "bench", None)
    return key


def packed(bundle: Bundle, info: ArchiveInfo, key: Ed25519PrivateKey, nonce: str) -> bytes:
    """A submission's bytes."""
    manifest = Manifest(
        archive=info.archive,
        key=key_id(raw_public(key)),
        nonce=nonce,
        signed_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        content=bundle.content,
    )
    return write(*sign(manifest, key), bundle.content, bundle.files)


def _expect(receipt: Receipt, runs: int) -> None:
    if receipt.runs != runs or receipt.campaign_state != "complete":
        raise RuntimeError(f"another receipt than expected: {receipt}")


def _milliseconds(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {1000 * statistics.median(ordered):.0f} ms, p95 {1000 * p95:.0f} ms"
