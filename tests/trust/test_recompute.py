"""Honest runs of every kind give exactly the figures of their records."""

import gzip
from collections.abc import Callable
from dataclasses import replace

import pytest

from lem.contract.lock import Lock
from lem.trust.files import MAX_SAMPLES, responses_of, samples_of
from lem.trust.recompute import REPORTED, differences, flags_differ, recompute

from .conftest import KINDS
from .runs import Run

Runs = Callable[[str], Run]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_an_honest_run_is_recomputed_and_nothing_objects(
    runs: Runs, lock_of: Callable[[Run], Lock], name: str
) -> None:
    run = runs(name)
    again = recompute(run.record, samples_of(run.trace), responses_of(run.responses))
    assert differences(run.record, again) == []
    assert flags_differ(run.record, again) == ([], [])
    assert set(again.metrics) == set(run.record.metrics)
    judged = run.judged(lock_of(run))
    assert [f for f in judged.findings if f.consequence != "note"] == []
    assert judged.tier == 2
    assert judged.recomputed == again.metrics


@pytest.mark.parametrize(
    "path",
    [
        "windows__0__energy__0__energy_j",
        "windows__1__output_tokens",
        "windows__0__energy__0__uncertainty_j",
        "idle__0__energy__0__energy_j",
        "metrics__energy_per_output_token_j__gpu__value",
        "metrics__energy_per_output_token_j__gpu__uncertainty",
        "metrics__output_throughput_tokens_per_s__value",
        "metrics__ttft_s__p99",
        "prefill__input_tokens",
        "requests__done",
    ],
)
def test_any_other_figure_is_found_by_its_name(runs: Runs, path: str) -> None:
    run = runs("gpu")
    at = run.record.model_dump()
    for name in path.split("__"):
        at = at[int(name)] if isinstance(at, list) else at[name]
    changes: dict[str, object] = {path: at * 2 if isinstance(at, int) else at * (1 + 1e-6)}
    if path == "requests__done":
        changes = {path: at - 1, "requests__failed": 1}
    judged = run.told(**changes).judged()
    (told,) = [f for f in judged.findings if f.consequence != "note"]
    assert (told.rule, told.consequence) == ("figures_differ", "reject")
    assert path.replace("__", ".") in told.detail
    assert judged.tier == 1


def test_what_differs_in_the_last_digits_is_the_same(runs: Runs) -> None:
    run = runs("gpu")
    value = run.record.windows[0].energy[0].energy_j
    assert value is not None
    assert run.told(windows__0__energy__0__energy_j=value * (1 + 1e-12)).found() == {}


def test_a_flag_that_its_files_give_must_be_there_and_no_other(runs: Runs) -> None:
    run = runs("gpu")
    flags = run.record.flags
    assert "short_window" in flags
    without = [f for f in flags if f != "short_window"]
    assert run.told(flags=without).found() == {"flags_missing": "reject"}
    assert run.told(flags=sorted([*flags, "throttled"])).found() == {"flags_unfounded": "reject"}
    # What the agent alone can see may be said.
    assert run.told(flags=sorted([*flags, "cool_down_missed"])).found() == {}
    # Not what it cannot have seen: these would take the run out of every figure.
    for never in ("overloaded", "no_meter"):
        told = run.told(flags=sorted([*flags, never]))
        assert told.found() == {"flags_unfounded": "reject"}
    assert runs("open").told(flags=[*runs("open").record.flags, "overloaded"]).found() == {}


def test_a_record_of_another_version_is_held_and_not_rejected(runs: Runs) -> None:
    value = {"metrics__mean_power_w__gpu__value": 1.0}
    run = runs("gpu").told(**value)
    other = run.told(environment__lem_version="0.0.1")
    assert other.found() == {"figures_of_another_version": "hold"}
    assert run.told(metric_semantics_version=3).found() == {"semantics_old": "hold"}
    assert runs("gpu").told(metric_semantics_version=3).found() == {}
    assert runs("gpu").told(metric_semantics_version=99).found() == {"semantics_unknown": "hold"}


def test_what_cannot_be_recomputed_is_named_and_held(runs: Runs) -> None:
    assert "quality.nll_per_token" in REPORTED
    run = runs("gpu")
    assert run.told(whole_batches=None).found() == {"not_recomputable": "hold"}
    old = [{k: v for k, v in row.items() if k != "end_ns"} for row in run.rows]
    assert run.answered(old).found() == {"not_recomputable": "hold"}
    stranger = run.told(meters__0__meter="sitecustomize")
    assert stranger.found() == {"not_recomputable": "hold"}


@pytest.mark.parametrize("data", [b"", b"no gzip", gzip.compress(b"t_ns,no\n1,2\n", mtime=0)])
def test_files_that_are_none_are_a_finding(runs: Runs, data: bytes) -> None:
    run = runs("gpu")
    assert replace(run, trace=data).found() == {"files_unreadable": "reject"}
    assert replace(run, responses=data).found() == {"files_unreadable": "reject"}


def test_a_bomb_is_not_unpacked(runs: Runs) -> None:
    run = runs("gpu")
    bomb = gzip.compress(b"t_ns,meter,device,quantity,value\n" + b"0" * (200 * 2**20), 9)
    found = replace(run, trace=bomb).found()
    assert found.keys() <= {"files_unreadable", "too_large"}
    line = b"1,nvml,gpu0,energy_mj,1\n"
    many = gzip.compress(b"t_ns,meter,device,quantity,value\n" + line * (MAX_SAMPLES + 1), 1)
    assert replace(run, trace=many).found() == {"too_large": "hold"}
