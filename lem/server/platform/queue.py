"""Which campaigns wait, run and have finished, and which machines run them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from lem.archive.queue.listing import QueuedRow, QueueQuestion, queue
from lem.archive.queue.runners import RunnerRow, listed
from lem.server.auth import Here
from lem.server.platform.shell import page
from lem.server.platform.words import accepts, hardware, moment, short
from lem.web.strings import text

router = APIRouter(include_in_schema=False)
RUNNING, WAITING, FINISHED = 100, 100, 20


@router.get("/queue", name="page queue")
def get_queue(
    request: Request, service: Here, cursor: Annotated[str | None, Query(max_length=400)] = None
) -> Response:
    """``cursor``: older finished campaigns begin there."""
    with service.database.reading() as connection:
        running = queue(connection, QueueQuestion(state="running", limit=RUNNING))
        waiting = queue(connection, QueueQuestion(state="queued", limit=WAITING))
        ended = queue(connection, QueueQuestion(limit=FINISHED, cursor=cursor))
        machines = listed(connection)
    by_id = {m.id: m for m in machines}
    over = [row for row in ended.rows if row.state not in ("queued", "running")]
    context: dict[str, Any] = {
        "running": [_row(row, by_id) for row in running.rows],
        "waiting": [_row(row, by_id) for row in waiting.rows],
        "more_waiting": waiting.waiting - len(waiting.rows),
        "finished": [_row(row, by_id) for row in over],
        "next": ended.next,
        "machines": [_machine(m) for m in machines],
        "as_of": datetime.now(UTC).strftime("%H:%M"),
    }
    title, description = text("queue.title"), text("queue.description")
    return page(request, service, "queue", "queue.html", title, description, context)


def _row(row: QueuedRow, machines: dict[str, RunnerRow]) -> dict[str, Any]:
    machine = machines.get(row.runner.id) if row.runner else None
    return {
        "id": row.id,
        "name": row.name or text("live.unnamed"),
        "by": row.person.name,
        "state": row.state,
        "reason": row.reason,
        "position": row.position,
        "experiments": row.experiments,
        "models": row.models,
        "backends": row.backends,
        "runner": row.runner.name if row.runner else None,
        "hardware": short(machine.hardware) if machine else None,
        "doing": row.doing,
        "since": moment(row.began_at if row.state == "running" else row.created_at),
        "ended": moment(row.ended_at),
    }


def _machine(found: RunnerRow) -> dict[str, Any]:
    return {
        "name": found.name,
        "hardware": hardware(found.hardware),
        "accepts": accepts(found.accepts),
        "online": found.online,
        "seen": moment(found.seen_at),
        "doing": found.doing,
        "queued": found.queued,
    }
