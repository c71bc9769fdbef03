"""Two configurations of one campaign that an archive may lead with: the rules.

The base is at *the engine's defaults*: its experiment has no ``args``, asks nothing of the device
(power limit, clock), and of ``engine`` sets at most what says on what the engine computes
(``ON_WHAT``: number format and CPU threads), and that as the other one does. Batch size, context
length, spread over GPUs and quantisation are left to the engine. ``generate`` is what is asked for
(greedy or not, where answers end), and the same for both. The campaign's own baseline is the base
if it is such a one, else the first arm that is and has a pair. Where none is, the campaign's
declared baseline stands, and its role says so.

The other one is, of those that answer as well, that of the largest saving, by the end of its
interval that is nearer to 1; where nothing saves, that of the largest cost. The interval holds
jointly for all that answer as well. Where nothing tells whether answers are as good, only one that
computes with the same numbers (``NUMBERS``) may stand.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import ValidationError

from lem.analysis.comparison import ArmInfo
from lem.analysis.naming import arms_of_lock, flat, readable_names
from lem.archive.queries.answer import Configuration, Figure, Packs, Shape
from lem.archive.queries.blocks import OneRun, Records, counted_runs
from lem.archive.queries.campaigns import lock_of
from lem.archive.queries.figures import configurations_of, experiments_of, figures_within
from lem.archive.queries.headline_quality import Quality, SloOf, quality_of, slo_of
from lem.archive.queries.ratios import Ratio, Sides
from lem.contract.base import Scalar
from lem.contract.lock import Lock
from lem.contract.spec import Experiment
from lem.contract.workload import RandomDataset, TraceDataset
from lem.everyday.measured import forced

ENERGY: Literal["energy_per_output_token_j"] = "energy_per_output_token_j"
MARGIN = 0.02
"""Within which two count as the same."""
NOTHING_ALIKE = "no two of its configurations do the same work for the same model"
MOST_REASONS = 3
"""Why a campaign has no pair, in words."""
MOST_OTHERS = 20
"""Configurations that are held against one base."""
ON_WHAT = ("dtype", "threads")
"""Settings of ``engine`` that a base at the defaults may share with the other one."""
NUMBERS = ("dtype", "quant")
"""In names of settings that change an engine's numbers."""
OTHER_NUMBERS = "it computes with other numbers, and nothing tells whether its answers are as good"
SECTIONS = ("engine", "args", "generate", "device")

Role = Literal["defaults", "baseline", "other"]


class Side(Shape):
    role: Role
    """``defaults``: as the engine comes. ``baseline``: what the campaign itself compares with,
    where no arm of it is at the defaults."""
    name: str
    """Of its arm, as the campaign's tables have it."""
    configuration: Configuration
    settings: dict[str, Scalar]
    """Experiment path → value, of all that it sets of engine, args, generate and device."""
    figures: list[Figure]
    """Of its runs in this campaign alone; the energy first."""


class WorkloadOf(Shape):
    """What was asked of both."""

    dataset: str
    requests: int
    requests_sha256: str
    arrival: str
    load: float | None
    input_tokens: int | None
    output_tokens: int | None
    """None where lengths differ from request to request. With natural stops: at most so many."""
    natural_stops: bool
    """Answers end where the model ends them; otherwise their lengths are asked for, all or at
    least."""
    real_prompts: bool
    """Text that means something, no random tokens."""


@dataclass(frozen=True)
class Pair:
    base: Side
    other: Side
    differing: list[str]
    ratio: Ratio
    compared: int
    quality: Quality
    slo: SloOf | None
    workload: WorkloadOf
    newest: float
    """When the newest run of the two began, in seconds since the epoch."""


class _Asked(NamedTuple):
    metric: str = ENERGY
    margin: float = MARGIN


class _Reason(NamedTuple):
    """Why a configuration is no pair with this base; ``other`` None: none is."""

    base: int
    other: int | None
    text: str

    def words(self, names: Mapping[int, str]) -> str:
        beside = "" if self.other is None else f"{names[self.other]} "
        return f"{beside}beside {names[self.base]}: {self.text}"


class Look:
    """At one campaign's runs of at least one tier, of measured classes or of estimates."""

    def __init__(
        self, connection: sa.Connection, packs: Packs, campaign: int, tier: int, measured: bool
    ) -> None:
        self._connection, self._packs = connection, packs
        self.campaign, self.tier = campaign, tier
        self._measured = measured
        self._reasons: dict[_Reason, None] = {}
        self._qualities: dict[tuple[int, int], Quality | str] = {}
        self._lock: Lock | None = lock_of(connection, campaign)
        self._runs: dict[int, list[OneRun]] = defaultdict(list)
        for run in counted_runs(connection, campaign, ENERGY, tier):
            self._runs[run.config_id].append(run)
        ids = sorted(self._runs, key=lambda key: min(r.arm for r in self._runs[key]))
        shown = configurations_of(connection, ids)
        self._shown: dict[int, Configuration] = {key: shown[key] for key in ids}
        self._raw: dict[int, dict[str, Any]] = {
            key: dict(raw) for key, raw in experiments_of(connection, ids).items()
        }
        self._experiments = {key: _read(raw) for key, raw in self._raw.items()}
        self._records = Records(connection, packs)

    def pair(self, compared: bool) -> Pair | None:
        """The pair of this campaign. ``compared``: whose answers were; otherwise one of which
        nothing tells whether they are as good."""
        for group in self._groups():
            for base, role, others in self._bases(group):
                for found in self._pairs(base, role, others, compared):
                    if isinstance(found, Pair):
                        return found
                    self._reasons[found] = None
        return None

    def why_none(self) -> str:
        """In words, where :meth:`pair` gave none."""
        names, told = self._names, list(self._reasons)[:MOST_REASONS]
        return "; ".join(r.words(names) for r in told) or NOTHING_ALIKE

    def _groups(self) -> Iterator[list[int]]:
        """Configurations of this kind of class that did the same work on the same kind of device,
        in the order of arms."""
        found: dict[str, list[int]] = defaultdict(list)
        for key, one in self._shown.items():
            is_measured = one.energy_class not in ("estimated", "none")
            if is_measured != self._measured or one.weights == "random" or one.disagrees:
                continue
            if self._experiments[key] is None:
                continue
            raw = self._raw[key]
            same = [
                one.model_content,
                one.energy_class,
                one.semantics_version,
                one.device_model,
                one.meter_class,
                *(raw.get(part) for part in ("workload", "requests_sha256", "generate")),
            ]
            found[json.dumps(same, sort_keys=True)].append(key)
        yield from (group for group in found.values() if len(group) > 1)

    def _bases(self, group: Sequence[int]) -> Iterator[tuple[int, Role, list[int]]]:
        """What others may be held against, the campaign's baseline first."""
        declared = self._baseline()
        at_defaults = [key for key in group if _sets_nothing(self._raw[key])]
        at_defaults.sort(key=lambda key: key != declared)
        for base in at_defaults:
            others = [k for k in group if k != base and _same_place(self._raw[base], self._raw[k])]
            if others:
                yield base, "defaults", others
        if not at_defaults and declared is not None and declared in group:
            yield declared, "baseline", [key for key in group if key != declared]

    def _pairs(
        self, base: int, role: Role, others: Sequence[int], compared: bool
    ) -> Iterator["Pair | _Reason"]:
        """The likeliest first; of those that cannot stand, why. ``compared``: those whose answers
        were; otherwise those of which nothing tells whether they are as good."""
        as_good: dict[int, Quality] = {}
        for key in others[:MOST_OTHERS]:
            found = self._quality(base, key)
            if isinstance(found, str):
                yield _Reason(base, key, found)
            elif found.measured != compared:
                continue
            elif not compared and _numbers(self._raw[key]) != _numbers(self._raw[base]):
                yield _Reason(base, key, OTHER_NUMBERS)
            else:
                as_good[key] = found
        if not as_good:
            return
        those = {key: self._shown[key] for key in (base, *as_good)}
        runs = {self.campaign: [r for own in self._runs.values() for r in own]}
        sides = Sides(
            self._connection, self._packs, _Asked(), self.tier, those, {}, base, runs=runs
        )
        ratios = sides.ratios()
        told = {key: r for key, r in ratios.items() if r.verdict in ("less", "more")}
        if not told:
            yield _Reason(base, None, "nothing is told apart from it")
        for key in sorted(told, key=lambda key: _rank(told[key])):
            yield self._pair(base, role, key, told[key], len(as_good), as_good[key])

    def _quality(self, base: int, other: int) -> Quality | str:
        if (base, other) not in self._qualities:
            made = quality_of(self._records, self._runs[base], self._runs[other])
            self._qualities[base, other] = made
        return self._qualities[base, other]

    def _pair(
        self, base: int, role: Role, other: int, ratio: Ratio, compared: int, quality: Quality
    ) -> "Pair | _Reason":
        sides = self._runs[base], self._runs[other]
        experiment = self._experiments[base]
        assert experiment is not None
        slo = slo_of(self._connection, self._packs, experiment, *sides)
        if isinstance(slo, str):
            return _Reason(base, other, slo)
        figures = figures_within(self._connection, self.campaign, [base, other], self.tier)
        paths = [flat(self._raw[key]) for key in (base, other)]
        return Pair(
            base=self._side(base, role, figures),
            other=self._side(other, "other", figures),
            differing=[
                p
                for p in dict.fromkeys([*paths[0], *paths[1]])
                if paths[0].get(p) != paths[1].get(p)
            ],
            ratio=ratio,
            compared=compared,
            quality=quality,
            slo=slo,
            workload=_workload(experiment, self._shown[base]),
            newest=max(r.started_at for key in (base, other) for r in self._runs[key]),
        )

    def _side(self, key: int, role: Role, figures: Mapping[tuple[int, str], Figure]) -> Side:
        return Side(
            role=role,
            name=self._names[key],
            configuration=self._shown[key],
            settings=_settings(self._raw[key]),
            figures=[f for (k, _), f in figures.items() if k == key],
        )

    def _baseline(self) -> int | None:
        """The configuration of the arm that the campaign compares all others with."""
        if self._lock is None:
            return None
        places = {arm.arm_id: place for place, arm in enumerate(self._lock.arms)}
        place = places.get(self._lock.baseline)
        return next(
            (key for key, runs in self._runs.items() if any(r.arm == place for r in runs)), None
        )

    @cached_property
    def _names(self) -> dict[int, str]:
        """Of each configuration the name of its first arm."""
        first = {key: min(r.arm for r in runs) for key, runs in self._runs.items()}
        if self._lock is not None:
            arms = arms_of_lock(self._lock)
            names = readable_names(arms)
            return {key: names[arms[place].arm_id] for key, place in first.items()}
        paths = {key: flat(raw) for key, raw in self._raw.items()}
        infos = [
            ArmInfo(str(key), str(key), self._raw[key]["backend"], _settings(self._raw[key]), own)
            for key, own in paths.items()
        ]
        names = readable_names(infos)
        return {key: names[str(key)] for key in paths}


def _read(raw: Mapping[str, Any]) -> Experiment | None:
    """None for one that an older lem wrote otherwise."""
    try:
        return Experiment.model_validate(raw)
    except ValidationError:
        return None


def _rank(ratio: Ratio) -> tuple[bool, float]:
    """Savings first, then by the end of the interval that is nearer to 1."""
    assert ratio.low is not None and ratio.high is not None
    return (False, ratio.high) if ratio.verdict == "less" else (True, -ratio.low)


def _sets_nothing(raw: Mapping[str, Any]) -> bool:
    """Whether an experiment leaves to the engine what is the engine's."""
    engine = {k for k, v in raw["engine"].items() if v is not None and v != "auto"}
    device = [v for v in raw["device"].values() if v is not None]
    return not raw["args"] and not device and engine <= set(ON_WHAT)


def _same_place(base: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether what a base at the defaults does set is the same for the other one."""
    own = {k: v for k, v in base["engine"].items() if v is not None and v != "auto"}
    return all(other["engine"].get(k) == v for k, v in own.items())


def _numbers(raw: Mapping[str, Any]) -> dict[str, Scalar]:
    """What an experiment says of the numbers that the engine computes with."""
    paths = flat({section: raw[section] for section in ("engine", "args")})
    return {p: v for p, v in paths.items() if v is not None and any(w in p for w in NUMBERS)}


def _settings(raw: Mapping[str, Any]) -> dict[str, Scalar]:
    paths = flat({section: raw[section] for section in SECTIONS})
    return {path: value for path, value in paths.items() if value is not None}


def _workload(experiment: Experiment, shown: Configuration) -> WorkloadOf:
    dataset = experiment.workload.dataset
    return WorkloadOf(
        dataset=dataset.kind,
        requests=experiment.workload.requests,
        requests_sha256=experiment.requests_sha256,
        arrival=shown.arrival,
        load=shown.load,
        input_tokens=shown.input_tokens,
        output_tokens=shown.output_tokens,
        natural_stops=not forced(experiment.generate),
        real_prompts=not isinstance(dataset, RandomDataset | TraceDataset),
    )
