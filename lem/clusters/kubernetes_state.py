"""What the cluster says of a Job and its pods, read. Pure; nothing of it is taken on trust."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from lem.clusters.kubernetes_job import ORDER
from lem.clusters.protocol import Task
from lem.config.kubernetes_spec import QUEUE

INDEX = "batch.kubernetes.io/job-completion-index"
MAX_INDEX = 10**6
LOST_S = 120.0
"""A pod that should have ended so long ago is on a node that nobody hears of."""
MAX_WORDS = 300
_RANGE = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7}))?")
_LEFT_OUT = ("PodInitializing", "ContainerCreating")
"""Reasons for waiting that tell nothing."""


def name_of(thing: Mapping[str, Any]) -> str:
    """The order that a Job or pod is of, by its label."""
    return str(_dict(_dict(thing, "metadata"), "labels").get(ORDER, ""))


def over(job: Mapping[str, Any]) -> bool:
    """Whether it does nothing any more."""
    return any(
        c.get("type") in ("Complete", "Failed") and c.get("status") == "True"
        for c in _list(_dict(job, "status"), "conditions")
    )


def deleted(thing: Mapping[str, Any]) -> bool:
    """Whether somebody has asked for its end."""
    return "deletionTimestamp" in _dict(thing, "metadata")


def unfinished(job: Mapping[str, Any]) -> set[int]:
    """The indices that have neither succeeded nor failed."""
    status, completions = _dict(job, "status"), _dict(job, "spec").get("completions")
    if over(job) or not isinstance(completions, int):
        return set()
    done = {i for n in ("completedIndexes", "failedIndexes") for i in indices(status.get(n))}
    return set(range(min(completions, MAX_INDEX))) - done


def indices(text: object) -> set[int]:
    """``1,3-5`` as numbers; what is not of that form is none."""
    found: set[int] = set()
    for part in text.split(",") if isinstance(text, str) else ():
        if (m := _RANGE.fullmatch(part)) is not None:
            first, last = int(m[1]), int(m[2] or m[1])
            found.update(range(first, min(last, MAX_INDEX) + 1))
    return found


def tasks(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], now: datetime) -> list[Task]:
    """What of a Job is not over. A pod that does not end, though it should long have, is taken for
    lost: its block is not with anybody."""
    name = name_of(job)
    if deleted(job):
        return [Task(name, i, "cancelled", "") for i in sorted(unfinished(job))]
    newest: dict[int, Mapping[str, Any]] = {}
    for pod in sorted(pods, key=_age):
        number = _dict(_dict(pod, "metadata"), "labels").get(INDEX, "")
        ended = _dict(pod, "status").get("phase") in ("Succeeded", "Failed")
        if name_of(pod) == name and str(number).isdigit() and not ended:
            newest[int(number)] = pod
    found = []
    for index in sorted(unfinished(job)):
        own = newest.get(index)
        if own is None:
            found.append(Task(name, index, "waiting", _held_up(job)))
        elif not _lost(own, now):
            state: Literal["running", "waiting"] = "running" if _begun(own) else "waiting"
            where = str(_dict(own, "spec").get("nodeName") or "")
            told = where if state == "running" else why(own) or where
            found.append(Task(name, index, state, told))
    return found


def _held_up(job: Mapping[str, Any]) -> str:
    """Why there is no pod."""
    if _dict(job, "spec").get("suspend") is not True:
        return "no pod yet"
    queue = _dict(_dict(job, "metadata"), "labels").get(QUEUE)
    return f"Suspended: in the queue {queue}" if isinstance(queue, str) else "Suspended"


def ended(pod: Mapping[str, Any]) -> tuple[str, int | None, str]:
    """Its phase, and how its first container ended: exit status and reason."""
    status = _dict(pod, "status")
    end = next((_dict(_dict(s, "state"), "terminated") for s in _statuses(pod)), {})
    code = end.get("exitCode")
    reason = str(end.get("reason") or status.get("reason") or "")
    return str(status.get("phase", "")), code if isinstance(code, int) else None, reason


def image_id(pod: Mapping[str, Any]) -> str:
    """What the node calls the image of its first container."""
    return str(next((s.get("imageID") or "" for s in _statuses(pod)), ""))


def _age(pod: Mapping[str, Any]) -> str:
    return str(_dict(pod, "metadata").get("creationTimestamp", ""))


def _lost(pod: Mapping[str, Any], now: datetime) -> bool:
    when = _dict(pod, "metadata").get("deletionTimestamp")
    try:
        # It lies in the future by the time that the pod was given to end.
        return when is not None and (now - datetime.fromisoformat(when)).total_seconds() > LOST_S
    except (TypeError, ValueError):
        return False


def _statuses(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    status = _dict(pod, "status")
    return [*_list(status, "initContainerStatuses"), *_list(status, "containerStatuses")]


def _begun(pod: Mapping[str, Any]) -> bool:
    """Whether a container of it runs or has run. (While its init containers run, its phase is
    ``Pending``.)"""
    states = [_dict(s, "state") for s in _statuses(pod)]
    return any("running" in s or "terminated" in s for s in states)


def why(pod: Mapping[str, Any]) -> str:
    """Why it waits: ``Unschedulable: 0/3 nodes …``."""
    for status in _statuses(pod):
        waiting = _dict(_dict(status, "state"), "waiting")
        if waiting.get("reason") not in (None, *_LEFT_OUT):
            return _words(waiting)
    for condition in _list(_dict(pod, "status"), "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _words(condition)
    return ""


def _words(of: Mapping[str, Any]) -> str:
    text = ": ".join(str(of[n]) for n in ("reason", "message") if of.get(n))
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= MAX_WORDS else f"{plain[:MAX_WORDS]}…"


def _dict(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _list(of: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = of.get(name)
    return [f for f in found if isinstance(f, dict)] if isinstance(found, list) else []
