"""Opens folders of results: the records, a data frame of them, and the comparison."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lem.analysis.attribute import Attribution, attribute
from lem.analysis.blocks import decide, of_latest_generation
from lem.analysis.compare import compare, needed_metrics
from lem.analysis.comparison import ArmInfo, Comparison
from lem.analysis.curve import METRICS as CURVE_METRICS
from lem.analysis.curve import Curve, curves
from lem.analysis.environments import (
    differences,
    found_in_caches,
    kinds_of_weights,
    of_one_experiment,
    unproven,
)
from lem.analysis.evidence import gather as gather_quality
from lem.analysis.flat import flat_record
from lem.analysis.front import Front, front
from lem.analysis.gathered import Gathered, gather
from lem.analysis.naming import arms_of_lock, arms_of_records, find_arm
from lem.analysis.objectives import needed_for
from lem.analysis.places import CPU
from lem.analysis.quality import Seen
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.errors import BadInput, EnvironmentFault
from lem.stores.counted import counted
from lem.stores.folder import Entry, attempts, entries, read
from lem.stores.index import Index
from lem.stores.outcomes import Outcome
from lem.stores.rows import Row

LOCK = "campaign.lock.json"
_TYPES_OF_WEIGHTS = ("engine.dtype", "engine.quantization")
_MANY_ARMS = 100


class Campaign:
    """The results of one campaign folder. Its index is brought up to date when it is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = Lock.read(folder / LOCK) if (folder / LOCK).is_file() else None
        self._index = Index(folder)
        self._index.refresh()

    @property
    def name(self) -> str:
        return self.lock.name if self.lock else self.folder.resolve().name

    def outcomes(self) -> list[Outcome]:
        """Every attempt, sorted by block, arm, attempt."""
        return self._index.outcomes()

    def rows(self, metrics: list[str] | None = None) -> list[Row]:
        """Every attempt with its metrics (those named, or all)."""
        return self._index.rows(metrics)

    def entries(self) -> Iterator[Entry]:
        """Every attempt with its whole document, read from the folder."""
        return entries(self.folder)

    def entry(self, path: str) -> Entry:
        """The attempt at ``path`` (relative to the folder), read anew. Raises KeyError."""
        for attempt in attempts(self.folder):
            if attempt.path == path:
                return read(self.folder, attempt)
        raise KeyError(path)

    def arms(self) -> list[ArmInfo]:
        """The arms in the campaign's order; without a lock file, those that have a record."""
        if self.lock is not None:
            return arms_of_lock(self.lock)
        first: dict[str, Record] = {}
        for entry in self.entries():
            if entry.record is not None:
                first.setdefault(entry.record.arm_id, entry.record)
        return arms_of_records(first)

    def compare(
        self,
        baseline: str | None = None,
        metric: str | None = None,
        hardware: str | None = None,
        margin: float | None = None,
        across: bool = False,
        quality_margin: float | None = None,
        ignore_quality: bool = False,
    ) -> Comparison:
        """See :meth:`Results.compare`."""
        arms = self.arms()
        if not arms:
            raise BadInput(f"{self.folder}: there is no run to compare yet")
        if baseline is not None:
            base = find_arm(arms, baseline)
        elif self.lock is not None:
            base = find_arm(arms, self.lock.baseline)
        else:
            raise BadInput(
                f"{self.folder} has no {LOCK}, so nothing says which arm is the baseline",
                hint="name it: --baseline path=value, or the beginning of an arm's id",
            )
        seen, unusable = self._quality()
        decision = decide(self.lock, self.outcomes()) if self.lock else None
        done: int | None = None
        if self.lock and self.lock.adaptive:
            decision, done = of_latest_generation(self.lock, self.outcomes())
        compared = compare(
            self.name,
            arms,
            self.rows(needed_metrics(metric)),
            base,
            decision=decision,
            target=self.lock.precision if self.lock else None,
            metric=metric,
            hardware=hardware,
            margin=margin if margin or self.lock is None else self.lock.same_within,
            across=across,
            seen=seen,
            quality_margin=quality_margin or (self.lock.quality_margin if self.lock else None),
            ignore_quality=ignore_quality,
            placed=self._placed(),
        )
        return replace(
            compared,
            blocks_done=compared.blocks_done if done is None else done,
            notes=(
                *compared.notes,
                *self._unlike(compared),
                *self._weights(compared),
                *self._cached(compared),
                *self._unproven(compared),
                *unusable,
            ),
        )

    def _quality(self) -> tuple[dict[str, Seen], list[str]]:
        """What the runs that count show of their quality; reads records only where a campaign asked
        for any."""
        if self.lock is not None:
            asked = bool(self.lock.measure.quality) or self.lock.measure.accuracy is not None
        else:
            asked = any(r.metrics for r in self.rows(["nll_per_token", "accuracy"]))
        if not asked:
            return {}, []
        counting = {o.path for o in counted(self.outcomes())}
        return gather_quality(self.folder, (a for a in attempts(self.folder) if a.path in counting))

    def gathered(
        self, metrics: list[str], where: str | None = None, hardware: str | None = None
    ) -> Gathered:
        """The runs that count, arm by arm, with these metrics."""
        arms = self.arms()
        if not arms:
            raise BadInput(f"{self.folder}: there is no run yet")
        rows = self.rows(metrics)
        return gather(self.name, arms, rows, self.lock, where, hardware, self._placed())

    def _placed(self) -> bool:
        """Whether a scheduler chose the nodes of runs without a board; reads a record of each boot,
        and none where there is but one."""
        alone = [o for o in self.outcomes() if o.device_set == CPU]
        if len({o.boot_id for o in alone}) < 2:
            return False
        boots = {o.boot_id: o.path for o in alone if o.kind == "record"}
        paths = set(boots.values())
        chosen = (read(self.folder, a).record for a in attempts(self.folder) if a.path in paths)
        return any(r is not None and r.environment.allocation is not None for r in chosen)

    def pareto(
        self,
        x: str = "latency",
        y: str = "energy",
        where: str | None = None,
        hardware: str | None = None,
    ) -> Front:
        """See :meth:`Results.pareto`."""
        try:
            metrics = needed_for([x, y])
        except ValueError as e:
            raise BadInput(str(e)) from None
        margin = self.lock.same_within if self.lock else None
        reference = self.lock.baseline if self.lock else None
        return front(self.gathered(metrics, where, hardware), x, y, margin, reference)

    def attribute(
        self, metric: str | None = None, where: str | None = None, hardware: str | None = None
    ) -> Attribution:
        """See :meth:`Results.attribute`."""
        if self.lock is not None and self.lock.adaptive is not None:
            raise BadInput(
                f"{self.name} chose its experiments while it ran (sampler pareto), most of them "
                "where energy is low: the shares would be an artefact of the choice",
                hint="sweep a grid",
            )
        return attribute(self.gathered(needed_metrics(metric), where, hardware), metric, where)

    def curves(
        self, over: str | None = None, where: str | None = None, hardware: str | None = None
    ) -> list[Curve]:
        """See :meth:`Results.curves`."""
        return curves(self.gathered(CURVE_METRICS, where, hardware), over)

    def _unlike(self, compared: Comparison) -> list[str]:
        """What differs around arms that are one experiment; reads records only where there are
        such arms."""
        arms = [a.arm for a in compared.arms]
        if not of_one_experiment(arms):
            return []
        counting = {o.path for o in counted(self.outcomes())}
        records = (
            e.record for e in self.entries() if e.record is not None and e.outcome.path in counting
        )
        return differences(arms, records, {a.arm.arm_id: a.name for a in compared.arms})

    def _weights(self, compared: Comparison) -> list[str]:
        """Whether the arms' weights differ in type beside what is swept; reads one record of each
        backend and model."""
        if any(p in a.arm.settings for a in compared.arms for p in _TYPES_OF_WEIGHTS):
            return []
        shared = {
            a.arm.arm_id: tuple(a.arm.paths.get(p) for p in ("backend", "model.content"))
            for a in compared.arms
        }
        if len(set(shared.values())) < 2:
            return []
        return kinds_of_weights(self._one_each(shared))

    def _cached(self, compared: Comparison) -> list[str]:
        """What engines found of prompts that they had read before; reads one record of each arm,
        so not where there are too many to look at."""
        names = {a.arm.arm_id: a.name for a in compared.arms}
        if not 2 <= len(names) <= _MANY_ARMS:
            return []
        return found_in_caches(self._one_each({arm_id: arm_id for arm_id in names}), names)

    def _unproven(self, compared: Comparison) -> list[str]:
        """Engine versions that lem's own suite has not run with; reads one record of each backend
        and launcher."""
        shared = {
            a.arm.arm_id: tuple(a.arm.paths.get(p) for p in ("backend", "launcher"))
            for a in compared.arms
        }
        return unproven(self._one_each(shared))

    def _one_each(self, shared: Mapping[str, Any]) -> Iterator[Record]:
        """One record that counts of each group of arms. ``shared``: arm id → its group."""
        first: dict[Any, str] = {}
        for o in counted(self.outcomes()):
            if o.arm_id in shared:
                first.setdefault(shared[o.arm_id], o.path)
        chosen = [a for a in attempts(self.folder) if a.path in first.values()]
        for attempt in chosen:
            record = read(self.folder, attempt).record
            if record is not None:
                yield record


class Results:
    """The campaigns of one folder: itself, or those below it."""

    def __init__(self, path: Path, campaigns: list[Campaign]) -> None:
        self.path = path
        self.campaigns = campaigns

    def records(self) -> Iterator[Record]:
        """Every valid record, also of runs that do not count (see :meth:`to_dataframe`)."""
        for campaign in self.campaigns:
            for entry in campaign.entries():
                if entry.record is not None:
                    yield entry.record

    def table(self) -> Iterator[dict[str, Any]]:
        """One flat row a record: who and where, ``counted``, every experiment path, every metric
        as ``name.part`` (units in the names) with ``….uncertainty`` (expanded, k = 2)."""
        for campaign in self.campaigns:
            counting = {o.path for o in counted(campaign.outcomes())}
            for entry in campaign.entries():
                if entry.record is not None:
                    yield flat_record(entry.record, entry.outcome.path in counting)

    def to_dataframe(self) -> Any:
        """:meth:`table` as a pandas data frame, or a polars one where only that is installed.
        Raises :class:`EnvironmentFault` where neither is."""
        rows = list(self.table())
        try:
            import pandas
        except ImportError:
            pass
        else:
            return pandas.DataFrame(rows)
        try:
            import polars  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise EnvironmentFault(
                "a data frame needs pandas or polars",
                hint='pip install "lem-energy[dataframe]"',
            ) from None
        return polars.DataFrame(rows, infer_schema_length=None)

    def compare(
        self,
        baseline: str | None = None,
        metric: str | None = None,
        hardware: str | None = None,
        margin: float | None = None,
        across: bool = False,
        quality_margin: float | None = None,
        ignore_quality: bool = False,
    ) -> Comparison:
        """Every arm beside the baseline (by default the campaign's own).

        ``baseline``: an arm's name, its id or the beginning of it, or ``path=value[,…]``.
        ``metric``: by default energy per output token, or CPU time where energy is estimated.
        ``hardware``: only the runs made on this (as ``lem/stores/hardware.py`` writes it).
        ``margin``: within which two arms count as the same (0.02 is ±2 %; by default the
        campaign's). ``across``: let the intervals of all device classes hold together, not only
        those of each. ``quality_margin``: how much quality (0.02: 2 % of NLL, 2 points of accuracy)
        an arm may lose and still count as better (by default the campaign's, or that);
        ``ignore_quality``: any.
        Raises :class:`BadInput` where the runs cannot be compared, with the reason.
        """
        return self.one().compare(
            baseline, metric, hardware, margin, across, quality_margin, ignore_quality
        )

    def pareto(
        self,
        x: str = "latency",
        y: str = "energy",
        where: str | None = None,
        hardware: str | None = None,
    ) -> Front:
        """The arms by two objectives, and which of them no other beats in both.

        ``x``, ``y``: ``energy``, ``latency``, ``throughput``, ``quality`` or a metric such as
        ``ttft_s.p99``. ``where``: ``path=value[,…]``, the arms to look at.
        """
        return self.one().pareto(x, y, where, hardware)

    def attribute(
        self, metric: str | None = None, where: str | None = None, hardware: str | None = None
    ) -> Attribution:
        """How much of the spread of ``metric`` (default: energy per output token) each swept
        parameter explains. Raises :class:`BadInput` where the arms are no complete grid."""
        return self.one().attribute(metric, where, hardware)

    def curves(
        self, over: str | None = None, where: str | None = None, hardware: str | None = None
    ) -> list[Curve]:
        """Energy per output token against load, in total and above idle; one curve for each device
        class. ``over``: the path of the load."""
        return self.one().curves(over, where, hardware)

    def one(self) -> Campaign:
        """The only campaign. Raises :class:`BadInput` where there are several: blocks of different
        campaigns are never one."""
        if len(self.campaigns) == 1:
            return self.campaigns[0]
        listed = "\n".join(f"    {c.folder}" for c in self.campaigns[:20])
        raise BadInput(
            f"{self.path} holds {len(self.campaigns)} campaigns:\n{listed}", hint="name one of them"
        )


def open_results(path: str | Path) -> Results:
    """Open a campaign folder, or a folder of several. Raises :class:`BadInput` where there is
    neither."""
    folder = Path(path)
    if not folder.is_dir():
        raise BadInput(
            f"there is no folder {folder}",
            hint="name a campaign's folder; `lem campaign run` prints it at its end",
        )
    found = [folder] if is_campaign(folder) else below(folder)
    if not found:
        raise BadInput(
            f"{folder} holds no results",
            hint="`lem campaign run FILE` makes some; where they are elsewhere, name that folder "
            "(a campaign's has campaign.lock.json and blocks/)",
        )
    return Results(folder, [Campaign(f) for f in found])


def is_campaign(folder: Path) -> bool:
    return (folder / LOCK).is_file() or (folder / "blocks").is_dir()


def below(folder: Path, depth: int = 2) -> list[Path]:
    """Campaign folders in this folder and in the folders in it, sorted; links are not followed."""
    found = []
    try:
        inside = sorted(folder.iterdir())
    except OSError as e:
        raise BadInput(f"{folder} cannot be read: {e.strerror}") from e
    for child in inside:
        if child.is_symlink() or not child.is_dir() or child.name.startswith("."):
            continue
        if is_campaign(child):
            found.append(child)
        elif depth > 1:
            found += below(child, depth - 1)
    return found
