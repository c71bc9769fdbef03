"""Quality in a whole comparison: from files to sentences, signs, footnotes and the gate."""

from pathlib import Path

import pytest
from rich.console import Console

from lem.analysis.comparison import Comparison, gate
from lem.analysis.results import open_results
from lem.contract.answers import Answer, Answers
from lem.contract.record import Record
from lem.report.table import render
from tests import records

VALUES: dict[int, list[float | None]] = {1: [2.0, 2.02, 2.01], 4: [1.0, 1.0, 1.01]}
TEXT, PROMPTS = "e" * 64, "f" * 64


def campaign(
    folder: Path,
    *,
    nll: dict[int, float | None] | None = None,
    outcomes: dict[int, str] | None = None,
    answers: dict[int, list[str]] | None = None,
    values: dict[int, list[float | None]] = VALUES,
) -> Path:
    """A folder of two arms whose runs show this quality, by batch size, in every block."""
    lock = records.campaign(folder, values, measured=("gpu",))
    quality = [*(["nll"] if nll else []), *(["agreement"] if answers else [])]
    measure = lock.measure.model_copy(update={"quality": quality})
    if outcomes:
        from lem.contract.spec import Accuracy

        measure = measure.model_copy(update={"accuracy": Accuracy(path="q.jsonl")})
    lock.model_copy(update={"measure": measure}).write(folder / "campaign.lock.json")
    batches = {records.arm_name(i): batch for i, batch in enumerate(values)}
    for path in sorted(folder.glob("blocks/*/*/*/record.json")):
        record = Record.read(path)
        batch = batches[record.arm_id]
        update: dict[str, object] = {}
        if nll and nll[batch] is not None:
            update |= {"nll_per_token": nll[batch], "text_sha256": TEXT, "tokens": 100}
        if outcomes:
            o = outcomes[batch]
            update["accuracy"] = {
                "questions_sha256": "9" * 64,
                "questions": len(o),
                "correct": o.count("1"),
                "value": o.count("1") / len(o),
                "low": 0.0,
                "high": 1.0,
                "outcomes": o,
            }
        if answers:
            update["agreement_sha256"] = PROMPTS
            Answers(
                run_id=record.run_id,
                agreement_sha256=PROMPTS,
                agreement=[
                    Answer(id=f"a{i}", status="done", output_tokens=1, text=t)
                    for i, t in enumerate(answers[batch])
                ],
            ).write(path.with_name("answers.json"))
        raw = record.model_dump()
        raw["quality"] = raw["quality"] | update
        Record.model_validate(raw).write(path)
    return folder


def compare(folder: Path, **options: object) -> Comparison:
    return open_results(folder).compare(**options)  # type: ignore[arg-type]


def shown(comparison: Comparison) -> str:
    console = Console(width=200, record=True, force_terminal=True, color_system="standard")
    with console.capture() as said:
        render(comparison, console, "results")
    return said.get()


GREEN = "\x1b[32m"


def test_an_arm_that_answers_as_well_is_called_better(tmp_path: Path) -> None:
    c = compare(campaign(tmp_path, nll={1: 3.0, 4: 3.03}))
    assert "uses 50.1 % less" in c.sentences[0] and "answers" not in c.sentences[0]
    assert GREEN in shown(c) and "↓" not in shown(c) and "not called better" not in shown(c)


def test_an_arm_with_worse_answers_is_not(tmp_path: Path) -> None:
    c = compare(campaign(tmp_path, nll={1: 3.0, 4: 3.15}))
    (sentence,) = c.sentences
    assert "uses 50.1 % less GPU energy per output token than batch size 1" in sentence
    assert sentence.endswith(", but its answers are worse: NLL is 5.0 % higher.")
    text = shown(c)
    assert GREEN not in text and " ↓" in text
    assert "not called better" in text
    assert c.to_json()["arms"][1]["quality"]["standing"] == "lost"


def test_unless_it_is_asked_for_or_the_margin_is_wider(tmp_path: Path) -> None:
    folder = campaign(tmp_path, nll={1: 3.0, 4: 3.15})
    ignored = compare(folder, ignore_quality=True)
    assert "answers" not in ignored.sentences[0]
    assert GREEN in shown(ignored) and "Quality is left out" in shown(ignored)
    assert GREEN in shown(compare(folder, quality_margin=0.06))


def test_the_campaigns_own_margin_holds(tmp_path: Path) -> None:
    folder = campaign(tmp_path, nll={1: 3.0, 4: 3.15})
    lock = compare(folder) and open_results(folder).one().lock
    assert lock is not None
    lock.model_copy(update={"quality_margin": 0.06}).write(folder / "campaign.lock.json")
    assert compare(folder).quality_margin == 0.06
    assert compare(folder, quality_margin=0.01).quality_margin == 0.01


def test_what_costs_more_and_answers_worse(tmp_path: Path) -> None:
    values: dict[int, list[float | None]] = {1: [1.0, 1.0, 1.01], 4: [2.0, 2.02, 2.01]}
    c = compare(campaign(tmp_path, nll={1: 3.0, 4: 3.15}, values=values))
    assert c.sentences[0].endswith(", and its answers are worse: NLL is 5.0 % higher.")


def test_what_cannot_be_told_of_energy_has_quality_in_a_sentence_of_its_own(tmp_path: Path) -> None:
    values: dict[int, list[float | None]] = {1: [1.0, 2.0, 1.5], 4: [1.5, 1.2, 1.9]}
    c = compare(campaign(tmp_path, nll={1: 3.0, 4: 3.15}, values=values))
    assert c.sentences[0].startswith("Can't tell yet")
    assert c.sentences[0].endswith(". Its answers are worse: NLL is 5.0 % higher.")


def test_accuracy_in_words(tmp_path: Path) -> None:
    outcomes = {1: "1" * 100, 4: "0" * 20 + "1" * 80}
    c = compare(campaign(tmp_path, outcomes=outcomes))
    # (21 − 1) ÷ 102 ± 1.96·√((22/102 − (20/102)²) ÷ 102), rounded outwards.
    assert c.sentences[0].endswith(
        "its answers are worse: accuracy is 20.0 points lower"
        " (27.8 points lower to 11.4 points lower, 100 questions)."
    )
    text = shown(c)
    assert "Accuracy (%)" in text and "Accuracy: of 100 questions" in text


def test_too_few_questions_to_tell(tmp_path: Path) -> None:
    c = compare(campaign(tmp_path, outcomes={1: "1" * 20, 4: "1" * 20}))
    assert (
        ", but whether its answers are as good can't be told: accuracy is 0 points"
        in (c.sentences[0])
    )
    assert " ~" in shown(c) and GREEN not in shown(c)


def test_agreement_in_words_and_in_the_table(tmp_path: Path) -> None:
    base = [f"answer {i}" for i in range(32)]
    arm = [f"answer {i}" if i < 12 else f"other {i}" for i in range(32)]
    c = compare(campaign(tmp_path, answers={1: base, 4: arm}))
    assert c.sentences[0].endswith(
        ", but its answers differ: 12 of 32 are the baseline's (the baseline's own in other"
        " blocks: 32)."
    )
    text = shown(c)
    assert "Same answers (%)" in text
    assert "100 (begin 100)" in text  # the baseline with itself
    assert "38 (begin 38)" in text


def test_answers_of_another_run_are_not_used(tmp_path: Path) -> None:
    folder = campaign(tmp_path, answers={1: ["a"] * 32, 4: ["a"] * 32})
    for path in folder.glob(f"blocks/*/{records.arm_name(1)}/0/answers.json"):
        Answers.read(path).model_copy(update={"run_id": "another"}).write(path)
    c = compare(folder)
    assert c.arms[1].quality is not None and c.arms[1].quality.agreement is None
    assert any("another run" in n and "3 such file(s)" in n for n in c.notes)


def test_damaged_answers_are_said_and_left_out(tmp_path: Path) -> None:
    folder = campaign(tmp_path, answers={1: ["a"] * 32, 4: ["a"] * 32})
    (folder / "blocks/0000" / records.arm_name(1) / "0" / "answers.json").write_text("[]")
    c = compare(folder)
    assert c.arms[1].quality is not None and c.arms[1].quality.agreement is not None
    assert c.arms[1].quality.agreement.blocks == 2
    assert any("cannot be used" in n for n in c.notes)


def test_an_engine_without_likelihood_is_named(tmp_path: Path) -> None:
    text = shown(compare(campaign(tmp_path, nll={1: 3.0, 4: None})))
    assert "batch size 4 has no comparable NLL: its engine gives no log-probabilities" in text


def test_nothing_measured_is_said_only_where_it_could_matter(tmp_path: Path) -> None:
    records.campaign(tmp_path / "batches", VALUES, measured=("gpu",))
    assert "Quality was not measured" not in shown(compare(tmp_path / "batches"))
    lock = records.campaign(tmp_path / "kinds", VALUES, measured=("gpu",))
    arms = [
        a.model_copy(
            update={
                "experiment": a.experiment.model_copy(
                    update={"engine": {"dtype": dtype, "max_batch_size": 1}}
                )
            }
        )
        for a, dtype in zip(lock.arms, ("float32", "bfloat16"), strict=True)
    ]
    lock.model_copy(update={"arms": arms}).write(tmp_path / "kinds" / "campaign.lock.json")
    assert "Quality was not measured, and the arms differ in engine.dtype" in shown(
        compare(tmp_path / "kinds")
    )


@pytest.mark.parametrize(("nll", "outcome"), [(3.0, "pass"), (3.15, "fail"), (None, "cannot_tell")])
def test_the_gate_holds_quality_only_where_it_is_asked(
    tmp_path: Path, nll: float | None, outcome: str
) -> None:
    c = compare(campaign(tmp_path, nll={1: 3.0, 4: nll}))
    assert [r.outcome for r in gate(c, 0.05)] == ["pass"]
    energy, quality = gate(c, 0.05, quality=True)
    assert (energy.outcome, quality.quantity, quality.outcome) == ("pass", "quality", outcome)


def test_a_provisional_campaign_fails_no_gate(tmp_path: Path) -> None:
    values: dict[int, list[float | None]] = {1: [2.0, 2.02], 4: [1.0, 1.0]}
    folder = campaign(tmp_path, nll={1: 3.0, 4: 3.15}, values=values)
    lock = open_results(folder).one().lock
    assert lock is not None
    lock.model_copy(update={"blocks": 5}).write(folder / "campaign.lock.json")
    assert gate(compare(folder), 0.05, quality=True)[1].outcome == "cannot_tell"
