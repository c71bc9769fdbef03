"""Stamps of the kernel, and how long pieces lay unread, in buckets."""

import socket
import struct

import pytest

from lem.workloads.stamps import BUCKETS, bucket, lag_ns, wall_ns


@pytest.mark.parametrize("ns", [0, 1, 255, 256, 1000, 123_456, 5_000_000, 10**9, 10**11])
def test_a_lag_is_never_told_too_short(ns: int) -> None:
    lags = [0] * BUCKETS
    lags[bucket(ns)] = 1
    told = lag_ns(lags, 0.99)
    assert ns < told <= max(320, 1.25 * ns + 1)


def test_quantiles_of_lags() -> None:
    lags = [0] * BUCKETS
    assert lag_ns(lags, 0.99) == 0
    lags[bucket(10_000)] = 98
    lags[bucket(9_000_000)] = 2
    assert 10_000 < lag_ns(lags, 0.5) <= 12_500
    assert 9_000_000 < lag_ns(lags, 0.99) <= 11_250_001


def test_a_stamp_is_read_from_what_comes_with_the_bytes() -> None:
    stamp = struct.pack("@ll", 1_795_658_765, 35_710_563)
    assert wall_ns([(socket.SOL_SOCKET, 35, stamp)]) == 1_795_658_765_035_710_563
    assert wall_ns([]) is None
    assert wall_ns([(socket.SOL_SOCKET, 35, stamp[:8])]) is None
    assert wall_ns([(socket.SOL_SOCKET, 29, stamp)]) is None
