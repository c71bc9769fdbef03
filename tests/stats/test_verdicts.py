"""Less, more, the same, or nothing yet."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.stats import RatioEstimate, equivalent, more_blocks, verdict


def estimate(ratio: float, half: float, same: float | None = None, n: int = 10) -> RatioEstimate:
    return RatioEstimate(
        ratio,
        ratio * math.exp(-half),
        ratio * math.exp(half),
        n,
        0.01,
        0.95,
        1,
        half_width_log=half,
        half_width_same_log=half * 0.8 if same is None else same,
    )


NONE = RatioEstimate(0.9, None, None, 1, None, 0.95, 1, reason="one block")


@pytest.mark.parametrize(
    ("ratio", "half", "margin", "says"),
    [
        (0.7, 0.02, None, "less"),
        (1.3, 0.02, None, "more"),
        (1.01, 0.02, None, "cannot_tell"),
        (1.001, 0.01, 0.02, "same"),
        (0.99, 0.005, 0.02, "same"),  # less, but by nothing that matters
        (0.97, 0.005, 0.02, "less"),
        (1.001, 0.05, 0.02, "cannot_tell"),
    ],
)
def test_what_is_said(ratio: float, half: float, margin: float | None, says: str) -> None:
    found = verdict(estimate(ratio, half), margin)
    assert found.says == says
    assert (found.more_blocks is not None) == (says == "cannot_tell")


def test_without_an_interval_nothing_is_said() -> None:
    found = verdict(NONE, 0.02)
    assert (found.says, found.more_blocks) == ("cannot_tell", None)
    assert equivalent(NONE, 0.02) is None and more_blocks(NONE) is None


def test_failing_to_find_a_difference_is_not_sameness() -> None:
    assert equivalent(estimate(1.0, 0.5), 0.02) is False


@given(st.floats(0.5, 2), st.floats(1e-4, 0.5), st.floats(0.001, 0.3))
def test_equivalence_is_the_narrower_interval_within_the_margin(
    ratio: float, half: float, margin: float
) -> None:
    found = estimate(ratio, half)
    low, high = ratio * math.exp(-0.8 * half), ratio * math.exp(0.8 * half)
    assert equivalent(found, margin) == (1 - margin < low and high < 1 + margin)


@given(st.floats(0.8, 1.25), st.floats(0.01, 0.5), st.one_of(st.none(), st.floats(0.005, 0.1)))
def test_the_blocks_that_are_named_would_decide(
    ratio: float, half: float, margin: float | None
) -> None:
    found = estimate(ratio, half)
    said = verdict(found, margin)
    if said.more_blocks is None:
        return
    shrink = math.sqrt(found.n / (found.n + said.more_blocks))
    assert verdict(estimate(ratio, half * shrink), margin).says != "cannot_tell"
    if said.more_blocks > 1:
        shrink = math.sqrt(found.n / (found.n + said.more_blocks - 1))
        assert verdict(estimate(ratio, half * shrink * 1.0001), margin).says == "cannot_tell"


def test_what_carry_over_may_have_hidden_speaks_against_sameness() -> None:
    """±0.8 % and 0.5 % more: 1.001 is the same within 2 %, 1.008 is not."""
    for ratio, same in ((1.001, True), (1.008, False)):
        found = estimate(ratio, 0.01)
        assert equivalent(found, 0.02) is True
        assert equivalent(found, 0.02, 0.005) is same
        assert verdict(found, 0.02, 0.005).says == ("same" if same else "cannot_tell")
        assert verdict(found, 0.02, 0.005).hidden is not same
    # A difference is only the larger for it.
    assert verdict(estimate(0.97, 0.005), 0.02, 0.1).says == "less"


def test_hopeless_cases_name_no_number() -> None:
    assert more_blocks(estimate(1.0, 0.02)) is None
    assert more_blocks(estimate(1.0001, 0.5)) is None
    assert more_blocks(replace(estimate(1.02, 0.02), half_width_same_log=None)) is None
