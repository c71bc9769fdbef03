"""An archive of somebody who means harm: each text from outside is one that tries something."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from lem.archive.refused import Refused
from lem.archive.rows import config_of, figures_of, flags_of
from lem.archive.schema import CAMPAIGN, EXTERNAL, FINDING, IDENTITY, RUN
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.trust.judge import DETAIL_CHARACTERS
from tests import records
from tests.archive_queries import submitted

Read = Callable[[dict[str, Any]], Any]
HIT = "window.hit = 1"
TEXTS = {
    "element": f"<script>{HIT}</script><h1>taken over</h1>",
    "attribute": f'"><img src=x onerror="{HIT}"><b a="',
    "attribute-single": f"' onmouseover='{HIT}' autofocus onfocus='{HIT}",
    "end-of-data": f'</script></title></style><svg onload="{HIT}"></svg><!--',
    "address": f"javascript:{HIT}",
    "template": "{{ 7 * 7 }} {% include 'base.html' %} ${7*7} %(x)s {0}",
    "formula": '=HYPERLINK("http://example.invalid";"x")',
    "formula-plus": "+1+cmd|' /C calc'!A0",
    "formula-minus": "-2+3",
    "formula-at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "direction": "model \u202egnp.exe\u2066 \u200bzero\u0000width\ufeff".replace("\x00", ""),
    "markdown": f"[x](javascript:{HIT}) ![y](x) `` ` `` | a | b |\n\n# heading\n<br>",
    "long-word": "W" * 3000,
    "long-text": "very long " * 400,
    "line": "one\ntwo\r\nthree\tfour\x1b[31mred",
}
_KEYS = {
    # By these the parts of a submission find each other, so that an archive takes no others.
    *("arm_id", "experiment_id", "run_id", "schema_version", "metric_semantics_version"),
    *("started_at", "ended_at", "device_class", "boot_id"),
}


def everywhere(document: dict[str, Any], read: Read, text: str) -> dict[str, Any]:
    """``document`` with ``text`` in place of each text, and as one more key of each free object,
    wherever ``read`` lets it pass."""
    made = copy.deepcopy(document)
    for at, key in list(_places(made)):
        old = at[key]
        at[key] = text
        if not _passes(made, read):
            at[key] = old
    for at in list(_objects(made)):
        at[text] = text
        if not _passes(made, read):
            del at[text]
    return made


def _places(at: Any) -> Iterator[tuple[Any, Any]]:
    pairs = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    for key, value in list(pairs):
        if isinstance(value, str) and key not in _KEYS:
            yield at, key
        yield from _places(value)


def _objects(at: Any) -> Iterator[dict[str, Any]]:
    if isinstance(at, dict):
        yield at
    for value in at.values() if isinstance(at, dict) else at if isinstance(at, list) else ():
        yield from _objects(value)


def _passes(document: dict[str, Any], read: Read) -> bool:
    try:
        read(document)
    except (ValidationError, Refused):
        return False
    return True


def _record(document: dict[str, Any]) -> Record:
    """As an archive takes it."""
    made = Record.model_validate(document)
    flags_of(made)
    figures_of(made, config_of(made).energy_class)
    return made


def fill(archive: Any, folder: Path) -> None:
    """For each text a submitter, with two configurations in three blocks."""
    for number, text in enumerate(TEXTS.values()):
        made, lock = campaign(number, text)
        origin = submitted(archive, made, submitter=number, lock=lock)
        with archive.database.writing() as c:
            named = {"name": text}
            c.execute(IDENTITY.update().where(IDENTITY.c.id == origin.identity_id).values(named))
            c.execute(CAMPAIGN.update().where(CAMPAIGN.c.id == origin.campaign_id).values(named))
            of_run = sa.select(RUN.c.id).where(RUN.c.submission_id == origin.submission_id)
            for run_id in c.scalars(of_run).all():
                c.execute(
                    FINDING.insert().values(
                        submission_id=origin.submission_id,
                        run_id=run_id,
                        rule="trace_repeated",
                        consequence="note",
                        detail=text[:DETAIL_CHARACTERS],
                    )
                )
            c.execute(
                EXTERNAL.insert().values(
                    source=text,
                    url=text,
                    licence=text,
                    published=text,
                    model=text,
                    device_model=text,
                    metric="energy_per_output_token_j",
                    value=1.0,
                    note=text,
                )
            )


def campaign(number: int, text: str) -> tuple[list[Record], Lock]:
    arms, made = [], []
    for arm in range(2):
        arm_id = f"{number + 1:032x}{arm + 1:032x}"
        of_arm = everywhere(
            records.record(
                arm_id=arm_id,
                energy={"gpu": 0.4 / (arm + 1)},
                gpus=[records.gpu()],
                semantics=4,
                raw_experiment=records.experiment(4**arm, args={"name": "x", "depth": 3}),
                flags=["estimated", "no_such_flag"],
                nll=2.5,
            ).model_dump(mode="json"),
            _record,
            text,
        )
        for block in range(3):
            of_block = {"block": block, "run_id": f"{number}-{arm}-{block}"}
            made.append(Record.model_validate(of_arm | of_block))
        arms.append(
            {
                "arm_id": arm_id,
                "label": text,
                "settings": {"engine.max_batch_size": 4**arm},
                "experiment": of_arm["experiment"],
            }
        )
    plain = records.lock(arms, name="x").model_dump(mode="json")
    return made, Lock.model_validate(everywhere(plain, Lock.model_validate, text))
