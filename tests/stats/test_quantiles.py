"""Quantiles against published tables and SciPy's own integrals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lem.stats.quantiles import dunnett_probability, dunnett_quantile, t_quantile

# Two-sided 5 % points for comparisons of several treatments with one control, equal replication:
# C. W. Dunnett, "New tables for multiple comparisons with a control", Biometrics 20 (1964) 482.
DUNNETT = {
    5: (2.57, 3.03, 3.29, 3.48, 3.62),
    10: (2.23, 2.57, 2.76, 2.89, 2.99),
    20: (2.09, 2.38, 2.54, 2.65, 2.73),
    60: (2.00, 2.27, 2.41, 2.51, 2.58),
    1_000_000: (1.96, 2.21, 2.35, 2.44, 2.51),
}


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    # NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 4, 2.776), (0.975, 9, 2.262), (0.95, 5, 2.015)],
)
def test_t_quantiles_are_those_of_the_published_table(p: float, df: float, expected: float) -> None:
    assert t_quantile(p, df) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("df", DUNNETT)
def test_dunnetts_quantiles_are_those_of_the_published_table(df: int) -> None:
    found = [dunnett_quantile(0.95, m, df) for m in range(1, 6)]
    assert found == pytest.approx(DUNNETT[df], abs=0.0101)


@pytest.mark.parametrize(("q", "m", "df"), [(6.0, 5, 2), (3.8, 5, 4), (3.0, 3, 10), (2.6, 7, 45)])
def test_probability_agrees_with_scipys_multivariate_t(q: float, m: int, df: int) -> None:
    shape = np.full((m, m), 0.5) + 0.5 * np.eye(m)
    expected = stats.multivariate_t(shape=shape, df=df).cdf(
        [q] * m, lower_limit=[-q] * m, maxpts=100_000, random_state=1
    )
    assert dunnett_probability(q, m, df) == pytest.approx(expected, abs=5e-5)


@given(st.floats(1, 500), st.floats(0.5, 6))
def test_one_comparison_is_students_t(df: float, q: float) -> None:
    assert dunnett_probability(q, 1, df) == pytest.approx(2 * stats.t.cdf(q, df) - 1, abs=1e-8)


@settings(max_examples=40)
@given(st.floats(1, 300), st.integers(2, 12), st.floats(0.5, 0.999))
def test_dunnetts_lies_between_one_comparison_and_bonferroni(
    df: float, m: int, level: float
) -> None:
    q = dunnett_quantile(level, m, df)
    assert t_quantile(0.5 + level / 2, df) < q < t_quantile(1 - (1 - level) / (2 * m), df)
    assert dunnett_probability(q, m, df) == pytest.approx(level, abs=1e-7)


def test_less_correlation_needs_a_larger_quantile() -> None:
    found = [dunnett_quantile(0.95, 5, 10.0, c) for c in (0.0, 0.3, 0.5, 0.9)]
    assert found == sorted(found, reverse=True)
    independent = t_quantile(0.5 + 0.95**0.2 / 2, 1e7)
    assert dunnett_quantile(0.95, 5, 1e7, 0.0) == pytest.approx(independent, rel=1e-5)


def test_arrays_give_what_their_elements_give() -> None:
    df = np.array([[2.0, 7.5], [40.0, 2.0]])
    expected = [[dunnett_quantile(0.95, 4, float(v)) for v in row] for row in df]
    assert dunnett_quantile(0.95, 4, df).tolist() == expected
