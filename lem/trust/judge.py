"""What the server may believe of one submitted run, and why. Pure: files in, findings out."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import lem
from lem.contract.lock import Lock
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.record import Metrics, Record
from lem.contract.submission import Finding
from lem.errors import BadInput
from lem.trust import traits
from lem.trust.case import Case
from lem.trust.files import TooLarge, TooOld, responses_of, samples_of
from lem.trust.plausibility import findings as of_rules
from lem.trust.recompute import (
    CannotRecompute,
    Recomputed,
    differences,
    flags_differ,
    recompute,
)
from lem.trust.rules import RULES
from lem.trust.tiers import RECOMPUTED, SELF_REPORTED
from lem.trust.traits import Traits

DETAIL_CHARACTERS = 300
UNEXPECTED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What arithmetic on nonsense may end in. It is a finding of the run, never the server's end."""


class Judgement(NamedTuple):
    tier: int
    """``SELF_REPORTED`` or ``RECOMPUTED`` of :mod:`lem.trust.tiers`."""
    findings: list[Finding]
    recomputed: Metrics
    """Every figure as it follows from the files; empty where they cannot be used. The record's
    own, which the archive shows, are the same where there is no finding."""
    traits: Traits
    """What :func:`lem.trust.traits.across` compares between the runs of a campaign."""


def judge(
    record: Record,
    trace: bytes,
    responses: bytes,
    *,
    lock: Lock | None = None,
    now: datetime | None = None,
) -> Judgement:
    """Judge a run by its files: ``trace`` and ``responses`` are the gzip bytes as submitted.

    ``lock``: its campaign's, where it is known; ``now``: when it was received (UTC; the present
    where it is not given). Never raises for what the files hold.
    """
    now = datetime.now(UTC) if now is None else now
    found: list[tuple[str, str]] = []
    metrics: Metrics = {}
    own = traits.unread(record, trace)
    try:
        samples, answers = samples_of(trace), responses_of(responses)
        own = traits.of(record, trace, samples)
        again = recompute(record, samples, answers)
        metrics = again.metrics
        case = Case(record, samples, answers, again, lock, now)
        found += _of_figures(record, again)
        found += of_rules(case)
    except TooLarge as e:
        found.append(("too_large", e.message))
    except (CannotRecompute, TooOld) as e:
        found.append(("not_recomputable", e.message))
    except BadInput as e:
        found.append(("files_unreadable", e.message))
    except UNEXPECTED as e:
        found.append(("not_recomputable", f"{type(e).__name__} in working it out"))
    told = [_finding(name, detail, record) for name, detail in found]
    held = any(f.consequence != "note" for f in told)
    return Judgement(SELF_REPORTED if held else RECOMPUTED, told, metrics, own)


def across(runs: Iterable[Traits], lock: Lock | None = None) -> list[Finding]:
    """What the runs of one campaign say of each other; see :func:`lem.trust.traits.across`."""
    return [
        Finding(
            rule=name,
            consequence=RULES[name].consequence,
            detail=detail[:DETAIL_CHARACTERS],
            block=t.block,
            arm_id=t.arm_id,
        )
        for name, detail, t in traits.across(list(runs), lock)
    ]


def _of_figures(record: Record, again: Recomputed) -> Iterator[tuple[str, str]]:
    """What to make of figures and flags that are not the recomputed ones."""
    semantics = record.metric_semantics_version
    if semantics > METRIC_SEMANTICS_VERSION:
        yield "semantics_unknown", f"metric semantics {semantics}, here {METRIC_SEMANTICS_VERSION}"
    paths = differences(record, again)
    missing, unfounded = flags_differ(record, again)
    found = [
        ("figures_differ", paths),
        ("flags_missing", missing),
        ("flags_unfounded", unfounded),
    ]
    # What was true of an old definition, or by an older rule of lem's, is no forgery.
    old = semantics < METRIC_SEMANTICS_VERSION
    other = record.environment.lem_version != lem.__version__
    for rule, what in found:
        if what:
            name = "semantics_old" if old else "figures_of_another_version" if other else rule
            yield name, f"{', '.join(what[:5])}{' …' if len(what) > 5 else ''}"


def _finding(rule: str, detail: str, record: Record) -> Finding:
    return Finding(
        rule=rule,
        consequence=RULES[rule].consequence,
        # A submitter's own words are in it: what a database cannot hold must not hide a finding.
        detail="".join(c if c.isprintable() else "?" for c in detail[:DETAIL_CHARACTERS]),
        block=record.block,
        arm_id=record.arm_id,
    )
