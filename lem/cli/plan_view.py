"""What a campaign will do and how far it is, for people and as JSON."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lem.campaign.overview import Estimate, Overview
from lem.cli.output import visible
from lem.stores.outcomes import Outcome

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lem.analysis.comparison import Comparison


def plan_table(overview: Overview, expected: Estimate, folder: Path) -> "RenderableType":
    """Experiments with how many of their blocks are done, then what is still to come."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lock = overview.lock
    done = _records(overview)
    failed = Counter(o.arm_id for o in _failures(overview))
    table = Table(box=None, pad_edge=False)
    table.add_column("experiment")
    table.add_column("id")
    table.add_column("done", justify="right")
    for arm in lock.arms:
        mark = "  (baseline)" if arm.arm_id == lock.baseline else ""
        name = "—" if overview.provisional else arm.experiment_id[:12]
        state = overview.plan.dropped.get(arm.arm_id)
        blocks = lock.blocks if arm.generation is not None else overview.plan.blocks
        count = f"{done[arm.arm_id]}/{blocks}"
        if failed[arm.arm_id]:
            count += f", {failed[arm.arm_id]} failed"
        if state:
            count = "skipped" if arm.arm_id in overview.refused else f"dropped: {state}"
        table.add_row(Text(visible(arm.label) + mark), Text(visible(name)), count)
    lines = [
        f"{lock.name}: {_n(len(lock.arms), 'experiment')} × "
        f"{blocks_in_words(overview)}, preset {lock.preset}",
        decision_in_words(overview),
        f"still to run: {_n(expected.runs, 'run')}, about {roughly(expected.seconds)} "
        f"({expected.basis})"
        if expected.runs
        else "nothing left to run",
        *(
            [
                f"on {expected.nodes} nodes at once: about {roughly(expected.elapsed_s)}, without "
                "waiting for them; the energy is the same"
            ]
            if expected.runs and expected.nodes > 1
            else []
        ),
        *(
            f"energy still to come: about {_joules(joules)} ({name})"
            for name, joules in sorted(expected.energy_j.items())
        ),
        f"results: {folder}",
    ]
    lines += [
        f"block {b:04d} begins anew: {why}"
        for b, why in overview.plan.void.items()
        if b not in overview.plan.given_up
    ]
    lines += [f"block {b:04d} is given up: {why}" for b, why in overview.plan.given_up.items()]
    lines += skipped_arms(overview) + _doubtful_arms(overview) + _for_gpus_only(overview)
    if overview.provisional:
        lines.append("ids come with the first run, which looks up models and engine versions")
    texts = [Text(visible(line)) for line in lines]
    return Group(texts[0], table, *texts[1:])


def plan_json(overview: Overview, expected: Estimate, folder: Path) -> dict[str, Any]:
    """The same for machines, with every run in its order."""
    lock = overview.lock
    return {
        **summary(overview, folder, nothing_new=False),
        "provisional_ids": overview.provisional,
        "arms": [
            {
                "arm_id": a.arm_id,
                "experiment_id": a.experiment_id,
                "label": a.label,
                "settings": a.settings,
                "launcher": a.launcher,
                "baseline": a.arm_id == lock.baseline,
            }
            for a in lock.arms
        ],
        "expected": expected._asdict(),
        "next": [r._asdict() for r in overview.plan.runs],
    }


def summary(overview: Overview, folder: Path, nothing_new: bool) -> dict[str, Any]:
    """Counts of a campaign, for ``--json``."""
    done = _records(overview)
    return {
        "campaign": overview.lock.name,
        "folder": str(folder),
        "blocks": overview.plan.blocks,
        "blocks_decided": overview.plan.decision._asdict(),
        "precision": overview.lock.precision,
        "arms_total": len(overview.lock.arms),
        "runs_done": sum(done.values()),
        "runs_missing": len(overview.plan.runs),
        "runs_failed": len(_failures(overview)),
        "void_blocks": {str(b): why for b, why in overview.plan.void.items()},
        "given_up_blocks": {str(b): why for b, why in overview.plan.given_up.items()},
        "dropped": overview.plan.dropped,
        "skipped": overview.refused,
        "would_be_skipped": overview.doubtful,
        "nothing_to_do": nothing_new,
    }


def status_line(overview: Overview, folder: Path) -> str:
    """One line: how far the campaign is."""
    total = sum(len(overview.lock.arms_of(b)) for b in range(overview.plan.blocks))
    failed = sum(o.failure_kind != "device_setting" for o in _failures(overview))
    parts = [f"{overview.lock.name}: {sum(_records(overview).values())}/{total} runs done"]
    if failed:
        parts.append(f"{failed} failed")
    if overview.refused:
        parts.append(f"{_n(len(overview.refused), 'experiment')} skipped")
    to_go = f"{len(overview.plan.runs)} to go" if overview.plan.runs else "complete"
    if overview.to_choose:
        more = _n(overview.to_choose, "experiment")
        to_go = f"{len(overview.plan.runs)} to go, then {more} to choose"
    parts.append(to_go)
    if overview.exhausted:
        budget = overview.lock.adaptive.budget if overview.lock.adaptive else 0
        parts.append(f"the sweep has fewer experiments than the budget of {budget}")
    return visible(", ".join(parts) + f"; {decision_in_words(overview)}  ({folder})")


def blocks_in_words(overview: Overview) -> str:
    """``5 pilot blocks``, ``14 blocks``."""
    decision = overview.plan.decision
    return _n(decision.n, "block" if decision.final else "pilot block")


def decision_in_words(overview: Overview) -> str:
    """How many blocks there are, and why."""
    return f"{blocks_in_words(overview)}: {overview.plan.decision.reason}"


def failed_runs(overview: Overview) -> list[str]:
    """One line for each arm that failed in some block or is skipped, and for blocks that were given
    up."""
    labels = {a.arm_id: a.label for a in overview.lock.arms}
    kinds: dict[str, Counter[str]] = {}
    for o in _failures(overview):
        if o.arm_id not in overview.refused:
            kinds.setdefault(o.arm_id, Counter())[o.failure_kind or "engine_error"] += 1
    lines = [
        f"failed: {labels.get(arm, arm)}: "
        + ", ".join(f"{kind} in {_n(n, 'block')}" for kind, n in counts.items())
        for arm, counts in kinds.items()
    ]
    lines += [f"block {b:04d} was given up: {why}" for b, why in overview.plan.given_up.items()]
    return lines + skipped_arms(overview)


def skipped_arms(overview: Overview) -> list[str]:
    """One line for each arm whose power limit or clock could not be set."""
    labels = {a.arm_id: a.label for a in overview.lock.arms}
    return [f"skipped: {labels[arm]}: {why}" for arm, why in overview.refused.items()]


def _doubtful_arms(overview: Overview) -> list[str]:
    """One line for each arm of which that is to be expected here."""
    labels = {a.arm_id: a.label for a in overview.lock.arms}
    return [
        f"could not be set here: {labels[arm]}: {why}" for arm, why in overview.doubtful.items()
    ]


def _for_gpus_only(overview: Overview) -> list[str]:
    """A line for backends without packages for the CPU in a campaign that uses no GPU."""
    from lem.launchers import install

    lock = overview.lock
    names = sorted({a.experiment.backend for a in lock.arms})
    found = [] if lock.gpus else [n for n in names if not install.on_cpu(n)]
    return [f"no GPU is used here, and these are for NVIDIA GPUs: {', '.join(found)}"] * bool(found)


def duration(seconds: float) -> str:
    """``90`` → ``1 min 30 s``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, s = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {s:02d} s" if minutes else f"{s} s"


def roughly(seconds: float) -> str:
    """A forecast is good for two digits: ``252`` → ``4 min``."""
    if seconds < 120:
        return duration(max(5, 5 * round(seconds / 5))).removesuffix(" 00 s")
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.2g} h"


def _joules(joules: float) -> str:
    """Two digits are more than a forecast is good for."""
    if joules >= 3.6e6:
        return f"{joules / 3.6e6:.2g} kWh"
    return f"{joules / 1e3:.2g} kJ" if joules >= 1e3 else f"{joules:.2g} J"


def missed_precision(comparison: "Comparison") -> list[str]:
    """Arms whose interval is wider than the campaign asks for, and those without one, in words."""
    target = comparison.target
    if target is None:
        return []
    decision = comparison.decision
    why = (
        f" (blocks were capped by {decision.capped_by})" if decision and decision.capped_by else ""
    )
    missed = []
    for quantity in comparison.quantities:
        for arm in comparison.arms:
            ratio = arm.ratios.get(quantity.key)
            where = f"{arm.name} in {quantity.noun}"
            if arm.baseline or (ratio is not None and ratio.reached):
                continue
            if ratio is None:
                missed.append(f"{where}: no block has both it and the baseline")
            elif ratio.half_width_log is None:
                missed.append(f"{where}: no interval, {ratio.reason}")
            else:
                half = 100 * ratio.half_width_log
                shared = 100 * ratio.shared_half_log
                missed.append(
                    f"{where}: ±{half:.2g} % where ±{100 * target:g} % was asked for{why}"
                    + (
                        f"; ±{shared:.2g} % are by the boards' gains, whatever the number of blocks"
                        if shared
                        else ""
                    )
                )
    return missed


def _latest(overview: Overview) -> dict[tuple[int, str], Outcome]:
    """Of each block's latest pass, each arm's newest attempt that ended by itself."""
    from lem.stores.counted import ended_by_itself, latest_passes

    arms = {a.arm_id for a in overview.lock.arms}
    found: dict[tuple[int, str], Outcome] = {}
    for block, members in latest_passes(overview.outcomes).items():
        if block >= overview.plan.blocks:
            continue
        if block in overview.plan.void and block not in overview.plan.given_up:
            continue
        for o in members:
            key = (block, o.arm_id)
            if o.arm_id in arms and ended_by_itself(o):
                found[key] = max(found.get(key, o), o, key=lambda x: x.attempt)
    return found


def _records(overview: Overview) -> Counter[str]:
    return Counter(o.arm_id for o in _latest(overview).values() if o.kind == "record")


def _failures(overview: Overview) -> list[Outcome]:
    return [o for o in _latest(overview).values() if o.kind == "failure"]


def _n(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
