"""Whatever is sent, judging ends in findings."""

import gzip
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.trust.rules import RULES

from .runs import Run

Runs = Callable[[str], Run]
QUIET = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, 2**62, 2**63, 2**64, 10**18]),
    st.floats(allow_nan=True, allow_infinity=True),
)
quantities = st.sampled_from(
    ["energy_mj", "power_mw", "power_limit_mw", "phase", "call_ns", "architecture", "cpu_time_ns"]
)


def ends_in_findings(run: Run) -> None:
    judged = run.judged()
    assert judged.tier in (1, 2)
    assert all(f.rule in RULES and len(f.detail) <= 300 for f in judged.findings)


@QUIET
@given(st.lists(st.tuples(numbers, quantities, numbers), max_size=30), st.booleans())
def test_any_numbers_in_a_trace(
    runs: Runs, rows: list[tuple[object, str, object]], alone: bool
) -> None:
    run = runs("static_gpu")
    text = (
        gzip.decompress(run.trace).decode() if not alone else "t_ns,meter,device,quantity,value\n"
    )
    text += "".join(f"{t},nvml,gpu0,{q},{v!r}\n" for t, q, v in rows)
    ends_in_findings(replace(run, trace=gzip.compress(text.encode())))


@QUIET
@given(
    st.lists(
        st.tuples(st.sampled_from(["done", "failed", "open", ""]), *[numbers] * 5, st.text("0 -1")),
        max_size=20,
    )
)
def test_any_numbers_in_responses(runs: Runs, rows: list[tuple[object, ...]]) -> None:
    run = runs("static_gpu")
    text = "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
    for i, (status, sent, first, last, inputs, outputs, gaps) in enumerate(rows):
        text += f"r{i},{status},{sent},{first},{last},{inputs},{outputs},{gaps},{last}\n"
    ends_in_findings(replace(run, responses=gzip.compress(text.encode())))


@QUIET
@given(st.binary(max_size=300), st.integers(0, 2000))
def test_damaged_bytes(runs: Runs, noise: bytes, at: int) -> None:
    run = runs("static_gpu")
    ends_in_findings(replace(run, trace=run.trace[:at] + noise + run.trace[at + len(noise) :]))
    other = run.responses[:at] + noise + run.responses[at + len(noise) :]
    ends_in_findings(replace(run, responses=other))


@QUIET
@given(st.lists(st.tuples(st.integers(0, 2**61), st.integers(1, 2**61)), min_size=1, max_size=70))
def test_any_windows(runs: Runs, spans: list[tuple[int, int]]) -> None:
    run = runs("static_gpu")
    first = run.record.windows[0].model_dump()
    windows = [first | {"start_ns": a, "end_ns": a + length} for a, length in spans]
    ends_in_findings(run.told(windows=windows))


def test_a_thousand_windows_are_not_looked_at(runs: Runs) -> None:
    run = runs("static_gpu")
    windows = [run.record.windows[0].model_dump()] * 1000
    start = time.process_time()
    assert run.told(windows=windows).found() == {"not_recomputable": "hold"}
    assert time.process_time() - start < 30


@pytest.mark.parametrize("value", [1e59, -1e59, 0.0])
def test_extreme_settings(runs: Runs, value: float) -> None:
    run = runs("static_gpu")
    gain = {
        "gain": 1.9,
        "uncertainty": 0.2,
        "date": "2026-01-01",
        "against": "x",
        "sha256": "0" * 64,
    }
    ends_in_findings(run.told(meters__0__calibration=gain, meters__0__update_period_s=value))
    ends_in_findings(run.told(load_s=value))


def test_a_reject_is_not_lost_for_a_character_that_no_database_holds(runs: Runs) -> None:
    """PostgreSQL holds no NUL: where findings could not be written, the check was given up after
    some tries, and what was to be rejected was only held."""
    run = runs("static_gpu").told(metrics__mean_power_w={"g\x00pu\u202e": {"value": 1.0}})
    findings = run.judged().findings
    assert "figures_differ" in {f.rule for f in findings}
    assert all(f.detail.isprintable() for f in findings)


def test_a_record_of_ten_thousand_boards_is_not_looked_through_for_each(runs: Runs) -> None:
    run = runs("static_gpu")
    gpus = [g.model_dump() for g in run.record.environment.gpus]
    assert run.told(environment__gpus=gpus * 10_000).found() == {"not_recomputable": "hold"}
