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
