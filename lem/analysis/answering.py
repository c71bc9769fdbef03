"""Which runs' energies of answering questions, and likelihoods of a text, may stand beside each
other. Pure."""

from collections.abc import Iterable, Mapping

from lem.contract.objectives import NLL, PER_ANSWER
from lem.errors import BadInput
from lem.stores.answering import Answering
from lem.stores.rows import Row

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
    """Raises :class:`BadInput` where :func:`apart` says why the runs have no ratio in it."""
    if why := apart(rows, metric):
        path = "model.id" if metric == NLL else "backend"
        raise BadInput(why, hint=f"look at those that are alike: --where {path}=…")


def apart(rows: Iterable[Row], metric: str) -> str:
    """Why the metric is of one thing in some of these runs and of another in others: of answering
    questions, where that was not done alike, or of a text's likelihood, where that was cut into
    other tokens. Empty where it is of the same in all."""
    if metric in PER_ANSWER and (why := difference(rows)):
        return f"{metric} is not of the same work in all runs: {why}"
    if metric == NLL and (why := _other_tokens(rows)):
        return f"{metric} is not of the same tokens in all runs: {why}"
    return ""


def _other_tokens(rows: Iterable[Row]) -> str:
    """As comparisons have it (``lem/analysis/quality.py``)."""
    found = {r.scored for r in rows if r.scored is not None}
    if len(found) < 2:
        return ""
    if len({s.text for s in found}) > 1:
        return "the texts were others"
    counts = sorted({s.tokens or 0 for s in found})
    listed = " or ".join(str(n) if n else "an unknown number of" for n in counts)
    return f"their tokenizers cut the text into {listed} tokens"


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
