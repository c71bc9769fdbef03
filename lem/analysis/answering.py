"""Which runs' energies of answering questions may stand beside each other. Pure."""

from collections.abc import Iterable, Mapping

from lem.errors import BadInput
from lem.stores.answering import Answering
from lem.stores.index import Row

PER_ANSWER = ("energy_per_answer_j", "energy_per_correct_answer_j")
Runs = Mapping[int, Row]
"""Block → the run that counts."""


def unlike(arms: Mapping[str, Runs], baseline: str, metric: str) -> dict[str, str]:
    """Arms whose energy per answer has no ratio to the baseline's, and why: their questions were
    others, or were answered by other work. Empty for metrics of anything else.

    Raises :class:`BadInput` where the baseline's own runs differ, or no arm is left.
    """
    base = arms.get(baseline, {})
    if metric not in PER_ANSWER or not base:
        return {}
    if why := difference(base.values()):
        raise BadInput(f"{metric} cannot be compared: in the baseline's own runs {why}")
    found = {}
    for arm, own in arms.items():
        if arm != baseline and (why := difference([*base.values(), *own.values()])):
            found[arm] = why
    others = arms.keys() - {baseline}
    if others and found.keys() == others:
        whys = "; ".join(sorted(set(found.values())))
        raise BadInput(
            f"{metric} cannot be compared, since no arm answered as the baseline did: {whys}",
            hint="--baseline picks another; without --metric accuracy stands beside energy per"
            " token",
        )
    return found


def check_alike(rows: Iterable[Row], metric: str) -> None:
    """Raises :class:`BadInput` where the metric is of answering questions, and that was not the
    same in all runs."""
    if metric in PER_ANSWER and (why := difference(rows)):
        raise BadInput(
            f"{metric} is not of the same work in all runs: {why}",
            hint="look at those that are alike: --where backend=…",
        )


def difference(rows: Iterable[Row]) -> str:
    """In what the work of answering differed between these runs; empty where in nothing."""
    found = [r.answering for r in rows if r.answering is not None]
    ways = sorted({_way(a) for a in found})
    if len(ways) > 1:
        return f"answers were {' or '.join(ways)}"
    metrics = sorted({a.metric or "" for a in found})
    if len(metrics) > 1:
        return f"answers were judged by {' or '.join(metrics)}"
    if len({a.questions for a in found}) > 1:
        return "the questions were others"
    unscored = sorted({a.unscored for a in found})
    if len(unscored) > 1:
        listed = " or ".join(str(n) for n in unscored)
        return f"{listed} questions did not fit into the context, so others were answered"
    return ""


def _way(answering: Answering) -> str:
    how = answering.scored_by
    return "written" if how is None else f"scored by {how}"
