"""What is said in plain words is what the intervals say."""

import pytest

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
        " (71 to 73 % less, 3 blocks)."
    ]


def test_more_and_times_as_much(tmp_path):
    values = {1: [1.0, 1.0, 1.01], 2: [1.2, 1.21, 1.2], 4: [3.0, 3.02, 3.0]}
    (sentence,) = said(tmp_path, values, measured=("gpu",))
    assert sentence.startswith(
        "Batch size 4 uses 3.00 times as much GPU energy per output token as batch size 1 ("
    )


def test_cannot_tell_yet(tmp_path):
    (sentence,) = said(tmp_path, {1: [1.0, 1.1, 1.0], 2: [1.05, 1.0, 1.05]}, measured=("gpu",))
    assert sentence.startswith("Can't tell yet whether batch size 2 differs from batch size 1")
    assert "% less to" in sentence and sentence.endswith("% more (3 blocks).")


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
