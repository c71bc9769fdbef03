import pytest

from lem.everyday.measured import Measured
from lem.everyday.ranges import Range
from lem.everyday.terms import Scenario, in_terms

SCENARIO = Scenario(
    overhead=Range(1.1, 1.6), g_per_kwh=Range(40, 50), price=Range(0.1, 0.2), currency="EUR"
)


def close(found: Range, low: float, high: float) -> bool:
    return found.low == pytest.approx(low, rel=1e-12) and found.high == pytest.approx(
        high, rel=1e-12
    )


def test_worked_out_by_hand() -> None:
    """36 J ± 3.6 J each: a million are 36 MJ = 10 kWh ± 1 kWh."""
    terms = in_terms(Measured(36.0, 3.6, "answer", "gpu"), SCENARIO)
    assert close(terms.device_kwh, 9, 11)
    assert close(terms.place_kwh, 9.9, 17.6)
    assert close(terms.co2e_kg, 9.9 * 0.040, 17.6 * 0.050)
    assert close(terms.cost, 0.99, 3.52)
    assert terms.currency == "EUR"


def test_equivalents_by_hand() -> None:
    terms = in_terms(Measured(36.0, 3.6, "answer", "gpu"), SCENARIO)
    number = {one.factor.id: one.number for one in terms.equivalents}
    assert close(number["phone"], 9.9 / 0.019, 17.6 / 0.012)
    assert close(number["car"], 9.9 / 0.25, 17.6 / 0.17)
    assert close(number["led"], 9.9 / 0.0133, 17.6 / 0.008)


def test_two_figures_keep_their_ratio_whatever_the_scenario() -> None:
    one = in_terms(Measured(10.0, 0.0, "output_token", "gpu"), SCENARIO)
    other = in_terms(Measured(25.0, 0.0, "output_token", "gpu"), SCENARIO)
    for name in ("device_kwh", "place_kwh", "co2e_kg", "cost"):
        a, b = getattr(one, name), getattr(other, name)
        assert b.low / a.low == pytest.approx(2.5) and b.high / a.high == pytest.approx(2.5)


@pytest.mark.parametrize("overhead", [Range(0.9, 1.2), Range(1.1, 3.5)])
def test_what_is_no_overhead(overhead: Range) -> None:
    with pytest.raises(ValueError, match="PUE"):
        Scenario(overhead, Range(40, 50), Range(0.1, 0.2), "EUR")
