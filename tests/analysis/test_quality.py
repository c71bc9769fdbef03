"""What is lost of quality beside the baseline, by hand."""

import pytest

from lem.analysis.quality import Seen, leading_share, qualities, together

TEXT, ASKED, PROMPTS = "t" * 64, "q" * 64, "p" * 64


def nll(*values: float | None, tokens: int = 100) -> dict[int, Seen]:
    return {i: Seen(nll=v, nll_text=TEXT, nll_tokens=tokens) for i, v in enumerate(values)}


def answered(*outcomes: str, asked: str = ASKED) -> dict[int, Seen]:
    return {i: Seen(questions=asked, outcomes=o) for i, o in enumerate(outcomes)}


def said(*runs: list[str | None]) -> dict[int, Seen]:
    return {i: Seen(prompts=PROMPTS, answers=tuple(r)) for i, r in enumerate(runs)}


def loss(arm: dict[int, Seen], base: dict[int, Seen], measure: str, **options: float):  # type: ignore[no-untyped-def]
    found = qualities({"base": base, "arm": arm}, "base", **options)["arm"]
    return found.losses[measure], found


@pytest.mark.parametrize(
    ("arm", "margin", "standing"),
    [
        ((3.06, 3.06), 0.03, "kept"),
        ((3.15, 3.15), 0.03, "lost"),
        ((3.06, 3.15), 0.03, "cannot_tell"),  # 2 % in one block, 5 % in the other
        ((2.7, 2.7), 0.03, "kept"),  # better
        ((3.06, 3.06), 0.01, "lost"),
    ],
)
def test_nll_is_held_against_the_margin(
    arm: tuple[float, ...], margin: float, standing: str
) -> None:
    found, of_arm = loss(nll(*arm), nll(3.0, 3.0), "nll", margin=margin)
    assert found.value == pytest.approx(sum(arm) / len(arm) / 3 - 1)
    assert (found.low, found.high) == pytest.approx((min(arm) / 3 - 1, max(arm) / 3 - 1))
    assert found.standing == of_arm.standing == standing


def test_nll_is_of_the_same_block_alone() -> None:
    # Block 1 has no baseline.
    found, _ = loss(nll(3.3, 9.9), {0: nll(3.0)[0]}, "nll")
    assert found.value == pytest.approx(0.1) and found.n == 1


def test_nll_of_other_tokens_is_not_compared() -> None:
    found = qualities({"base": nll(3.0), "arm": nll(3.0, tokens=99)}, "base")["arm"]
    assert found.losses == {} and found.standing is None
    assert found.missing[0].startswith("NLL: its tokenizer")


def test_an_engine_without_likelihood_is_said_to_have_none() -> None:
    found = qualities({"base": nll(3.0), "arm": {0: Seen()}}, "base")["arm"]
    assert found.losses == {} and "no log-probabilities" in found.missing[0]
    # Where the baseline has none there is nothing to miss.
    assert qualities({"base": {0: Seen()}, "arm": nll(3.0)}, "base")["arm"].missing == ()


@pytest.mark.parametrize(
    ("arm", "standing"),
    [
        ("1" * 400, "kept"),
        ("0" * 60 + "1" * 340, "lost"),  # 15 points
        ("0" * 10 + "1" * 390, "cannot_tell"),  # 2.5 points
        ("0" * 2 + "1" * 398, "kept"),
    ],
)
def test_accuracy_is_paired(arm: str, standing: str) -> None:
    found, of_arm = loss(answered(arm), answered("1" * 400), "accuracy")
    assert found.value == pytest.approx(arm.count("0") / 400)
    assert found.standing == of_arm.standing == standing


def test_pairing_tells_more_than_two_shares_would() -> None:
    # Half of 400 questions are too hard for both; of the rest the arm loses 20.
    base, arm = "0" * 200 + "1" * 200, "0" * 220 + "1" * 180
    found, _ = loss(answered(arm), answered(base), "accuracy")
    assert found.low > 0
    # Unpaired: 5 points ± 1.96·√(0.25/400 + 0.2475/400) = 5 ± 6.9.
    unpaired = 1.96 * ((0.25 + 0.2475) / 400) ** 0.5
    assert 0.05 - unpaired < 0


def test_other_questions_are_not_compared() -> None:
    found = qualities({"base": answered("11"), "arm": answered("11", asked="x")}, "base")["arm"]
    assert found.missing == ("accuracy: its questions were others",)
    found = qualities({"base": answered("11"), "arm": answered("111")}, "base")["arm"]
    assert found.losses == {}


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ("", "", 1.0),
        ("abcd", "abcd", 1.0),
        ("abcd", "abxd", 0.5),
        ("abcd", "ab", 0.5),
        ("ab", "abcd", 0.5),
        ("xbcd", "abcd", 0.0),
        ("", "abcd", 0.0),
    ],
)
def test_the_common_beginning(a: str, b: str, share: float) -> None:
    assert leading_share(a, b) == share


def test_agreement_is_with_the_baseline_of_the_block_and_its_floor_with_itself() -> None:
    base = said(["aa", "bb", "cc", "dd"], ["aa", "bb", "cc", "dX"])
    arm = said(["aa", "bb", "cX", "XX"], ["aa", "XX", "cX", "dX"])
    found = qualities({"base": base, "arm": arm}, "base")
    floor, alike = found["base"].agreement, found["arm"].agreement
    assert floor is not None and alike is not None
    assert (floor.same, floor.leading, floor.blocks) == (0.75, 3.5 / 4, 1)
    # Block 0: 2 of 4, (1 + 1 + ½ + 0); block 1: 2 of 4, (1 + 0 + ½ + 1).
    assert (alike.same, alike.leading, alike.blocks) == (0.5, 5 / 8, 2)
    assert found["arm"].losses["agreement"].value == pytest.approx(0.25)


def test_answers_that_differ_no_more_than_the_baselines_own_are_kept() -> None:
    base = said(["a", "b"] * 16, ["a", "X"] * 16)
    arm = said(["a", "X"] * 16, ["a", "b"] * 16)
    assert qualities({"base": base, "arm": arm}, "base")["arm"].standing == "kept"


def test_other_answers_count_against_an_arm_only_where_nothing_else_was_measured() -> None:
    base, arm = said(["a"] * 32, ["a"] * 32), said(["b"] * 32, ["b"] * 32)
    assert qualities({"base": base, "arm": arm}, "base")["arm"].standing == "lost"

    def with_nll(runs: dict[int, Seen]) -> dict[int, Seen]:
        return {
            b: Seen(3.0, TEXT, 100, prompts=s.prompts, answers=s.answers) for b, s in runs.items()
        }

    found = qualities({"base": with_nll(base), "arm": with_nll(arm)}, "base")["arm"]
    assert found.losses["agreement"].standing == "lost" and found.standing == "kept"


def test_one_block_shows_no_floor_so_nothing_is_told() -> None:
    found = qualities({"base": said(["a"] * 32), "arm": said(["b"] * 32)}, "base")
    assert found["base"].agreement is None
    assert found["arm"].standing == "cannot_tell"


def test_a_missing_answer_is_the_same_as_none() -> None:
    alike = qualities({"base": said([None, "b"]), "arm": said([None, "b"])}, "base")["arm"]
    assert alike.agreement is not None and alike.agreement.same == 0.5


def test_few_questions_are_no_objection_where_likelihood_shows_nothing_lost() -> None:
    kept, _ = loss(nll(3.0), nll(3.0), "nll")
    unsure, _ = loss(answered("1" * 20), answered("1" * 20), "accuracy")
    assert unsure.standing == "cannot_tell"
    assert together({"accuracy": unsure}) == "cannot_tell"
    assert together({"nll": kept, "accuracy": unsure}) == "kept"
    # Where a loss beyond the margin is seen they are, whether or not it is certain.
    seen, _ = loss(answered("0" * 3 + "1" * 37), answered("1" * 40), "accuracy")
    assert seen.standing == "cannot_tell" and seen.low <= 0
    assert together({"nll": kept, "accuracy": seen}) == "cannot_tell"
    assert together({"nll": kept, "accuracy": seen}, margin=0.1) == "kept"
    worse, _ = loss(answered("0" * 30 + "1" * 70), answered("1" * 100), "accuracy")
    assert together({"nll": kept, "accuracy": worse}) == "lost"
    assert together({}) is None
