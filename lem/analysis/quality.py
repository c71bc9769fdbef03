"""Whether an arm's answers are as good as the baseline's, and how alike they are. Pure.

Three measures, each with the loss that the arm has beside the baseline and bounds on it:

- ``nll``: relative change of the mean negative log-likelihood per token. But for numerics it does
  not scatter; the bounds are the least and the largest over blocks. Compared only where both arms
  cut the text into as many tokens.
- ``accuracy``: difference of the shares of correct answers to the same questions, paired.
- ``agreement``: by how much fewer of the arm's greedy answers are the baseline's of the same block
  than the baseline's own of another block are. Other words are not worse ones, so this decides only
  where neither of the others was measured.

``kept``: the loss is within the margin, bounds included. ``lost``: it is beyond, bounds included.
For ``agreement``: kept where the answers differ by no more than the margin, lost where they differ
by more and by more than the baseline from itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lem.stats.paired import paired_difference

QUALITY_MARGIN = 0.02
"""Of NLL relative, of accuracy and agreement in points, where nobody says another."""

Standing = Literal["kept", "lost", "cannot_tell"]
Measure = Literal["nll", "accuracy", "agreement"]


@dataclass(frozen=True)
class Seen:
    """What one run that counts shows of its quality."""

    nll: float | None = None
    nll_text: str | None = None
    """Which text (its SHA-256) …"""
    nll_tokens: int | None = None
    """… in how many tokens."""
    questions: str | None = None
    """SHA-256 of the questions …"""
    outcomes: str = ""
    """… and a 1 for each correct answer, else a 0."""
    prompts: str | None = None
    """SHA-256 of the prompts …"""
    answers: tuple[str | None, ...] = ()
    """… and the answer to each; None where there was none."""


@dataclass(frozen=True)
class Loss:
    """How much worse an arm is than the baseline in one measure; below 0: better."""

    measure: Measure
    value: float
    """A share: of NLL relative, of the others in points."""
    low: float
    high: float
    standing: Standing
    n: int
    """Blocks for NLL, else questions or prompts."""


@dataclass(frozen=True)
class Agreement:
    """How alike greedy answers to the same prompts are, over blocks and prompts."""

    same: float
    """Share of answers that are the same to the letter."""
    leading: float
    """Mean length of the common beginning ÷ length of the longer answer, in characters."""
    prompts: int
    blocks: int
    """Blocks; of the baseline with itself, pairs of successive blocks."""


@dataclass(frozen=True)
class ArmQuality:
    losses: dict[str, Loss]
    """By measure."""
    standing: Standing | None
    """Of all measures together; None where none could be compared."""
    agreement: Agreement | None
    """With the baseline in the same block; the baseline's own: with itself in the next block."""
    missing: tuple[str, ...] = ()
    """Measures that the baseline has and this arm cannot be compared in, in words."""


Runs = Mapping[int, Seen]
"""Block → what the arm's run shows."""


def qualities(
    runs: Mapping[str, Runs], baseline: str, *, margin: float = QUALITY_MARGIN, level: float = 0.95
) -> dict[str, ArmQuality]:
    """Every arm beside the baseline, which has itself in other blocks. ``level`` holds for the
    intervals of all arms together."""
    base = runs.get(baseline, {})
    others = [a for a in runs if a != baseline]
    found = {arm: _beside(runs[arm], base, margin, level, max(1, len(others))) for arm in others}
    return {baseline: ArmQuality({}, None, _itself(base)), **found}


def leading_share(a: str, b: str) -> float:
    """Characters before the first difference ÷ those of the longer text; 1 for equal ones."""
    longer = max(len(a), len(b))
    if longer == 0:
        return 1.0
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return (min(len(a), len(b)) if same is None else same) / longer


def _beside(arm: Runs, base: Runs, margin: float, level: float, comparisons: int) -> ArmQuality:
    losses: dict[str, Loss] = {}
    missing: list[str] = []
    for measure, has, compare in _MEASURES:
        if not any(has(s) for s in base.values()):
            continue
        if not any(has(s) for s in arm.values()):
            missing.append(_WITHOUT[measure])
            continue
        common = [
            (arm[b], base[b])
            for b in sorted(arm.keys() & base.keys())
            if has(arm[b]) and has(base[b])
        ]
        if not common:
            missing.append(f"{_NOUN[measure]}: no block has both this arm's and the baseline's")
            continue
        loss = compare(common, base, margin, level, comparisons)
        if isinstance(loss, str):
            missing.append(loss)
        elif loss is not None:
            losses[measure] = loss
    alike = _agreement(
        [(arm[b], base[b]) for b in sorted(arm.keys() & base.keys())],
    )
    return ArmQuality(losses, together(losses, margin), alike, tuple(missing))


def together(losses: Mapping[str, Loss], margin: float = QUALITY_MARGIN) -> Standing | None:
    """One word for all measures. What a few questions cannot tell is no objection where another
    measure shows that nothing is lost, and no more than the margin is seen to be lost in this."""
    deciding = [v for k, v in losses.items() if k != "agreement"] or list(losses.values())
    if not deciding:
        return None
    if any(v.standing == "lost" for v in deciding):
        return "lost"
    kept = [v for v in deciding if v.standing == "kept"]
    open_ = [v for v in deciding if v.standing == "cannot_tell"]
    if kept and all(v.value <= margin for v in open_):
        return "kept"
    return "cannot_tell" if open_ else "kept"


Compare = Callable[[Sequence[tuple[Seen, Seen]], Runs, float, float, int], "Loss | str | None"]


def _nll(
    pairs: Sequence[tuple[Seen, Seen]], base: Runs, margin: float, level: float, comparisons: int
) -> Loss | str | None:
    if any((a.nll_text, a.nll_tokens) != (b.nll_text, b.nll_tokens) for a, b in pairs):
        return "NLL: its tokenizer cuts the text otherwise, so NLL per token is of other tokens"
    changes = [a.nll / b.nll - 1 for a, b in pairs if a.nll is not None and b.nll]
    if not changes:
        return None
    low, high = min(changes), max(changes)
    standing: Standing = "kept" if high <= margin else "lost" if low > margin else "cannot_tell"
    return Loss("nll", sum(changes) / len(changes), low, high, standing, len(changes))


def _accuracy(
    pairs: Sequence[tuple[Seen, Seen]], base: Runs, margin: float, level: float, comparisons: int
) -> Loss | str | None:
    first = pairs[0][0]
    if any(s.questions != first.questions for pair in pairs for s in pair):
        return "accuracy: its questions were others"
    if any(len(s.outcomes) != len(first.outcomes) for pair in pairs for s in pair):
        return "accuracy: its questions were others"
    arm = _means([a.outcomes for a, _ in pairs])
    beside = _means([b.outcomes for _, b in pairs])
    d = paired_difference(beside, arm, level=level, comparisons=comparisons)
    standing: Standing = "kept" if d.high <= margin else "lost" if d.low > margin else "cannot_tell"
    return Loss("accuracy", d.difference, d.low, d.high, standing, d.n)


def _means(outcomes: Sequence[str]) -> list[float]:
    return [sum(o == "1" for o in column) / len(column) for column in zip(*outcomes, strict=True)]


def _agreeing(
    pairs: Sequence[tuple[Seen, Seen]], base: Runs, margin: float, level: float, comparisons: int
) -> Loss | str | None:
    if not _comparable([s for pair in pairs for s in pair]):
        return "agreement: its prompts were others"
    own = _successive(base)
    arm = _means([_sames(a, b) for a, b in pairs])
    # With one block nothing shows how much numerics alone change.
    floor = _means([_sames(a, b) for a, b in own]) if own else [1.0] * len(arm)
    d = paired_difference(floor, arm, level=level, comparisons=comparisons)
    standing: Standing = "cannot_tell"
    if d.difference <= margin:
        standing = "kept"
    elif d.low > 0 and own:
        standing = "lost"
    return Loss("agreement", d.difference, d.low, d.high, standing, d.n)


def _itself(base: Runs) -> Agreement | None:
    return _agreement(_successive(base))


def _successive(runs: Runs) -> list[tuple[Seen, Seen]]:
    """The arm's run of each block and of the next one."""
    having = [runs[b] for b in sorted(runs) if runs[b].answers]
    return list(pairwise(having)) if _comparable(having) else []


def _agreement(pairs: Sequence[tuple[Seen, Seen]]) -> Agreement | None:
    pairs = [(a, b) for a, b in pairs if a.answers and b.answers]
    if not pairs or not _comparable([s for pair in pairs for s in pair]):
        return None
    n = len(pairs[0][0].answers)
    same = sum(_sames(a, b).count("1") for a, b in pairs) / n / len(pairs)
    leading = sum(
        0.0 if x is None or y is None else leading_share(x, y)
        for a, b in pairs
        for x, y in zip(a.answers, b.answers, strict=True)
    )
    return Agreement(same, leading / n / len(pairs), n, len(pairs))


def _sames(a: Seen, b: Seen) -> str:
    """A 1 for each answer that is the same; a missing one is none."""
    return "".join(
        "1" if x is not None and x == y else "0" for x, y in zip(a.answers, b.answers, strict=True)
    )


def _comparable(seen: Sequence[Seen]) -> bool:
    return len({(s.prompts, len(s.answers)) for s in seen}) <= 1


_MEASURES: tuple[tuple[Measure, Callable[[Seen], bool], Compare], ...] = (
    ("nll", lambda s: s.nll is not None, _nll),
    ("accuracy", lambda s: s.questions is not None, _accuracy),
    ("agreement", lambda s: bool(s.answers), _agreeing),
)
_NOUN = {"nll": "NLL", "accuracy": "accuracy", "agreement": "agreement"}
_WITHOUT = {
    "nll": "NLL: its engine gives no log-probabilities of a prompt, or has too short a context",
    "accuracy": "accuracy: it was asked no questions",
    "agreement": "agreement: its answers were not kept",
}
