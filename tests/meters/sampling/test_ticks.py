"""What is learned of a counter's ticks, and what is kept of it."""

import json
import random
from pathlib import Path

import pytest

from lem.meters.protocol import Sample
from lem.meters.sampling import ticks
from lem.meters.sampling.settling import Settling
from lem.meters.sampling.ticks import TickWatch

MS = 1_000_000


def polled(watch: TickWatch, tick_ns: int, until_ns: int, from_ns: int = 0) -> int:
    """Polls as the sampler does, awake only where a tick is due; how many polls it took."""
    now_ns, polls = from_ns, 0
    while now_ns < until_ns:
        watch.see(Sample(now_ns, "m", "d", "energy_mj", now_ns // tick_ns))
        polls += 1
        wake_ns = watch.wake_ns(now_ns)
        now_ns = max(now_ns + 600_000, wake_ns or 0)
    return polls


@pytest.mark.parametrize("tick_ms", [20, 33, 100, 171, 200])
def test_a_tick_is_polled_for_only_where_it_is_due(tick_ms: int) -> None:
    watch = TickWatch()
    tick_ns = tick_ms * MS + 12_345
    polled(watch, tick_ns, 6 * tick_ns)
    assert watch.known() and watch.learned_s() == pytest.approx(tick_ns / 1e9, abs=1e-3)
    before = watch.ticks
    polls = polled(watch, tick_ns, 40 * tick_ns, 6 * tick_ns)
    assert watch.ticks - before in (33, 34), "none is missed"
    assert polls < 34 * 7


@pytest.mark.parametrize("tick_ms", [33, 100, 200])
@pytest.mark.parametrize("call_ms", [3.2, 5.0])
def test_a_counter_that_takes_long_to_read_is_learned(call_ms: float, tick_ms: int) -> None:
    """As an H200 was seen: a reading takes 3.2 ms, now and then five times as long, and ticks are
    seen up to 3 ms early or late."""
    watch = TickWatch()
    rng = random.Random(1)
    now_ns, polls, seen_from = 0, 0, 12 * tick_ms * MS
    while now_ns < 60 * tick_ms * MS:
        call_ns = int(call_ms * MS * (5 if rng.random() < 0.01 else rng.uniform(0.85, 1.15)))
        middle_ns = now_ns + call_ns // 2
        watch.see(Sample(middle_ns, "m", "d", "energy_mj", middle_ns // (tick_ms * MS)))
        now_ns += call_ns
        if now_ns > seen_from:
            polls += 1
        now_ns = max(now_ns + 600_000, watch.wake_ns(now_ns) or 0)
    assert watch.learned_s() == pytest.approx(tick_ms / 1e3, rel=0.01)
    assert watch.ticks >= 58
    assert polls < 48 * 6, "polls only where a tick is due"


def test_a_counter_that_changes_its_rate_is_found_again() -> None:
    watch = TickWatch()
    polled(watch, 50 * MS, 1000 * MS)
    polled(watch, 130 * MS, 3000 * MS, 1000 * MS)
    assert watch.learned_s() == pytest.approx(0.13, abs=0.002)


def test_readings_now_and_then_do_not_make_a_period_known() -> None:
    watch = TickWatch()
    for i in range(200):
        watch.see(Sample(i * 50 * MS, "m", "d", "energy_mj", i * 50 // 20))
    assert not watch.known() and watch.wake_ns(200 * 50 * MS) is None


def test_ticks_polled_for_now_and_then_do_not_make_a_period_known() -> None:
    """A starved sampler sees one tick at each edge and coarse changes in between."""
    watch = TickWatch()
    for edge in range(8):
        start_ns = edge * 2_900 * MS
        polled(watch, 20 * MS, start_ns + 21 * MS, start_ns)
        for i in range(1, 29):
            now_ns = start_ns + i * 100 * MS
            watch.see(Sample(now_ns, "m", "d", "energy_mj", now_ns // (20 * MS)))
    assert watch.learned_s() is None


@pytest.mark.parametrize("every_ms", [0.5, 50])
@pytest.mark.parametrize(("given_ms", "tick_ms"), [(20, 200), (200, 20), (20, 100), (500, 100)])
def test_a_period_from_earlier_is_dropped_where_the_counter_has_another(
    given_ms: int, tick_ms: int, every_ms: float
) -> None:
    """Read densely, or in regular rounds alone."""
    watch = TickWatch(given_ms / 1e3)
    now_ns = 10**12
    while watch.period_s() == given_ms / 1e3 and now_ns < 10**12 + 1_500 * MS:
        watch.see(Sample(now_ns, "m", "d", "energy_mj", now_ns // (tick_ms * MS)))
        now_ns += int(every_ms * MS)
    assert watch.known() == (watch.learned_s() is not None)
    assert watch.period_s() != given_ms / 1e3


@pytest.mark.parametrize("every_ms", [0.5, 50, 83, 1000])
@pytest.mark.parametrize("tick_ms", [20, 100, 1000])
def test_a_period_from_earlier_is_kept_where_it_holds(tick_ms: int, every_ms: float) -> None:
    rng = random.Random(1)
    watch = TickWatch(tick_ms / 1e3)
    for i in range(int(20_000 / every_ms)):
        now_ns = 10**12 + int(i * every_ms * MS) + rng.randrange(MS // 5)
        watch.see(Sample(now_ns, "m", "d", "energy_mj", now_ns // (tick_ms * MS)))
        assert watch.known() and watch.period_s() == pytest.approx(tick_ms / 1e3, abs=2e-3)


def test_a_learned_period_takes_the_place_of_the_one_from_earlier() -> None:
    """When the counter changes its rate later, the old one does not come back."""
    watch = TickWatch(0.1)
    polled(watch, 100 * MS, 1000 * MS)
    assert watch.learned_s() is not None
    for i in range(2000):
        now_ns = 1000 * MS + i * MS
        watch.see(Sample(now_ns, "m", "d", "energy_mj", 10 + i // 137))
        if watch.learned_s() is None:
            assert not watch.known()
    assert watch.learned_s() == pytest.approx(0.137, abs=1e-3)


def test_what_was_learned_is_kept_until_the_next_boot(tmp_path: Path) -> None:
    file = tmp_path / "a/b/ticks.json"
    ticks.remember(file, "boot", {"GPU-1": 0.1})
    ticks.remember(file, "boot", {"GPU-2": 0.02})
    assert ticks.remembered(file, "boot") == {"GPU-1": 0.1, "GPU-2": 0.02}
    assert ticks.remembered(file, "another") == {}
    assert list((tmp_path / "a/b").iterdir()) == [file], "nothing is left aside"
    assert TickWatch(0.02).known() and TickWatch(0.02).period_s() == 0.02


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 60000,
        json.dumps({"boot_id": "boot"}).encode(),
        json.dumps({"boot_id": "boot", "periods_s": [1]}).encode(),
        json.dumps({"boot_id": "boot", "periods_s": {"a": "0.1", "b": 1e9, "c": -1.0}}).encode(),
        b'{"boot_id": "boot", "periods_s": {"a": NaN, "b": 1e999}}',
    ],
)  # fmt: skip
def test_a_file_that_is_not_ours_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ticks.json"
    file.write_bytes(content)
    assert ticks.remembered(file, "boot") == {}
    ticks.remember(file, "boot", {"GPU-1": 0.1})
    assert ticks.remembered(file, "boot") == {"GPU-1": 0.1}


def test_no_place_to_keep_anything_is_fine(tmp_path: Path) -> None:
    assert ticks.cache_file({}) is None
    assert ticks.cache_file({"HOME": "relative"}) is None
    assert ticks.cache_file({"HOME": "/h"}) == Path("/h/.cache/lem/ticks.json")
    assert ticks.cache_file({"HOME": "/h", "XDG_CACHE_HOME": "/x"}) == Path("/x/lem/ticks.json")
    ticks.remember(None, "boot", {"a": 0.1})
    (tmp_path / "file").write_text("")
    ticks.remember(tmp_path / "file/below/ticks.json", "boot", {"a": 0.1})
    assert ticks.remembered(tmp_path / "file/below/ticks.json", "boot") == {}


def test_settled_means_that_power_stays() -> None:
    rng = random.Random(1)
    fading, steady = Settling(), Settling()
    energy, settled_at = 0.0, None
    for i in range(40):
        energy += 0.1 * (90 + 100 * 0.85**i)
        fading.see(i * 100 * MS, energy)
        if settled_at is None and fading.settled():
            settled_at = i
        steady.see(i * 100 * MS + rng.randint(-200_000, 200_000), 9.0 * i)
    assert settled_at is not None and 100 * 0.85**settled_at < 4
    assert steady.settled()
