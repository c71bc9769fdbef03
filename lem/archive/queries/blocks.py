"""Counted runs of one campaign by configuration and block, for what is compared within blocks."""

import math
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from lem.analysis.gains import has_gain, shared_log
from lem.archive.database import once
from lem.archive.queries.among import among
from lem.archive.queries.answer import Packs, source_of
from lem.archive.queries.members import Members, Submissions
from lem.archive.queries.runs import measured_query
from lem.archive.refused import Refused
from lem.archive.schema import BOARD_SET, RUN
from lem.errors import BadInput
from lem.stores.hardware import hardware
from lem.stores.outcomes import Outcome
from lem.stores.rows import Figure, Row
from lem.stores.scored import Scored, scored_of
from lem.stores.shares import Share, shares_of

MAX_RECORDS = 200
"""Records that are read for one answer."""

Shares = dict[str, dict[str, Share]]


@dataclass(frozen=True)
class OneRun:
    """A counted run, as far as comparing needs it."""

    config_id: int
    arm: int
    block: int
    value: float
    uncertainty: float | None
    started_at: float
    board_set_id: int
    boards: str
    row: sa.Row[Any] = field(repr=False)


class Facts(NamedTuple):
    """What comparing needs of a record."""

    hardware: str
    shares: Shares
    scored: Scored | None


KEPT = 20_000
_FACTS: OrderedDict[str, Facts] = OrderedDict()
"""By the record's SHA-256, which says what is in it: reading a record takes a millisecond, and a
campaign's pages ask for those of all its arms."""
_LOCK = threading.Lock()


def _is_small(facts: Facts) -> bool:
    """Whether it may be kept: names of devices are as many and as long as a record has them."""
    names = [facts.hardware, *(d for of_class in facts.shares.values() for d in of_class)]
    return len(names) <= 64 and sum(map(len, names)) <= 4096


class Records:
    """Reads records, one for each configuration and set of boards: how its energy is spread over
    devices is much the same in all of their runs."""

    def __init__(self, connection: sa.Connection, packs: Packs) -> None:
        self._connection, self._packs = connection, packs
        self._submissions = Submissions(connection)
        self._known: dict[tuple[int, int], Facts | None] = {}

    def expect(self, runs: Iterable[OneRun]) -> None:
        """That the records of all these will be asked for."""
        first: dict[tuple[int, int], sa.Row[Any]] = {}
        for run in runs:
            first.setdefault((run.config_id, run.board_set_id), run.row)
        self._submissions.expect(islice(first.values(), MAX_RECORDS))

    def of(self, run: OneRun) -> Facts | None:
        """None where it is not here, or where too many were read already."""
        key = (run.config_id, run.board_set_id)
        if key not in self._known:
            self._known[key] = self._read(run.row) if len(self._known) < MAX_RECORDS else None
        return self._known[key]

    def of_configuration(self, config_id: int) -> Facts | None:
        """Of any counted run of it."""
        query = measured_query().where(RUN.c.config_id == config_id, RUN.c.counted).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else self._read(row)

    def _read(self, row: sa.Row[Any]) -> Facts | None:
        try:
            members = Members(self._connection, self._packs, row, self._submissions)
            members.place("record")  # so that what is gone is missed, though it was read before
            sha256 = members.hashes()["record"] or ""
            with _LOCK:
                if (known := _FACTS.get(sha256)) is not None:
                    _FACTS.move_to_end(sha256)
                    return known
            record = members.record()
        except (Refused, BadInput, OSError):
            return None
        found = Facts(hardware(record), shares_of(record), scored_of(record))
        if not _is_small(found):
            return found
        with _LOCK:
            _FACTS[sha256] = found
            while len(_FACTS) > KEPT:
                _FACTS.popitem(last=False)
        return found


def counted_runs(
    connection: sa.Connection, campaign_id: int, metric: str, tier: int
) -> list[OneRun]:
    """Of one campaign, with this figure above 0, in the order of blocks; ``tier``: at least."""
    return once(
        connection,
        ("counted_runs", campaign_id, metric, tier),
        lambda: _counted_runs(connection, campaign_id, metric, tier),
    )


def _counted_runs(
    connection: sa.Connection, campaign_id: int, metric: str, tier: int
) -> list[OneRun]:
    figure = RUN.c[metric]
    query = (
        measured_query((metric, f"{metric}_u", "nll_per_token"))
        .add_columns(RUN.c.arm, RUN.c.board_set_id, BOARD_SET.c.boards)
        .join(BOARD_SET, BOARD_SET.c.id == RUN.c.board_set_id)
        .where(RUN.c.campaign_id == campaign_id, RUN.c.counted, RUN.c.tier >= tier, figure > 0)
        .order_by(RUN.c.block, RUN.c.started_at, RUN.c.id)
    )
    found = []
    for row in connection.execute(query).all():
        r = row._mapping
        found.append(
            OneRun(
                config_id=r["config_id"],
                arm=r["arm"],
                block=r["block"],
                value=r[metric],
                uncertainty=r.get(f"{metric}_u"),
                started_at=r["started_at"],
                board_set_id=r["board_set_id"],
                boards=r["boards"],
                row=row,
            )
        )
    return found


class Cell(Protocol):
    """What a table is made of."""

    @property
    def config_id(self) -> int: ...
    @property
    def arm(self) -> int: ...
    @property
    def block(self) -> int: ...
    @property
    def value(self) -> float: ...


def table_of(runs: Iterable[Cell]) -> dict[int, dict[int, float]]:
    """Configuration → block → value. One that ran as several arms (another launcher) has the
    geometric mean of them, where all are there."""
    logs: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    arms: dict[int, set[int]] = defaultdict(set)
    for run in runs:
        logs[run.config_id][run.block].append(math.log(run.value))
        arms[run.config_id].add(run.arm)
    return {
        config: {
            block: math.exp(math.fsum(found) / len(found))
            for block, found in own.items()
            if len(found) == len(arms[config])
        }
        for config, own in logs.items()
    }


def orders_of(
    connection: sa.Connection, campaign_ids: Iterable[int]
) -> dict[int, dict[int, list[int]]]:
    """Campaign → block → configurations in the order in which they ran, also in runs that don't
    count."""
    r = RUN.c
    found: dict[int, dict[int, list[int]]] = {campaign: {} for campaign in campaign_ids}
    query = (
        sa.select(r.campaign_id, r.block, r.config_id)
        .where(among(r.campaign_id, found))
        .order_by(r.block, r.started_at, r.id)
    )
    for campaign, block, config in connection.execute(query):
        order = found[campaign].setdefault(block, [])
        if config not in order:
            order.append(config)
    return found


def gains_log(
    records: Records,
    metric: str,
    energy_class: str,
    own: Sequence[OneRun],
    base: Sequence[OneRun],
) -> float | None:
    """Standard uncertainty that boards' gains give the mean log-ratio of two configurations; 0
    where they ran on the same boards alike; None where that is not known."""
    name, _ = source_of(metric)
    if not has_gain(name):
        return 0.0
    boards = {r.boards for r in (*own, *base)}
    alone = len(boards) == 1 and energy_class == "gpu" and "," not in next(iter(boards))
    if alone and next(iter(boards)):
        return 0.0
    sides: list[Mapping[int, Row]] = []
    for runs in (own, base):
        rows = {}
        for run in runs:
            facts = records.of(run)
            if facts is None or energy_class not in facts.shares:
                return None
            rows[run.block] = as_row(run, metric, energy_class, facts)
        sides.append(rows)
    return shared_log(sides[0], sides[1], name, energy_class)


def as_row(run: OneRun, metric: str, energy_class: str, facts: Facts | None) -> Row:
    """As the analysis of a folder has it. The run counts already: what decides that is left out."""
    name, part = source_of(metric)
    r = run.row._mapping
    where = f"{run.block}/{run.arm}/{r['attempt']}"
    return Row(
        outcome=Outcome(
            arm_id=str(run.arm),
            block=run.block,
            block_pass=0,
            attempt=r["attempt"],
            kind="record",
            failure_kind=None,
            consequence="info",
            started_at="",
            ended_at="",
            boot_id="",
            device_set=(),
            path=where,
        ),
        run_id=where,
        experiment_id=r["experiment_id"],
        campaign="",
        semantics=0,
        hardware=facts.hardware if facts is not None else r["device_model"],
        meters={energy_class: r["meter_class"]},
        flags=(),
        message="",
        metrics={name: {part or part_of(name, energy_class): Figure(run.value, run.uncertainty)}},
        shares=facts.shares if facts is not None else {},
        scored=facts.scored if facts is not None else None,
    )


def part_of(name: str, energy_class: str) -> str:
    """The part of a metric that the archive's figure is of."""
    return energy_class if has_gain(name) else ""


def campaigns_with(
    connection: sa.Connection, config_ids: Sequence[int], tier: int
) -> dict[int, set[int]]:
    """Campaign's row → those of the configurations of which it has counted runs, where two or more
    are there."""
    query = (
        sa.select(RUN.c.campaign_id, RUN.c.config_id)
        .where(among(RUN.c.config_id, config_ids), RUN.c.counted, RUN.c.tier >= tier)
        .distinct()
    )
    found: dict[int, set[int]] = defaultdict(set)
    for campaign, config in connection.execute(query):
        found[campaign].add(config)
    return {campaign: configs for campaign, configs in found.items() if len(configs) > 1}
