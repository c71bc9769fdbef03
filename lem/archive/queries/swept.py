"""Campaigns with the choices that each of them compared."""

import sqlalchemy as sa

from lem.analysis.attribute import factors_of
from lem.analysis.naming import arms_of_lock, noun
from lem.archive.queries.answer import Answer, Shape, head
from lem.archive.queries.attribute import Factor
from lem.archive.queries.campaigns import known
from lem.archive.queries.cursor import CursorText
from lem.archive.queries.filters import Question
from lem.archive.queries.submitted import Campaign, CampaignsQuestion, campaigns
from lem.contract.lock import Lock
from lem.errors import BadInput

PAGE = 20
"""Campaigns that are looked at for one answer: the lock of each is read."""
MOST_MODELS = 5


class SweptQuestion(Question):
    cursor: CursorText | None = None


class Swept(Shape):
    campaign: Campaign
    arms: int
    models: list[str]
    """At most :data:`MOST_MODELS`."""
    factors: list[Factor]
    """Empty where the arms are no complete grid."""
    paths: list[str]
    """What is swept, in words."""
    problem: str
    """Why there are no factors."""


class SweptCampaigns(Answer):
    looked_at: int
    rows: list[Swept]
    """Those that compare two or more arms."""
    next: str | None


def swept(connection: sa.Connection, question: SweptQuestion) -> SweptCampaigns:
    """Complete campaigns, the newest first. Raises :class:`Refused` (400) for a cursor that is
    none."""
    asked = CampaignsQuestion(state="complete", limit=PAGE, cursor=question.cursor)
    page = campaigns(connection, asked)
    locks = known(connection, [campaign.id for campaign in page.rows])
    found = [_of(campaign, locks[campaign.id].lock) for campaign in page.rows]
    return SweptCampaigns(
        **head(connection).fields(),
        looked_at=len(page.rows),
        rows=[one for one in found if one is not None and one.arms > 1],
        next=page.next,
    )


def _of(campaign: Campaign, lock: Lock | None) -> Swept | None:
    """None without a lock."""
    if lock is None:
        return None
    arms = arms_of_lock(lock)
    factors, problem = [], ""
    if lock.adaptive is not None:
        problem = "its experiments were chosen while it ran"
    else:
        try:
            factors = factors_of(arms)
        except BadInput as e:
            problem = e.problems[0].message
    return Swept(
        campaign=campaign,
        arms=len(arms),
        models=list(dict.fromkeys(a.experiment.model.id for a in lock.arms))[:MOST_MODELS],
        factors=[Factor(path=f.path, noun=f.noun, values=list(f.values)) for f in factors],
        paths=list(dict.fromkeys(noun(p) for a in arms for p in a.settings)),
        problem=problem,
    )
