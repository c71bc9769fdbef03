"""How long pieces lay unread, in buckets."""

import pytest

from lem.workloads.sockets import BUCKETS, _bucket, lag_ns


@pytest.mark.parametrize("ns", [0, 1, 255, 256, 1000, 123_456, 5_000_000, 10**9, 10**11])
def test_a_lag_is_never_told_too_short(ns: int) -> None:
    lags = [0] * BUCKETS
    lags[_bucket(ns)] = 1
    told = lag_ns(lags, 0.99)
    assert ns < told <= max(320, 1.25 * ns + 1)


def test_quantiles_of_lags() -> None:
    lags = [0] * BUCKETS
    assert lag_ns(lags, 0.99) == 0
    lags[_bucket(10_000)] = 98
    lags[_bucket(9_000_000)] = 2
    assert 10_000 < lag_ns(lags, 0.5) <= 12_500
    assert 9_000_000 < lag_ns(lags, 0.99) <= 11_250_001
