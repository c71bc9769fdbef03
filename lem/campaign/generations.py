"""Experiments that are chosen while the campaign runs, by what those before them cost.

The lock's arms are a list that only grows. What is appended is a pure function of the campaign
file, the lock and the records; nothing else is remembered. Each generation of arms has blocks of
its own, in which the baseline runs beside them: what is compared was measured in the same blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lem.analysis.objectives import costs, with_nothing
from lem.campaign.arms import make_arm
from lem.campaign.devices import gpus_needed
from lem.campaign.stage import Ready, Staging, list_key
from lem.config import CampaignFile, Draft, model_name
from lem.config.drawn import Candidates
from lem.config.labels import labels
from lem.contract.lock import Arm, Lock
from lem.sampling import Point, propose
from lem.stores.rows import Row


def to_stage(file: CampaignFile) -> CampaignFile:
    """The file with an experiment for everything that any later one may need prepared."""
    if file.candidates is None:
        return file
    return replace(file, drafts=(*file.drafts, *file.candidates.staged()))


@dataclass(frozen=True)
class Generations:
    """Makes the later arms of a campaign."""

    file: CampaignFile
    candidates: Candidates
    ready: dict[tuple[str, str, str], Ready]
    launcher: str
    gpus: int
    """How many a block has."""

    def next_arms(self, lock: Lock, rows: Sequence[Row]) -> list[Arm]:
        """The next generation; none where the budget is used up or the space has no more.

        The same file, lock and records give the same arms. ``rows``: with the metrics of
        :func:`lem.analysis.objectives.needed_for`.
        """
        adaptive = lock.adaptive
        if adaptive is None or (n := min(adaptive.generation, still_to_choose(lock))) == 0:
            return []
        paid = costs([a.arm_id for a in lock.arms], lock.baseline, rows, adaptive.objectives)
        known = {a.arm_id for a in lock.arms}
        drafts = {a.arm_id: d for a in lock.arms if (d := self._draft(a)) is not None}
        measured = [
            (point, paid[arm])
            for arm, draft in drafts.items()
            if (point := self.candidates.point(draft)) is not None
        ]
        chosen: list[Draft] = []

        def is_new(point: Point) -> bool:
            draft = self.candidates.draft(point)
            if draft is None or not self._is_ready(draft):
                return False
            if (arm := self._arm(draft, None).arm_id) in known:
                return False
            known.add(arm)
            chosen.append(draft)
            return True

        objectives = len(adaptive.objectives)
        propose(self.candidates.space, measured, objectives, n, adaptive.seed, is_new)
        earlier = [*self.file.drafts, *(d for a, d in drafts.items() if a not in _first(lock))]
        named = labels([*earlier, *chosen])[len(earlier) :]
        return [
            self._arm(replace(draft, label=label), lock.generations)
            for draft, label in zip(chosen, named, strict=True)
        ]

    def got_nothing(self, lock: Lock, rows: Sequence[Row]) -> list[str]:
        """In words, which arms of the latest generation (and whether the baseline) count as worse
        than all others for what comes next, because they had nothing of an objective."""
        if lock.adaptive is None:
            return []
        found = with_nothing(rows, lock.adaptive.objectives)
        return [
            f"{a.label}: {metric} is 0 in {n} block{'s' if n > 1 else ''}, so it counts as worse"
            " than every experiment with some where the next are chosen"
            for a in lock.arms
            if a.arm_id in found and a.generation in (None, lock.generations - 1)
            for n, metric in [found[a.arm_id]]
        ]

    def outermost(self, most: int) -> tuple[list[Arm], bool]:
        """Experiments with the outermost arguments that the engines may be told, to ask them about
        these: up to ``most`` of each model and backend; and whether that was all of them."""
        found, complete = self.candidates.outermost(most, self._is_ready)
        named = labels([*self.file.drafts, *found])[len(self.file.drafts) :]
        arms = [self._arm(replace(d, label=n), None) for d, n in zip(found, named, strict=True)]
        return arms, complete

    def restored(self, lock: Lock) -> list[Arm]:
        """The lock's later arms as the campaign file and what is staged give them; without those
        that are not the file's."""
        drafts = ((a, self._draft(a)) for a in lock.arms if a.arm_id not in _first(lock))
        return [self._arm(replace(d, label=a.label), a.generation) for a, d in drafts if d]

    def _draft(self, arm: Arm) -> Draft | None:
        """The experiment of an arm, if the campaign file gives it."""
        for draft in self.candidates.restored(model_name, arm):
            if self._is_ready(draft) and self._arm(draft, None).arm_id == arm.arm_id:
                return draft
        return None

    def _is_ready(self, draft: Draft) -> bool:
        """Whether what it needs is prepared: hardly any point of a space that is excluded nearly
        everywhere may have been overlooked (:meth:`Candidates.staged`)."""
        return _needs(draft) in self.ready

    def _arm(self, draft: Draft, generation: int | None) -> Arm:
        needed = gpus_needed(draft.backend, draft.engine, draft.args)
        count = self.gpus if needed is None else min(needed, self.gpus)
        return make_arm(draft, self.ready[_needs(draft)], self.launcher, generation, count)


def generations(
    file: CampaignFile, staging: Staging, launcher: str, gpus: int
) -> Generations | None:
    """None where the experiments are all there beforehand. ``staging``: of :func:`to_stage`."""
    if file.candidates is None:
        return None
    ready = {_needs(d): r for d, r in zip(to_stage(file).drafts, staging.ready, strict=True)}
    return Generations(file, file.candidates, ready, launcher, gpus)


def still_to_choose(lock: Lock) -> int:
    """How many arms there are to come, if the space has so many."""
    return 0 if lock.adaptive is None else max(0, lock.adaptive.budget - (len(lock.arms) - 1))


def left_to_choose(file: CampaignFile, lock: Lock) -> int:
    """As :func:`still_to_choose`, as far as the file's space has so many that are not chosen."""
    budget = still_to_choose(lock)
    if file.candidates is None or budget == 0:
        return budget
    chosen = (d for a in lock.arms for d in file.candidates.restored(model_name, a))
    return file.candidates.unused([*file.drafts, *chosen], budget)


def _needs(draft: Draft) -> tuple[str, str, str]:
    """What decides which model and request list an experiment loads."""
    return draft.model.model_dump_json(), draft.backend, list_key(draft.model, draft.workload)


def _first(lock: Lock) -> set[str]:
    """Arms that were there when the lock was written."""
    return {a.arm_id for a in lock.arms if a.generation in (None, 0)}
