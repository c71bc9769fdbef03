import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.config import ranges
from lem.config.schema import Range


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        ({"low": 1, "high": 64, "scale": "log2"}, [1, 2, 4, 8, 16, 32, 64]),
        ({"low": 3, "high": 40, "scale": "log2"}, [4, 8, 16, 32]),
        ({"low": 0.25, "high": 2, "scale": "log2"}, [0.25, 0.5, 1, 2]),
        ({"low": 2**53, "high": 2**53 + 1, "scale": "log2"}, [2**53]),
        ({"low": 1, "high": 1000, "num": 4, "scale": "log"}, [1, 10, 100, 1000]),
        ({"low": 1, "high": 10, "num": 3, "scale": "log"}, [1.0, 3.16228, 10.0]),
        ({"low": 0.001, "high": 1.0, "num": 4, "scale": "log"}, [0.001, 0.01, 0.1, 1.0]),
        ({"low": 1.0, "high": 2.0, "num": 3, "scale": "log"}, [1.0, 1.41421, 2.0]),
        ({"low": 0, "high": 1, "step": 0.1},
         [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ({"low": 1, "high": 10, "step": 4}, [1, 5, 9]),
        ({"low": 0, "high": 1, "num": 5}, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ({"low": 1.0, "high": 3.0, "num": 3}, [1, 2, 3]),
        ({"low": 0.0, "high": 1, "num": 4}, [0.0, 1 / 3, 2 / 3, 1.0]),
        ({"low": -1, "high": -1, "num": 5}, [-1]),
        ({"low": 7, "high": 9, "num": 1}, [7]),
        ({"low": 7.0, "high": 7.0, "num": 3, "scale": "log"}, [7.0]),
    ],
)  # fmt: skip
def test_values(bounds: dict[str, object], values: list[float]) -> None:
    found = ranges.values(Range.model_validate(bounds), whole=False)
    assert found == values
    assert len({type(v) for v in found}) == 1


@pytest.mark.parametrize(
    ("bounds", "values"),
    [
        ({"low": 1, "high": 10, "num": 3, "scale": "log"}, [1, 3, 10]),
        ({"low": 0, "high": 10, "num": 5}, [0, 3, 5, 8, 10]),
        ({"low": 1, "high": 3, "num": 10}, [1, 2, 3]),
        ({"low": 1, "high": 8, "scale": "log2"}, [1, 2, 4, 8]),
    ],
)
def test_settings_that_take_whole_numbers_get_them(
    bounds: dict[str, object], values: list[int]
) -> None:
    found = ranges.values(Range.model_validate(bounds), whole=True)
    assert found == values
    assert all(type(v) is int for v in found)


@given(st.integers(-100, 100), st.integers(0, 1000), st.integers(1, 50))
def test_whole_values_rise_within_the_bounds(low: int, width: int, num: int) -> None:
    values = ranges.values(Range(low=low, high=low + width, num=num), whole=True)
    assert all(isinstance(v, int) and low <= v <= low + width for v in values)
    assert values == sorted(set(values))
    assert values[0] == low
    assert num == 1 or values[-1] == low + width


@given(st.floats(1e-6, 1e6), st.floats(1, 1e6), st.integers(2, 40))
def test_a_log_scale_has_a_constant_ratio(low: float, factor: float, num: int) -> None:
    values = ranges.values(Range(low=low, high=low * factor, num=num, scale="log"), whole=False)
    assert values[0] == low
    assert values[-1] == low * factor
    if len(values) == num:
        for i, value in enumerate(values):
            assert math.isclose(value, low * factor ** (i / (num - 1)), rel_tol=1e-5)
