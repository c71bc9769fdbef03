"""Campaigns as they are in the archive."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from lem.analysis.comparison import ArmInfo
from lem.analysis.naming import arms_of_lock, readable_names
from lem.archive.database import once, once_each
from lem.archive.queries.among import among
from lem.archive.queries.answer import CampaignId, ConfigurationId
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN, CONFIG, IDENTITY, RUN, SUBMISSION
from lem.contract.base import MAX_DOCUMENT_BYTES
from lem.contract.lock import Lock
from lem.submit.pack import unpacked

_NAME = "name of a campaign"
KEPT_BYTES = 256 * 1024
"""Of a lock: some hundred arms. What anybody may send has no bound but 64 MiB."""


def campaign_of(connection: sa.Connection, campaign: CampaignId) -> sa.Row[Any]:
    """Its row with ``submitter`` and ``enrolled_by``. Raises :class:`Refused` (404)."""
    owner, _, identity = campaign.partition("-")
    c = CAMPAIGN.c

    def find() -> sa.Row[Any]:
        query = (
            sa.select(CAMPAIGN, IDENTITY.c.name.label("submitter"), IDENTITY.c.enrolled_by)
            .join(IDENTITY, IDENTITY.c.id == c.identity_id)
            .where(c.owner == owner, c.identity_id == int(identity))
        )
        found = connection.execute(query).first()
        if found is None:
            raise Refused("no_such_campaign", "there is no such campaign here", 404)
        return found

    found = once(connection, ("campaign", owner, identity), find, lambda row: _is_small(row.lock))
    # Whoever has it from here asks for these by its row's id.
    once(connection, ("lock", found.id), lambda: found.lock, _is_small)
    once_each(
        connection,
        _NAME,
        [int(found.id)],
        lambda _: {int(found.id): f"{found.owner}-{found.identity_id}"},
    )
    return found


class AlikeRuns(NamedTuple):
    """How many runs of a campaign have all of this in common."""

    config_id: int
    configuration: ConfigurationId
    arm: int
    counted: bool
    flags: str
    """Joined by commas."""
    runs: int


def runs_in_short(connection: sa.Connection, campaign_id: int) -> list[AlikeRuns]:
    """Of the campaign whose row has this id: every run stands in one of these."""

    def find() -> list[AlikeRuns]:
        alike = (RUN.c.config_id, CONFIG.c.hash, RUN.c.arm, RUN.c.counted, RUN.c.flags)
        query = (
            sa.select(*alike, sa.func.count())
            .join(CONFIG, CONFIG.c.id == RUN.c.config_id)
            .where(RUN.c.campaign_id == campaign_id)
            .group_by(*alike)
        )
        return [AlikeRuns(*row) for row in connection.execute(query).all()]

    return once(connection, ("runs in short", campaign_id), find)


def submitters_of(connection: sa.Connection, campaign_ids: Iterable[int]) -> dict[int, list[str]]:
    """Who sent something of the campaigns whose rows have these ids, the first first. One that came
    from the queue may have been run by several; every other has one."""
    s = SUBMISSION.c

    def find(missing: list[int]) -> dict[int, list[str]]:
        first = sa.func.min(s.id)
        rows = connection.execute(
            sa.select(s.campaign_id, IDENTITY.c.name)
            .join(IDENTITY, IDENTITY.c.id == s.identity_id)
            .where(among(s.campaign_id, missing))
            .group_by(s.campaign_id, s.identity_id, IDENTITY.c.name)
            .order_by(s.campaign_id, first)
        )
        found: dict[int, list[str]] = {}
        for campaign, name in rows:
            found.setdefault(campaign, []).append(name)
        return found

    return once_each(connection, "submitters of a campaign", campaign_ids, find)


def names_of(connection: sa.Connection, campaign_ids: Iterable[int]) -> dict[int, CampaignId]:
    """Of the campaigns whose rows have these ids."""
    c = CAMPAIGN.c

    def find(missing: list[int]) -> dict[int, CampaignId]:
        query = sa.select(c.id, c.owner, c.identity_id).where(among(c.id, missing))
        return {row.id: f"{row.owner}-{row.identity_id}" for row in connection.execute(query)}

    return once_each(connection, _NAME, campaign_ids, find)


def lock_of(connection: sa.Connection, campaign_id: int) -> Lock | None:
    """The campaign's public lock; None where it was submitted without."""

    def find() -> bytes | None:
        query = sa.select(CAMPAIGN.c.lock).where(CAMPAIGN.c.id == campaign_id)
        packed: bytes | None = connection.execute(query).scalar_one()
        return packed

    packed = once(connection, ("lock", campaign_id), find, _is_small)
    return parsed(bytes(packed)) if packed else None


def _is_small(packed: bytes | None) -> bool:
    return packed is None or len(packed) <= KEPT_BYTES


def locks_of(connection: sa.Connection, campaign_ids: Sequence[int]) -> dict[int, Lock]:
    """Of those campaigns that were submitted with one."""
    c = CAMPAIGN.c
    query = sa.select(c.id, c.lock).where(among(c.id, campaign_ids), sa.func.length(c.lock) > 0)
    return {row.id: parsed(bytes(row.lock)) for row in connection.execute(query)}


class Known(NamedTuple):
    """A campaign's row, as far as its arms need it."""

    id: int
    name: str
    lock: Lock | None


def known(connection: sa.Connection, campaigns: Sequence[CampaignId]) -> dict[CampaignId, Known]:
    """Those of them that are here, in their order."""
    c = CAMPAIGN.c
    wanted = [(owner, int(i)) for owner, _, i in (one.partition("-") for one in campaigns)]
    query = sa.select(c.id, c.owner, c.identity_id, c.name, c.lock).where(
        among(sa.tuple_(c.owner, c.identity_id), wanted)
    )
    found = {f"{row.owner}-{row.identity_id}": row for row in connection.execute(query)}
    return {
        one: Known(row.id, row.name, parsed(bytes(row.lock)) if row.lock else None)
        for one in campaigns
        if (row := found.get(one)) is not None
    }


def parsed(packed: bytes) -> Lock:
    """A campaign's lock out of its column. Locks never change, and several queries of one answer
    look at the same: small ones are parsed once."""
    text = unpacked(packed, MAX_DOCUMENT_BYTES)
    return _kept(text) if len(text) <= KEPT_BYTES else Lock.parse(text)


class NamedArms(NamedTuple):
    """A campaign's arms in its order, and what each is called. Nobody may change them: they are
    kept as :func:`parsed` keeps locks."""

    infos: tuple[ArmInfo, ...]
    names: Mapping[str, str]
    """Arm id → name."""


def arms_of(packed: bytes, lock: Lock) -> NamedArms:
    """``packed``: the lock as it is in its column."""
    text = unpacked(packed, MAX_DOCUMENT_BYTES)
    return _kept_arms(text) if len(text) <= KEPT_BYTES else _arms(lock)


@lru_cache(maxsize=64)
def _kept(text: bytes) -> Lock:
    return Lock.parse(text)


@lru_cache(maxsize=64)
def _kept_arms(text: bytes) -> NamedArms:
    return _arms(_kept(text))


def _arms(lock: Lock) -> NamedArms:
    infos = tuple(arms_of_lock(lock))
    return NamedArms(infos, MappingProxyType(readable_names(infos)))
