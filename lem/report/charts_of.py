"""Every chart of a campaign's folder, by kind: for ``lem results plot`` and the report. They are
made of what the tables are made of; nothing is worked out here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from lem.analysis.comparison import Comparison
from lem.analysis.results import Campaign
from lem.charts.model import AnyChart
from lem.contract.record import Record
from lem.errors import BadInput
from lem.meters.protocol import Sample
from lem.meters.sampling import trace
from lem.report import budget as budgets_
from lem.report import comparison_charts, front, load_curve, power_traces, shares, slopes
from lem.report.budget import Budget
from lem.stores.counted import counted
from lem.stores.outcomes import Outcome

Kind = Literal[
    "ratios", "energy", "scatter", "front", "attribution", "traces", "load-curve", "budget"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
TRACE = "trace.csv.gz"
ENERGY = "energy_per_output_token_j"
MOST_TRACES = 6
"""Arms of which a trace is drawn; of more, the baseline's and those with least and most energy."""
Budgets = Callable[[Record], Iterable[Budget]]
"""The budgets of a record's metrics. They are computed with the agent's own rules, which are not on
this floor."""


class Charts:
    """Of one campaign; each kind is made when it is asked for."""

    def __init__(self, campaign: Campaign, budgets: Budgets, hardware: str | None = None) -> None:
        self._campaign = campaign
        self._budgets = budgets
        self._hardware = hardware
        self._compared: Comparison | None = None

    def of(self, kind: Kind) -> list[AnyChart]:
        """The charts of one kind. Raises :class:`BadInput` with the reason where the campaign's
        runs allow none."""
        make: dict[Kind, Callable[[], Iterator[AnyChart]]] = {
            "ratios": self._ratios,
            "energy": self._energy,
            "scatter": self._scatter,
            "front": self._front,
            "attribution": self._attribution,
            "traces": self._traces,
            "load-curve": self._load_curve,
            "budget": self._budget,
        }
        found = list(make[kind]())
        if not found:
            raise BadInput(f"{self._campaign.name}: {_NONE[kind]}")
        return found

    def all(self, kinds: Sequence[Kind] = KINDS) -> tuple[list[AnyChart], dict[Kind, str]]:
        """The charts of these kinds, and of kinds that do not apply the reason."""
        charts: list[AnyChart] = []
        reasons: dict[Kind, str] = {}
        for kind in kinds:
            try:
                charts += self.of(kind)
            except BadInput as e:
                reasons[kind] = str(e.problems[0])
        return charts, reasons

    @property
    def comparison(self) -> Comparison:
        """As ``lem results compare`` prints it."""
        if self._compared is None:
            self._compared = self._campaign.compare(hardware=self._hardware)
        return self._compared

    def _ratios(self) -> Iterator[AnyChart]:
        c = self.comparison
        for quantity in c.quantities:
            if any(quantity.key in a.ratios for a in c.arms):
                yield comparison_charts.ratios(c, quantity)

    def _energy(self) -> Iterator[AnyChart]:
        for quantity in self.comparison.quantities:
            if (made := comparison_charts.energy(self.comparison, quantity)) is not None:
                yield made

    def _scatter(self) -> Iterator[AnyChart]:
        for quantity in self.comparison.quantities:
            if (made := comparison_charts.scatter(self.comparison, quantity)) is not None:
                yield made

    def _front(self) -> Iterator[AnyChart]:
        yield front.chart(self._campaign.pareto(hardware=self._hardware))

    def _attribution(self) -> Iterator[AnyChart]:
        found = self._campaign.attribute(hardware=self._hardware)
        metrics = list(dict.fromkeys(one.quantity.metric for one in found.found))
        gathered = self._campaign.gathered(metrics, hardware=self._hardware)
        for one in found.found:
            yield shares.chart(found, one)
            yield from slopes.charts(gathered, found, one)

    def _load_curve(self) -> Iterator[AnyChart]:
        for found in self._campaign.curves(hardware=self._hardware):
            yield load_curve.chart(found)

    def _traces(self) -> Iterator[AnyChart]:
        names = {a.arm.arm_id: a.name for a in self.comparison.arms}
        chosen = self._telling_arms()
        for outcome in self._first_runs():
            if outcome.arm_id in chosen and (self._at(outcome) / TRACE).is_file():
                record, samples = self._read(outcome)
                made = power_traces.chart(record, samples, names.get(outcome.arm_id, "one arm"))
                if made is not None:
                    yield made

    def _budget(self) -> Iterator[AnyChart]:
        baseline = self.comparison.baseline
        name = self.comparison.baseline_name
        for outcome in self._first_runs():
            if outcome.arm_id != baseline:
                continue
            record = self._campaign.entry(outcome.path).record
            if record is None:
                continue
            for one in self._budgets(record):
                if one.of == ENERGY:
                    made = budgets_.chart(one, record.run_id, f"{self._campaign.name}, {name}")
                    if made is not None:
                        yield made

    def _first_runs(self) -> list[Outcome]:
        """Of each arm the first run that counts."""
        first: dict[str, Outcome] = {}
        for outcome in counted(self._campaign.outcomes()):
            first.setdefault(outcome.arm_id, outcome)
        return list(first.values())

    def _telling_arms(self) -> set[str]:
        c = self.comparison
        if len(c.arms) <= MOST_TRACES:
            return {a.arm.arm_id for a in c.arms}
        key = c.quantities[0].key
        figures = {a.arm.arm_id: a.figures[key].mean for a in c.arms if key in a.figures}
        ends = {min(figures, key=figures.__getitem__), max(figures, key=figures.__getitem__)}
        return {c.baseline, *ends}

    def _read(self, outcome: Outcome) -> tuple[Record, list[Sample]]:
        record = self._campaign.entry(outcome.path).record
        assert record is not None  # it counts
        return record, trace.read(self._at(outcome) / TRACE)

    def _at(self, outcome: Outcome) -> Path:
        return self._campaign.folder / outcome.path


_NONE: dict[Kind, str] = {
    "ratios": "no block has both the baseline and another arm",
    "energy": "no arm has a figure",
    "scatter": "no arm has both energy and throughput",
    "front": "no arm has both figures",
    "attribution": "nothing to attribute",
    "traces": "no run has a trace with power",
    "load-curve": "no load is swept",
    "budget": "no record of the baseline states the parts of its uncertainty",
}
"""Why there is no chart of a kind."""
