"""Fills a demonstration archive with made-up runs, by the code that takes in all else in bulk."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from lem.archive.bulk import merge
from lem.archive.database import Database
from lem.archive.demo import mark
from lem.archive.rows import FIGURES, RunRow
from lem.archive.schema import CAMPAIGN, HEADLINE, IDENTITY, KEY, SUBMISSION, WITH_UNCERTAINTY
from lem.archive.synthetic import invented
from lem.contract.base import utc_now
from lem.contract.flags import SYNTHETIC
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.errors import BadInput

SALT = "5" * 32
RELATIVE_U = 0.02


def fill(database: Database, runs: int, configurations: int, seed: int = 1) -> tuple[int, float]:
    """Runs that were taken in, and the seconds that took: until rows, summaries and facets are
    committed, with the making of the rows. What campaigns and submissions need is not counted.

    Raises :class:`~lem.errors.BadInput` for an archive that has anything in it already."""
    with database.writing() as c:
        mark(c)
        if c.execute(sa.select(SUBMISSION.c.id).limit(1)).first() is not None:
            raise BadInput("this archive has records already", hint="name another one")
    configs = invented.configurations(configurations, seed)
    boards = [[_boards(s, b) for b in range(4)] for s in range(invented.SUBMITTERS)]
    identities = _identities(database)
    places = _places(database, list(invented.campaigns(runs, configs, seed)), identities)
    made = (
        run
        for campaign in invented.campaigns(runs, configs, seed)
        for run in _runs(campaign, configs, boards, identities, places[campaign.number])
    )
    start = time.perf_counter()
    taken = merge(database, made)
    return taken, time.perf_counter() - start


def _runs(
    campaign: invented.Campaign,
    configs: Sequence[invented.Invented],
    boards: Sequence[Sequence[str]],
    identities: Sequence[int],
    place: tuple[int, int],
) -> Iterator[RunRow]:
    columns = [campaign.values[name].tolist() for name in HEADLINE]
    for block in range(invented.BLOCKS):
        for arm, config in enumerate(campaign.arms):
            values = [_or_none(column[block][arm]) for column in columns]
            energies = values[: len(WITH_UNCERTAINTY)]
            row = configs[config].row
            energy_class = row.energy_class
            relative = 0.5 if energy_class == "estimated" else RELATIVE_U
            number = block * campaign.arms.size + arm
            yield RunRow(
                config=row,
                boards=boards[campaign.submitter][campaign.board] if energy_class == "gpu" else "",
                identity_id=identities[campaign.submitter],
                campaign_id=place[0],
                submission_id=place[1],
                number=number,
                block=block,
                arm=arm,
                attempt=0,
                started_at=campaign.started_at + 35.0 * number,
                tier=campaign.tier,
                counted=True,
                flags=f"estimated,{SYNTHETIC}" if energy_class == "estimated" else SYNTHETIC,
                figures=(*values, *(None if v is None else relative * v for v in energies)),
            )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _boards(submitter: int, board: int) -> str:
    return f"{SALT}:board-{hashlib.sha256(f'{submitter} {board}'.encode()).hexdigest()[:32]}"


def _identities(database: Database) -> list[int]:
    found: list[int] = []
    with database.writing() as c:
        for number in range(invented.SUBMITTERS):
            row = {"name": f"Made-up submitter {number}", "enrolled_by": "invitation"}
            made = c.execute(IDENTITY.insert().values(**row, created_at=utc_now()))
            found.append(int((made.inserted_primary_key or [0])[0]))
            public = hashlib.sha256(f"key {number}".encode()).digest()
            c.execute(
                KEY.insert().values(
                    id=_key(number), identity_id=found[-1], public_key=public, created_at=utc_now()
                )
            )
    return found


def _places(
    database: Database, campaigns: Sequence[invented.Campaign], identities: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Campaign → ids of its campaign's and its submission's row."""
    with database.writing() as c:
        first = c.scalar(sa.select(sa.func.coalesce(sa.func.max(CAMPAIGN.c.id), 0))) or 0
        last = c.scalar(sa.select(sa.func.coalesce(sa.func.max(SUBMISSION.c.id), 0))) or 0
        places = {x.number: (first + 1 + i, last + 1 + i) for i, x in enumerate(campaigns)}
        c.execute(
            CAMPAIGN.insert(),
            [
                {
                    "id": places[x.number][0],
                    "identity_id": identities[x.submitter],
                    "owner": hashlib.sha256(f"campaign {x.number}".encode()).hexdigest(),
                    "name": f"made up {x.number}",
                    "lock": b"",
                    "board_salt": SALT,
                    "state": "complete",
                    "created_at": utc_now(),
                }
                for x in campaigns
            ],
        )
        c.execute(
            SUBMISSION.insert(),
            [
                {
                    "id": places[x.number][1],
                    "content_sha256": hashlib.sha256(f"content {x.number}".encode()).hexdigest(),
                    "campaign_id": places[x.number][0],
                    "identity_id": identities[x.submitter],
                    "key_id": _key(x.submitter),
                    "schema_version": 1,
                    "semantics_version": METRIC_SEMANTICS_VERSION,
                    "received_at": utc_now(),
                    "runs": x.arms.size * invented.BLOCKS,
                    "bytes": 0,
                    "checks": "passed",
                    "log_seq": 0,
                }
                for x in campaigns
            ],
        )
        if not database.is_sqlite:
            for table in ("campaign", "submission"):
                c.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
    return places


def _key(submitter: int) -> str:
    return hashlib.sha256(hashlib.sha256(f"key {submitter}".encode()).digest()).hexdigest()


assert (*HEADLINE, *(f"{name}_u" for name in WITH_UNCERTAINTY)) == FIGURES
