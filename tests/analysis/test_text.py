"""Digits follow the uncertainty; foreign text cannot act."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.analysis.text import about, figure, plain, ratio, rough, scaled, whiskers, with_unit
from lem.analysis.words import places
from lem.stats import Absolute, RatioEstimate, Verdict


def value(mean, expanded, u_a=None):
    return Absolute(mean, 3, u_a, None, expanded, True)


@pytest.mark.parametrize(
    ("mean", "u", "factor", "shown"),
    [
        (0.041234, 0.00061, 1, "0.04123 ± 0.00061"),
        (0.041234, 0.00061, 1000, "41.23 ± 0.61"),
        (1234.5, 12.3, 1, "1234 ± 12"),
        (1.0, 0.0996, 1, "1.00 ± 0.10"),
        (52.0, 260.0, 1, "52 ± 260"),
    ],
)
def test_value_and_uncertainty(mean, u, factor, shown):
    assert figure(value(mean, u), factor) == shown


@pytest.mark.parametrize(
    ("mean", "u", "shown"),
    [
        (37.4, 262.5, "37 (0–300)"),
        (0.8365, 1.2295, "0.8 (0–2.1)"),
        (0.37, 262.5, "0.37 (0–263)"),
        (0.0, 0.3, "0.00 (0–0.30)"),
        (0.31, 0.309, "0.31 ± 0.31"),
        (-0.5, 0.25, "-0.50 ± 0.25"),
    ],
)
def test_no_interval_reaches_below_what_can_be(mean, u, shown):
    assert figure(value(mean, u), least=0.0) == shown
    assert figure(value(mean, u)).count("±") == 1


def test_what_no_number_holds_is_written_all_the_same():
    assert "±" in figure(value(1e308, 1.5e308), least=0.0)


def test_whiskers_end_at_what_can_be():
    assert whiskers(value(1.0, 3.0), 2.0, least=0.0) == (0.0, 8.0)
    assert whiskers(value(1.0, 3.0), 2.0) == (-4.0, 8.0)
    assert whiskers(value(-1.0, 3.0), least=0.0) == (-1.0, 2.0)


@pytest.mark.parametrize(
    ("factor", "shown"),
    [
        (1.0, "1.0"),
        (1.0044, "1.004"),
        (1.041, "1.04"),
        (1.53, "1.5"),
        (7.58, "7.6"),
        (126.2, "126"),
    ],
)
def test_a_factor_shows_how_far_from_one_it_is(factor, shown):
    assert about(factor) == shown


@pytest.mark.parametrize(
    ("mean", "u_a", "shown"),
    [
        (40.123, 0.2, "40.12 ± 0.40"),
        (40.123, None, "40.1"),
        (40.123, 0.0, "40.1"),
        (0.0, None, "0"),
    ],
)
def test_where_no_uncertainty_is_stated_the_scatter_shows(mean, u_a, shown):
    assert figure(value(mean, None, u_a)) == shown


@pytest.mark.parametrize(
    ("u", "decimals"),
    [(0.23, 2), (2.3, 1), (23, 0), (230, 0), (0.0996, 2), (0.00999, 3), (0.00994, 4)],
)
def test_two_digits_of_the_uncertainty(u, decimals):
    assert places(u) == decimals


def estimate(middle, low, high):
    return RatioEstimate(middle, low, high, 3, 0.1, 0.95, 1, None if low else "why")


@pytest.mark.parametrize(
    ("e", "says", "shown"),
    [
        (estimate(0.2812, 0.2412, 0.3219), "less", "0.281 (0.241–0.322)"),
        (estimate(1.02, 0.93, 1.12), "cannot_tell", "1.020 (0.930–1.120) ?"),
        (estimate(1.002, 0.993, 1.012), "same", "1.0020 (0.9930–1.0120) ="),
        (estimate(0.5, None, None), "cannot_tell", "0.50 (no interval)"),
        (estimate(1.0, 0.001, 1000.0), "cannot_tell", "1.0 (0.001–1000) ?"),
        (estimate(300.0, 20.5, 3000.2), "more", "300 (20–3001)"),
    ],
)
def test_ratio(e, says, shown):
    assert ratio(e, Verdict(says, None, 0.02)) == shown


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("s/token", [0.02, 0.005], (1000, "ms/token")),
        ("s", [2.0], (1, "s")),
        ("J/token", [0.2, 1.9], (1, "J/token")),
        ("J/token", [0.012], (1000, "mJ/token")),
        ("bytes", [2**31], (2**-30, "GiB")),
        ("tokens/s", [12.0], (1, "tokens/s")),
        ("s", [], (1, "s")),
    ],
)
def test_units_that_read_well(unit, values, expected):
    factor, shown = scaled(unit, values)
    assert (factor, shown) == (pytest.approx(expected[0]), expected[1])


def test_an_estimate_has_two_digits():
    assert [rough(v) for v in (0.2051, 0.0912, 12.3, 123.0)] == ["0.21", "0.091", "12", "123"]


def test_escape_sequences_become_visible():
    assert plain("a\x1b[31mred\x07\r\n") == "a\\x1b[31mred\\x07\\r\\n"
    assert plain("ab\u202ecd\u200b\x9b") == "ab\\u202ecd\\u200b\\x9b"
    assert plain("naïve 漢字 🙂 [bold]x[/]") == "naïve 漢字 🙂 [bold]x[/]"
    assert len(plain("x" * 1000)) == 300


@given(st.text())
def test_no_text_controls_the_terminal(text):
    shown = plain(text, 10_000)
    assert shown.isprintable() or all(c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & {"\x1b", "\n", "\r", "\x07", "\x9b"}


def test_a_unit_joins_the_brackets_that_a_title_has():
    assert with_unit("Peak power", "W") == "Peak power (W)"
    assert with_unit("Time to first token (p99)", "ms") == "Time to first token (p99, ms)"
    assert with_unit("NLL", "") == "NLL"
