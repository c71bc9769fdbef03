"""Archives that are looked at."""

import hashlib
import itertools
import random
from pathlib import Path
from typing import Any, NamedTuple

from lem.archive import bulk
from lem.archive.checks import check_next
from lem.archive.schema import CAMPAIGN, HEADLINE, IDENTITY, SUBMISSION, WITH_UNCERTAINTY
from lem.archive.synthetic import invented
from lem.config.identity import experiment_id
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.contract.spec import Experiment
from tests import archive_rows, archive_submissions, records
from tests.archive_queries import submitted

MODELS = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": 0.05,
    "Qwen/Qwen3-0.6B": 0.11,
    "meta-llama/Llama-3.1-8B-Instruct": 0.9,
}
"""Joules per output token of one answer at a time, roughly."""
BACKENDS = {"transformers": 1.0, "vllm": 0.62, "llama_cpp": 0.8}
BATCHES = (1, 8, 64)
DTYPES = ("bfloat16", "float32")


class Sent(NamedTuple):
    """A campaign as somebody sent it."""

    submitter: str
    name: str
    models: tuple[str, ...]
    backends: tuple[str, ...]
    board: str
    factor: float
    tier: int


_SMALL, _MIDDLE, _LARGE = MODELS
SENT = (
    Sent("Energy Lab", "batching", (_SMALL, _MIDDLE), ("transformers", "vllm"), "H100", 1.0, 3),
    Sent("A. Reader", "the same again", (_SMALL,), ("transformers", "vllm"), "H100", 1.02, 3),
    Sent("Institute of Computing", "a larger model", (_LARGE,), tuple(BACKENDS), "H100", 1.0, 2),
    Sent("someone", "on a smaller board", (_MIDDLE,), ("vllm", "llama_cpp"), "L4", 1.7, 1),
)
BOARDS = {"H100": "NVIDIA H100 80GB HBM3", "L4": "NVIDIA L4"}


def lively(archive: Any, folder: Path, times: int = 1) -> None:
    """Campaigns of several submitters with all that belongs to them, at all tiers; and one with a
    run that failed, without a meter, as a server took it in and checked it. ``times``: the same of
    other models, so many times in all."""
    chance = random.Random(7)
    for number in range(len(SENT) * times):
        sent, again = SENT[number % len(SENT)], number // len(SENT)
        made, lock = _campaign(number, sent, chance, f"-v{again + 1}" if again else "")
        origin = submitted(archive, made, submitter=number, lock=lock, tier=sent.tier)
        with archive.database.writing() as c:
            for table, row, name in (
                (IDENTITY, origin.identity_id, sent.submitter),
                (CAMPAIGN, origin.campaign_id, sent.name),
            ):
                c.execute(table.update().where(table.c.id == row).values(name=name))
            # The fixture has no entry for it; the log begins with 1.
            c.execute(SUBMISSION.update().where(SUBMISSION.c.log_seq == 0).values(log_seq=1))
    estimated = archive_submissions.campaign(
        folder / "estimated", [[2.2, 2.3, 2.1], [1.9, None, 1.8]], energy_class="estimated"
    )
    archive_submissions.Submitter(archive, "on a laptop").push(estimated)
    while check_next(archive.database, archive.packs) is not None:
        pass


def _campaign(
    number: int, sent: Sent, chance: random.Random, version: str = ""
) -> tuple[list[Record], Lock]:
    """``version``: ends the models' names."""
    arms, made = [], []
    for model, backend, batch, dtype in itertools.product(
        sent.models, sent.backends, BATCHES, DTYPES
    ):
        raw = records.experiment(batch, backend, args={})
        name = model + version
        content = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        raw["model"] = {**raw["model"], "id": name, "content": content}
        raw["engine"] = {**raw["engine"], "dtype": dtype}
        arm_id = experiment_id(Experiment.model_validate(raw))
        settings = {
            "model": name,
            "backend": backend,
            "engine.max_batch_size": batch,
            "engine.dtype": dtype,
        }
        arms.append(
            {
                "arm_id": arm_id,
                "label": ", ".join(f"{k}={v}" for k, v in settings.items()),
                "settings": settings,
                "experiment": raw,
            }
        )
        level = MODELS[model] * BACKENDS[backend] * sent.factor * batch**-0.45
        level *= 1.35 if dtype == "float32" else 1.0
        for block in range(3):
            value = level * chance.gauss(1, 0.015)
            board = {"name": BOARDS[sent.board], "uuid": f"GPU-{number}"}
            made.append(
                records.record(
                    arm_id=arm_id,
                    experiment_id=arm_id,
                    block=block,
                    energy={"gpu": value},
                    above_idle={"gpu": 0.8 * value},
                    throughput=35 * batch**0.7 * chance.gauss(1, 0.01),
                    ttft_s=0.03 * batch**0.5,
                    itl_s=batch**0.3 / 35,
                    gpus=[records.gpu() | board],
                    semantics=4,
                    raw_experiment=raw,
                    nll=2.5 if dtype == "float32" else 2.51,
                    nll_tokens=4000,
                )
            )
    lock = records.lock(arms, name=sent.name, blocks=3)
    return made, lock


def large(archive: Any, folder: Path, configurations: int = 20_000) -> None:
    """So many configurations of the class that is shown first, as rows alone: two runs each, in
    campaigns of 20."""
    found = invented.configurations(configurations * 5 // 4)
    measured = [c for c in found if c.row.energy_class == "gpu"][:configurations]
    assert len(measured) == configurations
    with archive.database.writing() as c:
        origins = [archive_rows.origin(c, n) for n in range(-(-configurations // invented.ARMS))]
    chance = random.Random(7)
    bulk.merge(
        archive.database,
        (
            archive_rows.run(origins[n // invented.ARMS], one.row, block, None)._replace(
                number=2 * n + block, arm=n % invented.ARMS, figures=_figures(one, chance)
            )
            for n, one in enumerate(measured)
            for block in range(2)
        ),
    )


def _figures(one: invented.Invented, chance: random.Random) -> tuple[float | None, ...]:
    tokens, batch = one.row.output_tokens or 128, one.row.max_batch_size or 1
    joules = one.joules * chance.gauss(1, 0.01)
    throughput = 30 * batch**0.5 * chance.gauss(1, 0.2)
    first = (0.02 + (one.row.input_tokens or 512) * 2e-5) * chance.gauss(1, 0.1)
    known = {
        "energy_per_output_token_j": joules,
        "energy_per_request_j": joules * tokens,
        "mean_power_w": joules * throughput,
        "output_throughput_tokens_per_s": throughput,
        "ttft_p50_s": first,
        "ttft_p99_s": 2 * first,
        "e2e_latency_p50_s": first + tokens * batch / throughput,
    }
    values = [known.get(name) for name in HEADLINE]
    u = [None if known.get(name) is None else 0.02 * known[name] for name in WITH_UNCERTAINTY]
    return (*values, *u)
