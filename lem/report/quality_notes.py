"""Footnotes on quality: what the figures mean, what was not measured, who is not called better."""

from collections.abc import Iterator

from lem.analysis.comparison import ArmInfo, Comparison

CHANGES_QUALITY = ("quant", "dtype", "cache_type", "kv_cache")
"""Where one of these is in a setting's name, it may change answers."""


def about_quality(c: Comparison) -> Iterator[str]:
    """What one must know of the answers, a line each."""
    measured = [a for a in c.arms if a.quality is not None]
    losses = [v for a in measured if a.quality for v in a.quality.losses.values()]
    alike = [a.quality.agreement for a in measured if a.quality and a.quality.agreement]
    if not measured:
        if differing := _may_differ([a.arm for a in c.arms]):
            yield (
                f"Quality was not measured, and the arms differ in {differing}: a cheaper answer"
                " that is worse is no saving (measure.quality, measure.accuracy)."
            )
        return
    yield from about_signs_of_quality(c)
    if c.quality_ignored:
        yield "Quality is left out of what is called better, as was asked."
    if any(v.measure == "accuracy" for v in losses):
        n = max(v.n for v in losses if v.measure == "accuracy")
        yield (
            f"Accuracy: of {n} questions, the same for all. Arms are compared question by question"
            " (Bonett and Price's interval for paired shares), which tells more than their ± do."
        )
    if alike:
        floor = c.agreement_floor
        own = (
            "of the baseline nothing is shown: it takes a second block"
            if floor is None
            else "the baseline's own row is of its answers and those of its next block: what"
            " batching and numerics alone change"
        )
        yield (
            f"Same answers: share of {alike[0].prompts} greedy answers that are the baseline's of"
            " the same block to the letter; begin: mean share of an answer's characters before the"
            f" first difference; {own}."
        )
    for arm in measured:
        for why in arm.quality.missing if arm.quality else ():
            yield f"{arm.name} has no comparable {why}."


def about_signs_of_quality(c: Comparison) -> Iterator[str]:
    """The signs behind ratios of arms that are not called better because of their answers."""
    margin = f"{100 * c.quality_margin:g}"
    standings = {a.quality.standing for a in c.arms if a.quality and c.spoilt(a)}
    if "lost" in standings:
        yield (
            f"↓: its answers are worse (by more than {margin} % of NLL or {margin} points of"
            " accuracy; without these, they differ from the baseline's more than its own do): not"
            " called better."
        )
    if "cannot_tell" in standings:
        yield (
            f"~: whether it loses less than {margin} % of NLL or {margin} points of accuracy can't"
            " be told: not called better."
        )


def _may_differ(arms: list[ArmInfo]) -> str:
    """What the arms differ in that may change answers, in words."""
    names = sorted({path for a in arms for path in a.paths})
    telling = [
        n
        for n in names
        if n in ("backend", "model.content")
        or any(word in n.rpartition(".")[2].lower() for word in CHANGES_QUALITY)
    ]
    found = [n for n in telling if len({str(a.paths.get(n)) for a in arms}) > 1]
    return ", ".join("model" if n == "model.content" else n for n in found)
