"""One run on the terminal."""

import io

from rich.console import Console

from lem.contract.record import Record, Value, WarmUp
from lem.report.record import record_view
from tests import records


def shown(record: Record) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(record_view(record, "counted", "here"))
    return out.getvalue()


def test_warm_up_and_the_prefill_window_are_shown_where_there_are_some() -> None:
    plain = records.record()
    text = shown(plain)
    (row,) = [line for line in text.splitlines() if "warm-up" in line]
    assert row.split() == ["warm-up", "4.0", "s"]
    assert "prefill" not in text
    alone = plain.windows[0].model_copy(
        update={
            "requests": 77,
            "output_tokens": 77,
            "end_ns": plain.windows[0].start_ns + 5 * 10**9,
        }
    )
    whole = plain.model_copy(
        update={"warm_up": WarmUp(windows=6, spread=0.0123, settled=True), "prefill": alone}
    )
    text = shown(whole)
    assert "4.0 s, 6 windows, the last three within 1.2 %" in text
    (row,) = [line for line in text.splitlines() if "prefill" in line]
    assert row.split()[:4] == ["prefill", "5.00", "77", "77"]


def test_an_estimate_has_no_idle_power_and_says_what_it_counts() -> None:
    idle = {"idle_power_w", "energy_above_idle_per_output_token_j"}
    for kind, hidden in (("estimated", True), ("gpu", False)):
        made = records.record(energy={kind: 0.2})
        more = {name: {kind: Value(value=1.5, uncertainty=0.5)} for name in idle}
        text = shown(made.model_copy(update={"metrics": made.metrics | more}))
        assert all((name in text) is not hidden for name in idle)
        assert ("estimated: CPU time of the run's processes only" in text) is hidden


def test_quality_is_shown_where_some_was_measured() -> None:
    plain = records.record(nll=3.25)
    text = shown(records.record())
    assert "Quality" not in text and "questions" not in text
    raw = plain.model_dump()
    raw["quality"] |= {
        "tokens": 1800,
        "agreement_sha256": "a" * 64,
        "accuracy": {
            "questions_sha256": "b" * 64,
            "questions": 4,
            "correct": 3,
            "value": 0.75,
            "low": 0.3006,
            "high": 0.9544,
            "outcomes": "1101",
        },
    }
    raw["answering"] = raw["windows"][0] | {"requests": 4, "output_tokens": 88}
    text = shown(Record.model_validate(raw))
    assert "nothing was written" not in text
    raw["quality"]["accuracy"] |= {
        "scored_by": "forced tokens",
        "metric": "acc_norm",
        "metrics": {"acc": 0.5, "acc_norm": 0.75},
    }
    given = " ".join(shown(Record.model_validate(raw)).split())
    assert "given, by acc_norm; likelihoods by forced tokens" in given
    assert "acc 0.5, acc_norm 0.75" in given
    assert "3.2500 over 1800 tokens" in text
    assert "3 of 4 questions (75.0 %; 95 %: 30.1 to 95.4 %)" in text
    assert "answers.json" in text
    (row,) = [line for line in text.splitlines() if line.split()[:1] == ["questions"]]
    assert row.split()[2:4] == ["4", "88"]
