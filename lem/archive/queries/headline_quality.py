"""Whether two configurations of one campaign answer equally well, and keep what was promised."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa

from lem.analysis.quality import QUALITY_MARGIN, Seen, qualities
from lem.archive.queries.answer import Packs, Shape
from lem.archive.queries.blocks import OneRun, Records
from lem.archive.queries.members import Members, evenly
from lem.archive.queries.ratios import NLL
from lem.archive.refused import Refused
from lem.contract.record import Value
from lem.contract.spec import Experiment
from lem.contract.workload import Search
from lem.errors import BadInput

ATTAINMENT = "slo_attainment_share"
MOST_RUNS = 10
"""Of each configuration, whose records are read for how many requests met the objectives."""


class Quality(Shape):
    """Mean negative log-likelihood per token of one text, which is the same in both cases."""

    measured: bool
    """False: nothing was measured that tells whether answers are as good."""
    metric: Literal["nll_per_token"] = "nll_per_token"
    margin: float
    change: float | None = None
    """Other ÷ base − 1, mean over blocks; below 0: likelier, which is better. Its size is within
    ``margin`` in every block."""
    low: float | None = None
    high: float | None = None
    """The least and the largest over blocks."""
    blocks: int | None = None
    tokens: int | None = None
    """Of the text, by the model's tokenizer."""


class SloOf(Shape):
    limits: dict[str, float]
    """``ttft_ms``, ``tpot_ms``, ``e2e_ms``: limits that each request has to keep."""
    needed: float
    """Share of requests: the one that the search for a rate had, else ``Search``'s own."""
    base: float
    """Share of requests that kept them, mean over ``runs`` runs of each."""
    other: float
    runs: int


def quality_of(records: Records, base: Sequence[OneRun], other: Sequence[OneRun]) -> Quality | str:
    """That the likelihood is the same within the margin, or that nothing tells (it was not
    measured, or of which tokens it is is not known); else, in words, what is wrong."""
    if not all(any(r.row._mapping[NLL] is not None for r in runs) for runs in (base, other)):
        return Quality(measured=False, margin=QUALITY_MARGIN)
    seen: dict[str, dict[int, Seen]] = {}
    for name, runs in (("base", base), ("other", other)):
        seen[name] = _seen(records, runs)
        if any(s.nll_tokens is None for s in seen[name].values()):
            return Quality(measured=False, margin=QUALITY_MARGIN)
    found = qualities(seen, "base", margin=QUALITY_MARGIN)["other"]
    loss = found.losses.get("nll")
    if loss is None:
        return "; ".join(found.missing) or "its quality cannot be compared"
    if max(abs(loss.low), abs(loss.high)) > QUALITY_MARGIN:
        spread = f"{100 * loss.low:+.2g} to {100 * loss.high:+.2g}"
        return f"NLL per token differs by {100 * loss.value:+.2g} % ({spread})"
    return Quality(
        measured=True,
        margin=QUALITY_MARGIN,
        change=loss.value,
        low=loss.low,
        high=loss.high,
        blocks=loss.n,
        tokens=next(iter(seen["base"].values())).nll_tokens,
    )


def slo_of(
    connection: sa.Connection,
    packs: Packs,
    experiment: Experiment,
    base: Sequence[OneRun],
    other: Sequence[OneRun],
) -> SloOf | str | None:
    """How both kept the objectives; None where there are none; else, in words, what is wrong."""
    slo = experiment.workload.slo
    if not slo.any:
        return None
    rate = getattr(experiment.workload.arrival, "rate", None)
    needed = (rate if isinstance(rate, Search) else Search()).attainment
    shares = [_shares(connection, packs, runs) for runs in (base, other)]
    if not all(shares):
        return "how many of its requests met the objectives is not known"
    means = [sum(own) / len(own) for own in shares]
    if min(means) < needed:
        return f"only {100 * min(means):.3g} % of requests met the objectives"
    limits = {"ttft_ms": slo.ttft_ms, "tpot_ms": slo.tpot_limit_ms, "e2e_ms": slo.e2e_ms}
    return SloOf(
        limits={name: limit for name, limit in limits.items() if limit is not None},
        needed=needed,
        base=means[0],
        other=means[1],
        runs=min(map(len, shares)),
    )


def _seen(records: Records, runs: Sequence[OneRun]) -> dict[int, Seen]:
    """Block → its likelihood. Of which text in how many tokens, one record for each set of boards
    says; None where that is not known."""
    found: dict[int, Seen] = {}
    for run in runs:
        nll = run.row._mapping[NLL]
        if nll is None:
            continue
        facts = records.of(run)
        about = None if facts is None else facts.scored
        if about is None or about.text is None:
            found[run.block] = Seen(nll=nll)
        else:
            found[run.block] = Seen(nll=nll, nll_text=about.text, nll_tokens=about.tokens)
    return found


def _shares(connection: sa.Connection, packs: Packs, runs: Sequence[OneRun]) -> list[float]:
    """Of requests that met the objectives, of each run read; empty where one cannot be."""
    found: list[float] = []
    for run in (runs[i] for i in evenly(len(runs), MOST_RUNS)):
        try:
            record = Members(connection, packs, run.row).record()
        except (Refused, BadInput, OSError):
            return []
        value = record.metrics.get(ATTAINMENT)
        if not isinstance(value, Value):
            return []
        found.append(value.value)
    return found
