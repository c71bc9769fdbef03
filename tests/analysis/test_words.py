"""What is said in plain words is what the intervals say."""

import math
import re

import pytest

from lem.analysis import words
from lem.analysis.results import open_results
from tests import records


def said(folder, values, **options):
    records.campaign(folder, values, **options)
    return list(open_results(folder).compare().sentences)


def test_less(tmp_path):
    # Ratios 0.28 · (1 ± a few per cent).
    values = {1: [0.020, 0.020, 0.020], 16: [0.0056, 0.0057, 0.0055]}
    assert said(tmp_path, values) == [
        "Batch size 16 uses 72 % less CPU time per output token than batch size 1"
        " (70–74 %, 3 blocks)."
    ]


def test_more_and_times_as_much(tmp_path):
    values = {1: [1.0, 1.0, 1.01], 2: [1.2, 1.21, 1.2], 4: [3.0, 3.02, 3.0]}
    more, times = said(tmp_path, values, measured=("gpu",))
    assert more.startswith("Batch size 2 uses 20 % more GPU energy per output token than batch s")
    assert times.startswith(
        "Batch size 4 uses 3.00 times as much GPU energy per output token as batch size 1 (2.9"
    )
    assert times.endswith(" times, 3 blocks).")


def test_cannot_tell_yet(tmp_path):
    (sentence,) = said(tmp_path, {1: [1.0, 1.1, 1.0], 2: [1.05, 1.0, 1.05]}, measured=("gpu",))
    assert sentence.startswith("Can't tell yet whether batch size 2 differs from batch size 1")
    assert "(anything from 19 % less to 24 % more, 3 blocks)." in sentence


def test_how_many_more_blocks_would_tell(tmp_path):
    """Log-ratios of mean 0.1, s 0.1, 3 blocks: 4.303·0.1 ÷ √n < 0.1 from n = 19."""
    values = {1: [1.0] * 3, 2: [math.exp(d) for d in (0.0, 0.1, 0.2)]}
    (sentence,) = said(tmp_path, values, measured=("gpu",))
    assert "batch size 1 in GPU energy per output token: about 16 more blocks would (" in sentence


def test_the_same_is_a_result_of_its_own(tmp_path):
    """The five log-ratios have s = 0.001·√(2.5 ÷ 4); t(0.95, 4) is 2.131847, so the one-sided
    tests reject from 2.131847·s ÷ √5 = 0.00075 on."""
    ds = [0.001 * d for d in (-1, 0.5, 0, -0.5, 1)]
    values = {1: [1.0] * 5, 2: [math.exp(d) for d in ds]}
    assert said(tmp_path, values, measured=("gpu",)) == [
        "Batch size 2 uses the same GPU energy per output token as batch size 1 within 2 %"
        " (−0.08 to +0.08 %, 5 blocks)."
    ]


def test_the_margin_is_the_campaigns_own(tmp_path):
    ds = [0.001 * d for d in (-1, 0.5, 0, -0.5, 1)]
    values = {1: [1.0] * 5, 2: [math.exp(d) for d in ds]}
    lock = records.campaign(tmp_path, values, measured=("gpu",))
    lock.model_copy(update={"same_within": 0.001}).write(tmp_path / "campaign.lock.json")
    (sentence,) = open_results(tmp_path).compare().sentences
    assert "within 0.1 %" in sentence
    (sentence,) = open_results(tmp_path).compare(margin=0.0005).sentences
    assert sentence.startswith("Can't tell yet")


def test_a_small_difference_that_is_known_is_also_the_same_within_the_margin(tmp_path):
    ds = [0.005 + 0.0001 * d for d in (-1, 0.5, 0, -0.5, 1)]
    values = {1: [1.0] * 5, 2: [math.exp(d) for d in ds]}
    (sentence,) = said(tmp_path, values, measured=("gpu",))
    assert "the same" in sentence and "(+0.493 to +0.509 %" in sentence


def test_what_carry_over_may_hide_is_named_as_the_reason(tmp_path):
    """About 0.5 % more, ± 0.5 % for sameness; the order does not tell what is handed on."""
    values = {1: [1.0, 1.005, 0.995, 1.0, 1.005, 1.0]}
    values[2] = [1.006 * v for v in (1.0, 1.0, 1.0, 0.995, 1.0, 1.005)]
    (sentence,) = said(tmp_path, values, measured=("gpu",))
    assert "within 2 %" in sentence
    (sentence,) = open_results(tmp_path).compare(margin=0.013).sentences
    assert sentence.startswith("Can't tell yet whether batch size 2 differs")
    assert sentence.endswith("6 blocks). Carry-over from run to run may hide a difference.")


@pytest.mark.parametrize("centre", [0.5, 0.71, 0.9, 1.1, 1.4, 2.5])
@pytest.mark.parametrize("spread", [0.003, 0.011, 0.023])
def test_the_interval_that_is_said_is_never_narrower_than_the_one_computed(
    tmp_path, centre, spread
):
    """Rounded to the nearest, 28.51 to 30.71 % read 29–31 %."""
    ds = [spread * d for d in (-1, 0.4, 0.1, -0.5, 1)]
    values = {1: [1.0] * 5, 2: [centre * math.exp(d) for d in ds]}
    records.campaign(tmp_path, values, measured=("gpu",))
    found = open_results(tmp_path).compare()
    (ratio,) = (r for a in found.arms for r in a.ratios.values())
    low, high, unit = re.search(r"\(([0-9.]+)–([0-9.]+) (%|times), 5", found.sentences[0]).groups()
    if unit == "%":
        ends = sorted(1 + (1 if centre > 1 else -1) * float(v) / 100 for v in (low, high))
    else:
        ends = [float(low), float(high)]
    assert ends[0] <= ratio.low + 1e-9 and ratio.high <= ends[1] + 1e-9
    assert ends[1] - ends[0] <= 3 * (ratio.high - ratio.low) + 0.011


def test_many_arms_have_the_most_telling_ones_said(tmp_path):
    values = {b: [0.1 * b, 0.1 * b + 0.001, 0.1 * b] for b in range(1, 10)}
    lock = records.campaign(tmp_path, values, measured=("gpu",))
    lock.model_copy(update={"baseline": records.arm_name(4)}).write(tmp_path / "campaign.lock.json")
    less, more, rest = open_results(tmp_path).compare().sentences
    assert less.startswith("Batch size 1 uses") and more.startswith("Batch size 9 uses")
    assert rest == "The table has the other 6 arms."


def test_what_is_not_complete_is_said_so_far(tmp_path):
    values = {1: [1.0, 1.01, 1.02], 2: [0.5, 0.52, 0.5]}
    (sentence,) = said(tmp_path, values, measured=("gpu",), blocks=5)
    assert sentence.startswith("So far batch size 2 uses")


def test_one_block_claims_nothing(tmp_path):
    assert said(tmp_path, {1: [1.0], 2: [0.5]}, measured=("gpu",)) == [
        "So far batch size 2 uses 50 % less GPU energy per output token than batch size 1"
        " (1 block); no interval: an interval needs at least 2 blocks."
    ]


def test_nothing_in_common(tmp_path):
    (sentence,) = said(tmp_path, {1: [1.0, 1.0], 2: [None, None]}, measured=("gpu",))
    assert sentence.startswith("Nothing to compare yet")


@pytest.mark.parametrize("blocks", [1, 3])
def test_no_word_of_significance(tmp_path, blocks):
    values = {1: [1.0, 1.01, 1.02][:blocks], 2: [0.5, 0.52, 0.5][:blocks]}
    assert "signific" not in " ".join(said(tmp_path, values, measured=("gpu",))).lower()


def test_nearly_all_is_not_all(tmp_path):
    values = {1: [1.0, 1.0, 1.0], 2: [0.0002, 0.00021, 0.0002]}
    (sentence,) = said(tmp_path, values, measured=("gpu",))
    assert " 100 % less" not in sentence


def test_a_guess_of_blocks_has_two_digits():
    assert [words._two_digits(n) for n in (1, 10, 99, 613, 2314)] == [1, 10, 99, 620, 2400]
