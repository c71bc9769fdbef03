"""The uncertainty budget of a record, against figures worked out by hand."""

import json
import math

import pytest

from lem.cli.main import main
from lem.contract.record import EnergyReading, Idle
from lem.trust.budget import metrics, readings
from tests import records

GAIN, TICK, IDLE_TICK = 30.0, 4.0, 0.5


def reading(energy_j, budget, **changes):
    return EnergyReading(
        meter="nvml",
        device="gpu0",
        device_class="gpu",
        energy_j=energy_j,
        uncertainty_j=2 * math.hypot(*budget.values()),
        budget_j=budget,
        **changes,
    )


def made():
    """2000 J in 25 s, 1000 ± 10 tokens (k = 2); idle 50 W for 2 s, which shares the gain."""
    plain = records.record(energy={"gpu": 2.0}, output_tokens=1000, throughput=40.0)
    energy = [reading(2000.0, {"gain": GAIN, "tick": TICK})]
    update = {
        "energy": energy,
        "output_tokens_uncertainty": 10.0,
        "input_tokens_uncertainty": 0.0,
        "requests_uncertainty": 0.0,
    }
    window = plain.windows[0].model_copy(update=update)
    idle = Idle(
        start_ns=0, end_ns=2 * 10**9, energy=[reading(100.0, {"gain": 1.5, "tick": IDLE_TICK})]
    )
    from lem.agent.metrics import compute

    found = compute([window], [idle], {}, {}, {})
    return plain.model_copy(update={"windows": [window], "idle": [idle], "metrics": found})


def test_parts_of_a_reading_are_those_that_it_states():
    window, idle = readings(made())
    assert (window.of, window.what, window.value) == ("window 0", "gpu0 (nvml)", 2000.0)
    assert window.parts == {"gain": GAIN, "tick": TICK}
    assert window.uncertainty == pytest.approx(2 * math.sqrt(30**2 + 4**2))
    assert idle.parts == {"gain": 1.5, "tick": IDLE_TICK}


def test_parts_of_a_metric_by_hand():
    by = {(b.of, b.what): b for b in metrics(made())}
    per_token = by["energy_per_output_token_j", "gpu"]
    # 2 J/token: gain 30 ÷ 1000, tick 4 ÷ 1000, tokens 2 × 5 ÷ 1000 (standard).
    assert per_token.parts == pytest.approx({"gain": 0.03, "tick": 0.004, "counts": 0.01})
    assert per_token.uncertainty == pytest.approx(2 * math.sqrt(0.03**2 + 0.004**2 + 0.01**2))
    above = by["energy_above_idle_per_output_token_j", "gpu"]
    # Less 12.5 × the idle phase (25 s ÷ 2 s): the gain's share of it cancels, ticks add in squares;
    # 750 J ÷ 1000 tokens are uncertain by the tokens' half per cent.
    assert above.parts["gain"] == pytest.approx((30 - 12.5 * 1.5) / 1000)
    assert above.parts["tick"] == pytest.approx(math.hypot(4, 12.5 * 0.5) / 1000)
    assert above.parts["counts"] == pytest.approx(0.75 * 0.005)
    assert by["mean_power_w", "gpu"].parts == pytest.approx({"gain": 30 / 25, "tick": 4 / 25})
    assert by["output_throughput_tokens_per_s", ""].parts == pytest.approx({"counts": 5 / 25})


def test_parts_make_up_every_total():
    for b in [*readings(made()), *metrics(made())]:
        assert b.problem == ""
        assert 2 * math.hypot(*b.parts.values()) == pytest.approx(b.uncertainty)


def test_idle_power_that_changed_is_a_part_of_its_own():
    from lem.agent.metrics import compute

    record = made()
    later = Idle(start_ns=0, end_ns=2 * 10**9, energy=[reading(112.0, {"gain": 1.5})])
    idle = [*record.idle, later]
    found = compute(record.windows, idle, {}, {}, {})
    by = {b.of: b for b in metrics(record.model_copy(update={"idle": idle, "metrics": found}))}
    above = by["energy_above_idle_per_output_token_j"]
    # 50 W and 56 W: half of the difference ÷ √3, for 25 s, over 1000 tokens.
    assert above.problem == ""
    assert above.parts["idle drift"] == pytest.approx(3 / math.sqrt(3) * 25 / 1000)
    assert 2 * math.hypot(*above.parts.values()) == pytest.approx(above.uncertainty)
    assert "idle drift" not in by["energy_per_output_token_j"].parts


def test_a_total_that_its_parts_do_not_make_is_said_not_explained():
    record = made()
    by_class = record.metrics["energy_per_output_token_j"]
    by_class["gpu"] = by_class["gpu"].model_copy(update={"uncertainty": 0.5})
    found = next(b for b in metrics(record) if b.of == "energy_per_output_token_j")
    assert found.parts == {} and "another version of lem" in found.problem
    whole = reading(1.0, {"tick": 0.1}).model_copy(update={"uncertainty_j": 0.3})
    window = record.windows[0].model_copy(update={"energy": [whole]})
    broken = next(readings(record.model_copy(update={"windows": [window]})))
    assert broken.parts == {} and broken.problem


def test_a_reading_without_parts_has_one_part_that_says_so():
    (found,) = readings(records.record(energy={"gpu": 2.0}))
    assert found.parts == {"unstated": found.uncertainty / 2}


def test_a_reading_that_states_nothing_has_no_budget():
    record = made()
    unknown = (
        record.windows[0]
        .energy[0]
        .model_copy(update={"uncertainty_j": None, "budget_j": {}, "energy_j": None})
    )
    window = record.windows[0].model_copy(update={"energy": [unknown]})
    found = next(readings(record.model_copy(update={"windows": [window]})))
    assert (found.value, found.uncertainty, found.parts) == (None, None, {})


@pytest.fixture
def lem(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["results", *map(str, arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


def test_it_is_printed_and_given_as_json(lem, tmp_path):
    records.campaign(tmp_path, {1: [2.0], 4: [1.0]}, measured=("gpu",))
    place = records.place(tmp_path, made())
    code, out, _ = lem("show", place, "--budget")
    text = " ".join(out.split())
    assert code == 0 and "Energy readings" in text and "gain 30.0 1.5" in text
    code, out, _ = lem("show", place, "--budget", "--json")
    document = json.loads(out)
    assert document["run_id"] == made().run_id
    assert document["readings"][0]["relative_parts"]["gain"] == pytest.approx(0.015)
    names = {(b["of"], b["what"]) for b in document["metrics"]}
    assert ("energy_per_output_token_j", "gpu") in names


def test_it_is_of_one_run_that_has_figures(lem, tmp_path):
    records.campaign(tmp_path, {1: [2.0], 4: [None]}, measured=("gpu",))
    code, _, err = lem("show", tmp_path, "--budget")
    assert code == 2 and "--budget is of one run" in err
    code, _, err = lem("show", tmp_path / "blocks/0000" / records.arm_name(1) / "0", "--budget")
    assert code == 2 and "no figures" in err
