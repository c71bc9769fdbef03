"""One queued campaign: while it waits, while it runs, and replayed."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Path, Request, Response

from lem.analysis.text import plain
from lem.archive.queries.submitted import CampaignAnswer, campaign
from lem.archive.queue.listing import DeclinedBy, QueuedAnswer, QueueQuestion, queue, queued
from lem.archive.queue.runners import RunnerRow, listed
from lem.archive.refused import Refused
from lem.server.auth import Asking, Here, asking
from lem.server.platform.live_page import TEMPLATE, LivePage
from lem.server.platform.shell import page
from lem.server.platform.words import hardware, moment
from lem.server.problems import HttpProblem
from lem.web.strings import text

router = APIRouter(include_in_schema=False)
QueuedPath = Annotated[str, Path(pattern=r"^q[0-9a-f]{20}$")]
COMPARED = 6
"""Configurations that fit side by side."""
OTHERS = 30
SHOWN_ID = 16


@router.get("/live/{queued_id}", name="page live")
def get_live(request: Request, service: Here, queued_id: QueuedPath) -> Response:
    with service.database.reading() as connection:
        found = queued(connection, queued_id)
        archived = _archived(connection, found)
        machine = _machine(connection, found)
        others = _others(connection, queued_id)
    shown = live_page(found, archived, machine, others, _may_cancel(service, request, found))
    return page(
        request,
        service,
        "live",
        TEMPLATE,
        text("live.title", name=plain(shown.name)),
        text("live.description"),
        {"shown": shown},
        {"id": queued_id},
    )


def live_page(
    found: QueuedAnswer,
    archived: CampaignAnswer | None,
    machine: RunnerRow | None,
    others: list[dict[str, str]],
    mine: bool,
) -> LivePage:
    api = "/api/v1"
    configurations = archived.configurations[:COMPARED] if archived else []
    return LivePage(
        id=found.id,
        name=found.name or text("live.unnamed"),
        state=found.state,
        events=f"{api}/campaigns/{found.id}/events",
        recording=f"{api}/campaigns/{found.id}/recording",
        position=found.position,
        reason=found.reason,
        yaml=found.yaml,
        facts=_facts(found, archived, machine),
        declined=[_declined(d) for d in found.declined],
        archived=archived.campaign.id if archived else None,
        compared=[("id", c[:SHOWN_ID]) for c in configurations] if len(configurations) > 1 else (),
        queue=f"{api}/queue/{found.id}",
        cancel=f"{api}/queue/{found.id}/cancel",
        mine=mine,
        others=others,
        other_recording=f"{api}/campaigns/ID/recording",
    )


def _facts(
    found: QueuedAnswer, archived: CampaignAnswer | None, machine: RunnerRow | None
) -> list[tuple[str, str]]:
    facts = [("experiments", str(found.experiments))]
    if archived is not None:
        facts.append(("runs", str(archived.runs)))
    facts += [("by", found.person.name), ("queued_at", moment(found.created_at))]
    facts.append(("runner", found.runner.name if found.runner else text("live.nobody")))
    if machine is not None:
        facts.append(("hardware", hardware(machine.hardware)))
    if found.unfinished_before:
        facts.append(("unfinished", text("live.unfinished_before", n=found.unfinished_before)))
    return facts


def _declined(found: DeclinedBy) -> tuple[str, str]:
    why = found.reason or text(f"live.declined_as.{found.outcome}")
    until = "" if found.until is None else text("live.declined_until", time=moment(found.until))
    return found.runner.name, f"{why} {until}".strip()


def _archived(connection: sa.Connection, found: QueuedAnswer) -> CampaignAnswer | None:
    """What is measured of it, where that is to be seen."""
    if found.campaign is None:
        return None
    try:
        return campaign(connection, found.campaign)
    except Refused:
        return None


def _machine(connection: sa.Connection, found: QueuedAnswer) -> RunnerRow | None:
    if found.runner is None:
        return None
    return next((r for r in listed(connection) if r.id == found.runner.id), None)


def _others(connection: sa.Connection, here: str) -> list[dict[str, str]]:
    done = queue(connection, QueueQuestion(state="done", limit=OTHERS)).rows
    return [{"id": row.id, "name": row.name} for row in done if row.id != here]


def _may_cancel(service: Here, request: Request, found: QueuedAnswer) -> bool:
    try:
        who: Asking | None = asking(service, request)
    except HttpProblem:
        # Whoever shows a wrong token sees the page as everybody does.
        return False
    if who is None:
        return False
    return who.grant.role == "admin" or who.grant.person == found.person.id
