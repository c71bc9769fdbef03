"""An archive with runs that a test knows, and what plain Python says of them."""

import hashlib
import math
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.archive import bulk, summaries
from lem.archive.bulk import Origin
from lem.archive.rows import ConfigRow, RunRow, config_of, figures_of, flags_of, started_at_of
from lem.archive.schema import BLOB, CAMPAIGN, HEADLINE, SUBMISSION
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.contract.submission import Content, Manifest, Submitted
from lem.submit import manifest as manifests
from lem.submit import pack
from tests import archive_rows as made_rows
from tests import records as made_records

MODELS = ("org/Model-7B", "org/model_50%", "other/Model-70B")
BACKENDS = ("vllm", "transformers")
DEVICES = ("NVIDIA H100 80GB HBM3", "NVIDIA L4")


class Known(NamedTuple):
    """What was put in."""

    rows: list[RunRow]
    names: dict[int, str]
    """Identity → its name."""

    def configurations(self) -> dict[str, ConfigRow]:
        return {r.config.hash: r.config for r in self.rows}

    def of(self, config_hash: str) -> list[RunRow]:
        return [r for r in self.rows if r.config.hash == config_hash]

    def best_tier(self, config_hash: str) -> int:
        return max((r.tier for r in self.of(config_hash) if r.counted), default=0)

    def mean(self, config_hash: str, metric: str, tier: int) -> float | None:
        """The mean of the submitters' means."""
        by_submitter: dict[int, list[float]] = defaultdict(list)
        for r in self.of(config_hash):
            value = r.figures[HEADLINE.index(metric)]
            if r.counted and r.tier >= tier and value is not None:
                by_submitter[r.identity_id].append(value)
        means = [math.fsum(v) / len(v) for v in by_submitter.values()]
        return math.fsum(means) / len(means) if means else None


def config(n: int) -> ConfigRow:
    """Configuration number ``n``: different models, backends, settings, hardware and classes."""
    estimated = n % 7 == 6
    args = {"enable_prefix_caching": bool(n % 2), "name": f"x{n % 3}", "share": n % 4 / 4}
    raw = made_records.experiment(2 ** (n % 4), BACKENDS[n % 2], args=args)
    raw["model"] = {**raw["model"], "id": MODELS[n % 3]}
    return made_rows.config(
        n,
        device_model=DEVICES[n % 5 == 0],
        energy_class="estimated" if estimated else "gpu",
        meter_class="estimate" if estimated else "nvml",
        model=MODELS[n % 3],
        backend=BACKENDS[n % 2],
        max_batch_size=2 ** (n % 4),
        load=None if n % 4 == 0 else float(2 ** (n % 3)),
        quantization="fp8" if n % 3 == 2 else "",
        experiment=raw,
    )


def filled(archive: Any, configurations: int = 30, seed: int = 1) -> Known:
    """Rows of three submitters, with scatter, without some figures, at all tiers."""
    chance = random.Random(seed)
    with archive.database.writing() as c:
        origins = [made_rows.origin(c, n) for n in range(3)]
    rows: list[RunRow] = []
    for n in range(configurations):
        what, level = config(n), math.exp(chance.gauss(0, 0.5))
        for o in origins[: 1 + n % 3]:
            own = level * math.exp(chance.gauss(0, 0.01))
            tier = chance.choice([1, 2, 3])
            for block in range(2 + n % 5):
                rows.append(_run(o, what, n, block, tier, own, chance))
    bulk.merge(archive.database, rows)
    return Known(rows, {o.identity_id: f"someone {i}" for i, o in enumerate(origins)})


def _run(
    o: Origin, what: ConfigRow, n: int, block: int, tier: int, level: float, chance: random.Random
) -> RunRow:
    value = level * math.exp(chance.gauss(0, 0.02))
    run = made_rows.run(o, what, block, value, 0.03 * value, tier=tier, arm=n, number=0)
    figures = list(run.figures)
    figures[HEADLINE.index("output_throughput_tokens_per_s")] = 100 / value
    if n % 4 == 3:
        figures[HEADLINE.index("ttft_p50_s")] = None
    figures[HEADLINE.index("nll_per_token")] = 2.5 if n % 2 else None
    return run._replace(
        number=1000 * n + block,
        figures=tuple(figures),
        counted=chance.random() > 0.1,
        started_at=made_rows.START + 86_400 * (n % 5) + 100 * block,
    )


def submitted(
    archive: Any,
    records: Sequence[Record],
    *,
    submitter: int = 0,
    lock: Lock | None = None,
    tier: int = 2,
) -> Origin:
    """A campaign as it is after its submission was taken: pack, manifest, rows. Traces are a few
    lines; boards are those of the records."""
    records = sorted(records, key=lambda r: (r.block, r.arm_id, r.attempt))
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"k%d" % submitter).digest())
    files = {}

    def file(text: bytes) -> str:
        data = pack.packed(text)
        sha256 = hashlib.sha256(data).hexdigest()
        files[sha256] = data
        return sha256

    trace = b"t_ns,meter,device,quantity,value\n" + b"".join(
        b"%d,nvml,gpu0,power_w,%d\n" % (10**9 * i, 100 + i) for i in range(100)
    )
    runs = [
        Submitted(
            block=r.block,
            arm_id=r.arm_id,
            attempt=r.attempt,
            record=file(r.model_dump_json().encode()),
            trace=file(trace),
        )
        for r in records
    ]
    content = Content(
        campaign=hashlib.sha256(b"campaign %d" % submitter).hexdigest(),
        lock=file(lock.model_dump_json().encode() if lock else b"{}"),
        board_salt="0" * 32,
        runs=runs,
        lem_version="0.0",
    )
    manifest = Manifest(
        archive="a" * 64,
        key=manifests.key_id(manifests.raw_public(key)),
        nonce="n" * 22,
        signed_at="2026-05-04T12:00:00+00:00",
        content=content,
    )
    signed, signature = manifests.sign(manifest, key)
    body = pack.write(signed, signature, content, files)
    sha256 = manifests.content_sha256(content)
    archive.packs.put(sha256, body)
    with archive.database.writing() as c:
        o = bulk.placeholder(
            c, f"lab {submitter}", public_key=manifests.raw_public(key), content_sha256=sha256
        )
        packed_lock = pack.packed(lock.model_dump_json().encode()) if lock else b""
        c.execute(CAMPAIGN.update().where(CAMPAIGN.c.id == o.campaign_id).values(lock=packed_lock))
        c.execute(
            SUBMISSION.update().where(SUBMISSION.c.id == o.submission_id).values(manifest=signed)
        )
        there = pack.read(body)
        blobs = [
            {
                "submission_id": o.submission_id,
                "sha256": bytes.fromhex(sha),
                "offset": at,
                "length": length,
                "kind": "record",
            }
            for sha, (at, length) in there.files.items()
        ]
        c.execute(BLOB.insert(), blobs)
        arms = list(dict.fromkeys(r.arm_id for r in records))
        if lock is not None:
            arms = [a.arm_id for a in lock.arms]
        rows = []
        for number, r in enumerate(records):
            what = config_of(r)
            boards = sorted(g.uuid for g in r.environment.gpus)
            rows.append(
                RunRow(
                    config=what,
                    boards=f"{'0' * 32}:{','.join(boards)}" if boards else "",
                    identity_id=o.identity_id,
                    campaign_id=o.campaign_id,
                    submission_id=o.submission_id,
                    number=number,
                    block=r.block,
                    arm=arms.index(r.arm_id),
                    attempt=r.attempt,
                    started_at=started_at_of(r),
                    tier=tier,
                    counted=True,
                    flags=flags_of(r),
                    figures=figures_of(r, what.energy_class),
                )
            )
        _, touched = bulk.insert_runs(c, rows)
        summaries.refresh(c, touched)
        c.execute(sa.text("UPDATE setting SET value = '5' WHERE name = 'data_version'"))
    return o
