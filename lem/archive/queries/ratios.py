"""The ratio of two configurations, from the best that the archive has: blocks in which both ran, or
else two absolute figures."""

import math
from collections import defaultdict
from collections.abc import Mapping
from statistics import NormalDist
from typing import Literal, Protocol

import sqlalchemy as sa

from lem.analysis.gains import has_gain
from lem.analysis.quantities import quantity_of
from lem.analysis.words import changed
from lem.archive.queries.answer import (
    CampaignId,
    Configuration,
    Figure,
    Packs,
    Shape,
    better_of,
    source_of,
)
from lem.archive.queries.blocks import (
    OneRun,
    Records,
    campaigns_with,
    counted_runs,
    gains_log,
    orders_of,
    part_of,
    table_of,
)
from lem.archive.queries.campaigns import lock_of, locks_of, names_of
from lem.archive.queries.spread import on_boards, previous_of
from lem.contract.lock import Lock
from lem.stats import RatioEstimate, carry_over, ratios, verdict, with_shared
from lem.stores.scored import Scored

NLL = "nll_per_token"
LEVEL = 0.95
QUALITY_MARGIN = 0.02
"""A likelihood that is worse by more is said beside a saving."""
MAX_CAMPAIGNS = 20
"""Of those that have several of the configurations."""
Says = Literal["less", "more", "same", "cannot_tell"]
Table = Mapping[int, Mapping[int, float]]


class Elsewhere(Shape):
    campaign: CampaignId
    ratio: float
    low: float | None
    high: float | None
    blocks: int


class Ratio(Shape):
    """To the baseline."""

    basis: Literal["within campaign", "across campaigns"]
    """``within campaign``: mean over blocks of the ratio within each block, so that gains of boards
    and drift cancel. ``across campaigns``: ratio of two absolute figures, whose uncertainties both
    enter."""
    ratio: float | None
    low: float | None
    high: float | None
    level: float
    """Joint confidence of all intervals of this basis, with the number of comparisons. Across
    campaigns the interval is of expanded uncertainties (k = 2)."""
    comparisons: int
    blocks: int | None
    """Blocks that have both; None across campaigns."""
    campaign: CampaignId | None
    elsewhere: list[Elsewhere] = []
    """The same ratio in other campaigns: shown, not averaged."""
    reason: str | None
    """Why there is no interval."""
    verdict: Literal["less", "more", "same", "cannot_tell"]
    words: str


class Asked(Protocol):
    """Of a comparison's question."""

    @property
    def metric(self) -> str: ...
    @property
    def margin(self) -> float: ...


class Sides:
    """The configurations of one comparison, and what their runs say.

    The intervals hold jointly with ``LEVEL``: each ratio is from one source, and what may go wrong
    is divided among the sources by how many ratios each gives (Bonferroni); within one campaign it
    is shared by Dunnett's method.
    """

    def __init__(
        self,
        connection: sa.Connection,
        packs: Packs,
        asked: Asked,
        tier: int,
        configurations: Mapping[int, Configuration],
        figures: Mapping[tuple[int, str], Figure],
        base: int,
        *,
        runs: Mapping[int, list[OneRun]] | None = None,
    ) -> None:
        """``runs``: of these campaigns alone (their rows' ids), already read."""
        self._connection, self._asked, self._base = connection, asked, base
        self._configurations, self._figures = configurations, figures
        self._records = Records(connection, packs)
        self._scored: dict[int, Scored | None] = {}
        self._orders: Mapping[int, Mapping[int, list[int]]] = {}
        self._previous: Mapping[int, Mapping[int, int] | None] = {}
        self._biases: dict[int, Mapping[int, float]] = {}
        self._locks: Mapping[int, Lock | None] = {}
        self._notes: dict[str, None] = {}
        self._runs = self._found_runs(max(1, tier)) if runs is None else dict(runs)
        self._tables = {campaign: table_of(runs) for campaign, runs in self._runs.items()}
        self._first: dict[int, OneRun] = {}
        for run in (r for runs in self._runs.values() for r in runs):
            self._first.setdefault(run.config_id, run)
        self._others = len(configurations) - 1

    def notes(self) -> list[str]:
        return list(self._notes)

    def ratios(self) -> dict[int, Ratio]:
        """Configuration → its ratio to the baseline."""
        sources = {key: self._sources(key) for key in self._configurations if key != self._base}
        given: dict[int, list[int]] = defaultdict(list)
        for key, campaigns in sources.items():
            if campaigns:
                given[campaigns[0]].append(key)
        found: dict[int, Ratio] = {}
        for campaign, keys in given.items():
            level = 1 - (1 - LEVEL) * len(keys) / self._others
            for key, estimate in self._within(campaign, keys, level).items():
                elsewhere = [self._elsewhere(c, key) for c in sources[key][1:]]
                found[key] = self._ratio_within(campaign, key, estimate, elsewhere)
        for key in sources:
            if key not in found:
                found[key] = self._ratio_across(key)
        return found

    def _found_runs(self, tier: int) -> dict[int, list[OneRun]]:
        found = campaigns_with(self._connection, list(self._configurations), tier)
        most = sorted(found, key=lambda c: (-len(found[c]), c))[:MAX_CAMPAIGNS]
        if len(most) < len(found):
            self._note(f"{len(found)} campaigns have some of these; {len(most)} were looked at")
        metric = self._asked.metric
        # One statement each: for however many at once, their text would be one for each number of
        # them, and the database would plan its six tables anew.
        return {c: counted_runs(self._connection, c, metric, tier) for c in most}

    def _sources(self, key: int) -> list[int]:
        """Campaigns with blocks of both, those with most blocks first."""
        if not self._comparable(key):
            return []
        shared = {
            c: len(t.get(key, {}).keys() & t.get(self._base, {}).keys())
            for c, t in self._tables.items()
        }
        return sorted((c for c, n in shared.items() if n), key=lambda c: (-shared[c], c))

    def _comparable(self, key: int) -> bool:
        """Within blocks: energy read by the same kind of meter, likelihoods of the same tokens."""
        own, base = self._configurations[key], self._configurations[self._base]
        if has_gain(source_of(self._asked.metric)[0]) and own.meter_class != base.meter_class:
            self._note("energy read by different kinds of meters is not compared within blocks")
            return False
        if self._asked.metric == NLL and not self._same_tokens(key):
            self._note("likelihoods of other tokens (another tokenizer or text) have no ratio")
            return False
        return True

    def _within(
        self, campaign: int, keys: list[int], level: float
    ) -> dict[int, tuple[RatioEstimate, float]]:
        """Ratios with the bound on the bias of their logarithms by carry-over."""
        table = self._tables[campaign]
        if not self._locks:
            self._locks = self._read_locks()
        boards = on_boards(self._runs[campaign])
        estimates = ratios(
            {k: table[k] for k in (self._base, *keys)},
            self._base,
            pilot=_pilot(self._locks[campaign]),
            level=level,
            comparisons=len(keys),
            boards=boards,
            gains=None if boards is None else self._gains_on(campaign, keys, boards),
        )
        bias = self._bias(campaign)
        return {
            key: (self._with_gains(campaign, key, estimate), bias.get(key, 0.0))
            for key, estimate in estimates.items()
        }

    def _read_locks(self) -> Mapping[int, Lock | None]:
        """Of each campaign. That of one alone may be known already."""
        campaigns = list(self._runs)
        if len(campaigns) == 1:
            return {campaigns[0]: lock_of(self._connection, campaigns[0])}
        return dict.fromkeys(campaigns) | locks_of(self._connection, campaigns)

    def _bias(self, campaign: int) -> Mapping[int, float]:
        """Configuration → bound on the bias of its log-ratio; none where nothing is known."""
        if campaign not in self._biases:
            if not self._orders:
                self._orders = orders_of(self._connection, self._runs)
                spread = [c for c, r in self._runs.items() if len({x.boards for x in r}) > 1]
                self._previous = previous_of(self._connection, spread)
            carried = carry_over(
                self._tables[campaign],
                self._orders[campaign],
                self._base,
                previous=self._previous.get(campaign),
            )
            self._biases[campaign] = {} if carried is None else carried.bias
        return self._biases[campaign]

    def _gains_on(
        self, campaign: int, keys: list[int], boards: Mapping[int, str]
    ) -> dict[int, dict[str, float]]:
        """Configuration → boards → what their gains leave in its ratio there."""
        found: dict[int, dict[str, float]] = {}
        for key in keys:
            sides: dict[str, tuple[list[OneRun], list[OneRun]]] = defaultdict(lambda: ([], []))
            for run in self._runs[campaign]:
                if run.config_id in (key, self._base):
                    sides[boards[run.block]][run.config_id == self._base].append(run)
            energy_class = self._configurations[key].energy_class
            found[key] = {}
            for place, (own, base) in sides.items():
                if own and base:
                    left = gains_log(self._records, self._asked.metric, energy_class, own, base)
                    found[key][place] = math.inf if left is None else left
        return found

    def _with_gains(self, campaign: int, key: int, estimate: RatioEstimate) -> RatioEstimate:
        own, base = (
            [r for r in self._runs[campaign] if r.config_id == k] for k in (key, self._base)
        )
        energy_class = self._configurations[key].energy_class
        u_log = gains_log(self._records, self._asked.metric, energy_class, own, base)
        if u_log is not None:
            return with_shared(estimate, u_log)
        why = "how their energy was spread over boards, whose gains may differ, is not known"
        none = (None, None)
        return RatioEstimate(
            estimate.ratio, *none, estimate.n, estimate.sd_log, LEVEL, self._others, why
        )

    def _ratio_within(
        self,
        campaign: int,
        key: int,
        found: tuple[RatioEstimate, float],
        elsewhere: list[Elsewhere],
    ) -> Ratio:
        estimate, bias = found
        says = verdict(estimate, self._asked.margin, bias).says
        return Ratio(
            basis="within campaign",
            ratio=estimate.ratio,
            low=estimate.low,
            high=estimate.high,
            level=LEVEL,
            comparisons=self._others,
            blocks=estimate.n,
            campaign=self._name(campaign),
            elsewhere=elsewhere,
            reason=estimate.reason,
            verdict=says,
            words=self._words(key, estimate, says, "within blocks of one campaign"),
        )

    def _elsewhere(self, campaign: int, key: int) -> Elsewhere:
        estimate, _ = self._within(campaign, [key], LEVEL)[key]
        return Elsewhere(
            campaign=self._name(campaign),
            ratio=estimate.ratio,
            low=estimate.low,
            high=estimate.high,
            blocks=estimate.n,
        )

    def _ratio_across(self, key: int) -> Ratio:
        metric = self._asked.metric
        sides = [self._figures.get((k, metric)) for k in (key, self._base)]
        tokens_differ = metric == NLL and not self._same_tokens(key)
        estimate = None if tokens_differ else across(sides[0], sides[1], self._others)
        if estimate is None:
            why = "they are of other tokens" if tokens_differ else "one of them has no such figure"
            return self._no_ratio(why)
        says = verdict(estimate, self._asked.margin).says
        return Ratio(
            basis="across campaigns",
            ratio=estimate.ratio,
            low=estimate.low,
            high=estimate.high,
            level=LEVEL,
            comparisons=self._others,
            blocks=None,
            campaign=None,
            reason=estimate.reason,
            verdict=says,
            words=self._words(key, estimate, says, "of figures from different campaigns"),
        )

    def _no_ratio(self, why: str) -> Ratio:
        return Ratio(
            basis="across campaigns",
            ratio=None,
            low=None,
            high=None,
            level=LEVEL,
            comparisons=self._others,
            blocks=None,
            campaign=None,
            reason=why,
            verdict="cannot_tell",
            words=f"no ratio: {why}",
        )

    def _words(self, key: int, estimate: RatioEstimate, says: Says, basis: str) -> str:
        metric = self._asked.metric
        name, part = source_of(metric)
        noun = quantity_of(name, part or part_of(name, self._configurations[key].energy_class)).noun
        if says == "same":
            text = f"the same {noun} within ±{100 * self._asked.margin:g} %, {basis}"
        elif says == "cannot_tell":
            why = f" ({estimate.reason})" if estimate.reason else ""
            text = f"it cannot be told whether {noun} differs{why}, {basis}"
        else:
            text = f"{changed(estimate, noun)}, {basis}"
        return text + self._price(key, says)

    def _price(self, key: int, says: Says) -> str:
        """A saving of a model whose answers are worse is not free."""
        saves = says == ("more" if better_of(self._asked.metric) == "higher" else "less")
        own, base = (self._figures.get((k, NLL)) for k in (key, self._base))
        if not saves or self._asked.metric == NLL or own is None or base is None:
            return ""
        if base.value <= 0 or not self._same_tokens(key):
            return "; whether its answers are as good cannot be told from its likelihood"
        worse = own.value / base.value - 1
        return (
            f"; its NLL per token is {100 * worse:.2g} % higher" if worse > QUALITY_MARGIN else ""
        )

    def _same_tokens(self, key: int) -> bool:
        one, other = self._tokens(key), self._tokens(self._base)
        return one is not None and one == other

    def _tokens(self, key: int) -> Scored | None:
        """Of what its likelihood is; None where that is not known."""
        if not self._scored:
            self._records.expect(self._first.values())
        if key not in self._scored:
            read = self._first.get(key)
            facts = None if read is None else self._records.of(read)
            facts = facts or self._records.of_configuration(key)
            self._scored[key] = facts.scored if facts is not None else None
        return self._scored[key]

    def _name(self, campaign: int) -> str:
        return names_of(self._connection, self._runs)[campaign]

    def _note(self, text: str) -> None:
        self._notes[text] = None


def across(own: Figure | None, base: Figure | None, comparisons: int) -> RatioEstimate | None:
    """The ratio of two absolute figures. Both expanded uncertainties enter, on the logarithmic
    scale by their longer side (the lower one), in squares: the two may be read by the same meter,
    but nothing says so, and what they have in common only makes the interval too wide. For several
    comparisons it is wider than k = 2 by Bonferroni's factor of normal quantiles.
    """
    if own is None or base is None or own.value <= 0 or base.value <= 0:
        return None
    ratio = own.value / base.value
    without = [f.why_no_uncertainty for f in (own, base) if f.uncertainty is None]
    relative = [f.uncertainty / f.value for f in (own, base) if f.uncertainty is not None]
    reason = f"a figure has no uncertainty: {without[0]}" if without else None
    if reason is None and max(relative) >= 1:
        reason = "an uncertainty is as large as its figure"
    if reason is not None:
        return RatioEstimate(ratio, None, None, 0, None, LEVEL, comparisons, reason)
    normal = NormalDist()
    wider = normal.inv_cdf(1 - (1 - LEVEL) / 2 / comparisons) / normal.inv_cdf(0.5 + LEVEL / 2)
    half = wider * math.hypot(*(-math.log1p(-u) for u in relative))
    return RatioEstimate(
        ratio=ratio,
        low=ratio * math.exp(-half),
        high=ratio * math.exp(half),
        n=0,
        sd_log=None,
        level=LEVEL,
        comparisons=comparisons,
        half_width_log=half,
        half_width_same_log=half,
    )


def _pilot(lock: Lock | None) -> int | None:
    """Blocks from which the number of blocks was computed."""
    if lock is None or lock.adaptive is not None or lock.max_blocks is None:
        return None
    return lock.blocks if lock.precision is not None else None
