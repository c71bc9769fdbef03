"""Campaigns with what pages look for: a lock, answers that end by themselves, questions."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from lem.archive.database import raise_data_version
from lem.archive.schema import CAMPAIGN
from lem.contract.record import AccuracyResult, Record, Value
from tests import archive_queries, records

ANSWER_TOKENS = 20.0
"""Of 32 that an answer may have at most."""
BOARD = {**records.gpu(), "uuid": "board-" + "0" * 32}
ANSWERED = AccuracyResult(
    questions_sha256="d" * 64,
    questions=4,
    correct=3,
    value=0.75,
    low=0.3,
    high=0.95,
    outcomes="1110",
)


def campaign(
    archive: Any,
    joules: Mapping[int, float],
    *,
    energy_class: str = "gpu",
    submitter: int = 0,
    blocks: int = 5,
    nll: Mapping[int, float] | None = None,
    slo_kept: Mapping[int, float] | None = None,
    forced: bool = False,
    dtypes: Sequence[str] = ("float32",),
    changes: Mapping[int, Mapping[str, Any]] | None = None,
    correct_j: float | None = None,
) -> str:
    """Arms by batch size → joules per token; the first is the baseline. Returns the campaign's id.

    ``nll``, ``slo_kept`` and ``changes`` (of the experiment) are by batch size. ``correct_j``:
    joules per correct answer, ± 10 %.
    """
    chance = random.Random(7 + submitter)
    arms: list[dict[str, Any]] = []
    made: list[Record] = []
    for batch, mean in joules.items():
        for dtype in dtypes:
            raw = records.experiment(batch, **(changes or {}).get(batch, {}))
            raw["engine"] = {"max_batch_size": batch, "dtype": dtype}
            if "generate" not in (changes or {}).get(batch, {}):
                raw["generate"] = {"temperature": 0, "ignore_eos": forced}
            if slo_kept is not None:
                raw["workload"] = {**raw["workload"], "slo": {"ttft_ms": 200.0, "itl_ms": None}}
            arm_id = records.arm_name(len(arms) + 100 * submitter)
            settings = {"engine.max_batch_size": batch}
            if len(dtypes) > 1:
                settings["engine.dtype"] = dtype
            arms.append(
                {"arm_id": arm_id, "label": f"{batch}", "settings": settings, "experiment": raw}
            )
            for block in range(blocks):
                value = mean * math.exp(chance.gauss(0, 0.004))
                one = records.record(
                    arm_id=arm_id,
                    raw_experiment=raw,
                    block=block,
                    energy={energy_class: value},
                    gpus=[] if energy_class == "estimated" else [BOARD],
                    semantics=4,
                    nll=None if nll is None else nll[batch],
                    nll_tokens=None if nll is None else 100,
                    goodput=None if slo_kept is None else (1.0, slo_kept[batch]),
                    started=records.START.replace(hour=12 + block, minute=len(arms)),
                )
                made.append(_with_answers(one, energy_class, value, correct_j))
    lock = records.lock(arms, blocks=blocks)
    origin = archive_queries.submitted(archive, made, submitter=submitter, lock=lock)
    with archive.database.writing() as c:
        mine = CAMPAIGN.c.id == origin.campaign_id
        c.execute(CAMPAIGN.update().where(mine).values(state="complete", name="batching"))
        raise_data_version(c)
        owner = c.execute(CAMPAIGN.select().where(mine)).one().owner
    return f"{owner}-{origin.identity_id}"


def _with_answers(one: Record, energy_class: str, value: float, correct_j: float | None) -> Record:
    request = value * ANSWER_TOKENS
    more: dict[str, Any] = {
        "energy_per_request_j": {energy_class: Value(value=request, uncertainty=0.03 * request)}
    }
    quality = one.quality
    if correct_j is not None:
        more["energy_per_correct_answer_j"] = {
            energy_class: Value(value=correct_j, uncertainty=0.1 * correct_j)
        }
        quality = quality.model_copy(update={"accuracy": ANSWERED})
    return one.model_copy(update={"metrics": {**one.metrics, **more}, "quality": quality})
