"""What a comparison is: the arms of one campaign beside its baseline, with everything needed to
print it, to draw it or to check a gate against it."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lem.analysis.blocks import Blocks
from lem.analysis.boards import Boards
from lem.analysis.quality import QUALITY_MARGIN, Agreement, ArmQuality
from lem.analysis.quantities import Quantity
from lem.contract.base import Scalar
from lem.stats import Absolute, CarryOver, RatioEstimate, Verdict


@dataclass(frozen=True)
class ArmInfo:
    """An arm as the campaign names it."""

    arm_id: str
    experiment_id: str
    label: str
    settings: dict[str, Scalar]
    """Swept experiment paths → value."""
    paths: dict[str, Scalar]
    """Every experiment path → value, for selecting and naming arms."""


@dataclass(frozen=True)
class Shortfall:
    """Blocks in which an arm has nothing that counts."""

    kind: str
    """A failure's kind, or ``excluded`` for a record whose flags take it out."""
    blocks: int
    message: str
    """Of the latest one."""


@dataclass(frozen=True)
class ArmResult:
    arm: ArmInfo
    name: str
    """Short and readable, different for every arm: ``batch size 16``."""
    baseline: bool
    blocks: int
    """Blocks in which the arm was counted."""
    figures: dict[str, Absolute]
    """Quantity's key, and keys of the side figures (``output_throughput_tokens_per_s``,
    ``ttft_s.p50``, ``itl_s.p50``, ``goodput_per_s``, ``nll_per_token``, …)."""
    ratios: dict[str, RatioEstimate]
    """Quantity's key → ratio to the baseline; empty for the baseline itself."""
    verdicts: dict[str, Verdict]
    """Quantity's key → what that ratio's interval says."""
    shortfalls: tuple[Shortfall, ...]
    flags: tuple[str, ...]
    """On any record of the arm that was counted."""
    quality: ArmQuality | None = None
    """Beside the baseline's; None where none was measured."""


@dataclass(frozen=True)
class Comparison:
    campaign: str
    baseline: str
    """``arm_id``"""
    quantities: tuple[Quantity, ...]
    """What is compared, one table each; never summed."""
    arms: tuple[ArmResult, ...]
    blocks_done: int
    """Blocks of which no run is awaited any more."""
    decision: Blocks | None
    """How many blocks there are to be, and why; None where the folder has no lock file."""
    level: float
    """Joint confidence of all intervals of one quantity; with ``across`` of all quantities."""
    across: bool
    """Whether the intervals of all quantities hold together, not only those of each."""
    target: float | None
    """Half-width that the campaign asks for, as a share."""
    margin: float
    """Within which two arms count as the same, as a share."""
    carry: dict[str, CarryOver]
    """Quantity's key → what a run hands on to the next; left out where none has one before it."""
    hardware: str
    meters: dict[str, str]
    """Device class → names of the meters."""
    left_out: tuple[str, ...]
    """Device classes that are not compared, each with the reason, in words."""
    notes: tuple[str, ...]
    flags: dict[str, str]
    """Flag → meaning, of every flag on a counted record or that took one out."""
    quality_margin: float = QUALITY_MARGIN
    """How much quality an arm may lose and still count as better, as a share."""
    quality_ignored: bool = False
    """Whether it was asked to count as better whatever the answers are."""
    boards: tuple[Boards, ...] = ()
    """How far boards (or nodes) differ in each quantity; empty where all blocks ran on the same."""
    sentences: tuple[str, ...] = ()
    """What the intervals say, in plain words (``lem/analysis/words.py``)."""

    @property
    def estimated(self) -> bool:
        """Whether energy here is modelled from CPU time, not measured."""
        return any(q.estimated for q in self.quantities)

    @property
    def agreement_floor(self) -> Agreement | None:
        """How alike the baseline's own answers are from block to block: what numerics change."""
        base = next((a.quality for a in self.arms if a.baseline), None)
        return None if base is None else base.agreement

    def spoilt(self, arm: ArmResult) -> bool:
        """Whether the arm must not be called better, whatever it saves: its answers are worse, or
        not shown to be as good, though quality was measured."""
        return (
            not self.quality_ignored
            and arm.quality is not None
            and arm.quality.standing in ("lost", "cannot_tell")
        )

    @property
    def blocks_planned(self) -> int | None:
        """None where the folder has no lock file; while a pilot runs, its blocks."""
        return self.decision.n if self.decision is not None else None

    @property
    def provisional(self) -> bool:
        """Whether blocks are still missing, or there is but one."""
        undecided = self.decision is not None and not self.decision.final
        return undecided or self.blocks_done < max(2, self.blocks_planned or 0)

    def reached(self, quantity: Quantity) -> float | None:
        """Half-width of this quantity's widest interval, as a share on the logarithmic scale; None
        where an arm that has a ratio has no interval, or where there is no ratio."""
        found = [a.ratios[quantity.key] for a in self.arms if quantity.key in a.ratios]
        widths = [r.half_width_log for r in found if r.half_width_log is not None]
        return max(widths) if widths and len(widths) == len(found) else None

    def bias_log(self, arm: ArmResult, key: str) -> float | None:
        """Bound on the bias of the arm's log-ratio by carry-over; None where it is not known."""
        carry = self.carry.get(key)
        if carry is None or carry.share is None:
            return None
        return carry.bias.get(arm.arm.arm_id)

    def hidden_log(self, arm: ArmResult, quantity: Quantity) -> float:
        """By how much carry-over may have made the arm's log-ratio look better than it is. Where
        the share is not known: if all was handed on, which draws one way only."""
        carry, arm_id = self.carry.get(quantity.key), arm.arm.arm_id
        if carry is None:
            return 0.0
        if carry.share is not None:
            return carry.bias.get(arm_id, 0.0)
        pull = carry.pull.get(arm_id, 0.0)
        return max(0.0, pull if quantity.better == "higher" else -pull)

    def expanded_log(self, arm: ArmResult, key: str) -> float | None:
        """Expanded uncertainty of the arm's log-ratio: 2·s ÷ √n, or the interval's half-width where
        that is larger (few blocks tell little of s), and the bound on the bias added to it. A
        board's gain and whatever else the runs of a block share have cancelled; what is left of
        the gains where the arms ran on different boards is in both."""
        ratio, bias = arm.ratios[key], self.bias_log(arm, key)
        if bias is None or ratio.sd_log is None or ratio.half_width_log is None:
            return None
        # Where boards are the unit, the scatter between blocks has what their gains do in it.
        shared = 0.0 if ratio.method == "boards" else ratio.shared_log
        spread = 2 * math.hypot(ratio.sd_log / math.sqrt(ratio.n), shared)
        return max(spread, ratio.half_width_log) + bias

    @property
    def baseline_name(self) -> str:
        return next(a.name for a in self.arms if a.baseline)

    def to_json(self) -> dict[str, Any]:
        """As plain data for ``--json``. Figures are in the units their keys carry."""
        return {
            "schema_version": 1,
            "campaign": self.campaign,
            "baseline": self.baseline,
            "estimated": self.estimated,
            "provisional": self.provisional,
            "blocks_done": self.blocks_done,
            "blocks_planned": self.blocks_planned,
            "blocks_decided": self.decision and self.decision._asdict(),
            "level": self.level,
            "level_across_quantities": self.across,
            "precision": {
                "target": self.target,
                "reached": {q.key: self.reached(q) for q in self.quantities},
            },
            "margin": self.margin,
            "quality_margin": self.quality_margin,
            "quality_ignored": self.quality_ignored,
            "carry_over": {k: asdict(v) for k, v in self.carry.items()},
            "hardware": self.hardware,
            "meters": self.meters,
            "quantities": [{"key": q.key, **asdict(q)} for q in self.quantities],
            "left_out": list(self.left_out),
            "arms": [_arm_json(self, a) for a in self.arms],
            "boards": [asdict(b) for b in self.boards],
            "sentences": list(self.sentences),
            "notes": list(self.notes),
            "flags": self.flags,
        }


def _arm_json(comparison: Comparison, arm: ArmResult) -> dict[str, Any]:
    return {
        "arm_id": arm.arm.arm_id,
        "experiment_id": arm.arm.experiment_id,
        "label": arm.arm.label,
        "name": arm.name,
        "settings": arm.arm.settings,
        "baseline": arm.baseline,
        "blocks": arm.blocks,
        "figures": {k: asdict(v) for k, v in arm.figures.items()},
        "ratios": {
            k: {
                **asdict(v),
                "reached": v.reached,
                "carry_over_bias_log": comparison.bias_log(arm, k),
                "expanded_log": comparison.expanded_log(arm, k),
            }
            for k, v in arm.ratios.items()
        },
        "verdicts": {k: asdict(v) for k, v in arm.verdicts.items()},
        "shortfalls": [asdict(s) for s in arm.shortfalls],
        "flags": list(arm.flags),
        "quality": None if arm.quality is None else asdict(arm.quality),
    }


@dataclass(frozen=True)
class GateResult:
    """Whether one arm stays within the gate in one quantity."""

    arm_id: str
    name: str
    quantity: str
    outcome: Literal["pass", "fail", "cannot_tell"]
    reason: str


QUALITY = "quality"
"""What :class:`GateResult` calls the answers' quality."""


def gate(comparison: Comparison, limit: float, quality: bool = False) -> list[GateResult]:
    """Hold every arm against "not worse than the baseline by more than ``limit``" (0.05: 5 %), and
    with ``quality`` against "answers as well, within the quality margin".

    ``fail`` only on evidence: the whole interval lies beyond the limit. ``pass`` likewise: the
    whole interval lies within, also with the bound on what carry-over may have hidden. Anything
    else, also a missing interval or arm, is ``cannot_tell``; so is everything before the last
    block: looking until an interval pleases is no evidence.
    """
    results = []
    for quantity in comparison.quantities:
        for arm in comparison.arms:
            if not arm.baseline:
                hidden_log = comparison.hidden_log(arm, quantity)
                outcome, reason = _hold(arm, quantity, limit, hidden_log)
                if comparison.provisional and arm.ratios:
                    planned = comparison.blocks_planned or 2
                    outcome = "cannot_tell"
                    reason = f"provisional: {comparison.blocks_done} of {planned} blocks; {reason}"
                results.append(GateResult(arm.arm.arm_id, arm.name, quantity.key, outcome, reason))
    if quality:
        results += [_hold_quality(comparison, a) for a in comparison.arms if not a.baseline]
    return results


def _hold_quality(comparison: Comparison, arm: ArmResult) -> GateResult:
    found = arm.quality
    outcome: Literal["pass", "fail", "cannot_tell"] = "cannot_tell"
    if found is None or found.standing is None:
        reason = "no quality was measured"
    else:
        losses = [
            f"{v.measure} {100 * v.value:+.1f} {'%' if v.measure == 'nll' else 'points'} of loss"
            for v in found.losses.values()
        ]
        reason = ", ".join(losses)
        if comparison.provisional:
            reason = f"provisional: {reason}"
        elif found.standing != "cannot_tell":
            outcome = "pass" if found.standing == "kept" else "fail"
    return GateResult(arm.arm.arm_id, arm.name, QUALITY, outcome, reason)


def _hold(
    arm: ArmResult, quantity: Quantity, limit: float, hidden_log: float
) -> tuple[Literal["pass", "fail", "cannot_tell"], str]:
    ratio = arm.ratios.get(quantity.key)
    if ratio is None:
        return "cannot_tell", "no block has both this arm and the baseline"
    if ratio.low is None or ratio.high is None:
        return "cannot_tell", ratio.reason or "no interval"
    # Where more is better, worse means a lower ratio: compare the inverse.
    low, high = ratio.low, ratio.high
    if quantity.better == "higher":
        low, high = 1 / high, 1 / low
    worst = f"ratio to the baseline {ratio.ratio:.3g} ({ratio.low:.3g} to {ratio.high:.3g})"
    bound = 1 + limit
    if low > bound and not math.isclose(low, bound):
        return "fail", worst
    if high * math.exp(hidden_log) <= bound:
        return "pass", worst
    if high <= bound:
        return "cannot_tell", f"{worst}; carry-over may hide {math.expm1(hidden_log):.1%} more"
    return "cannot_tell", worst
