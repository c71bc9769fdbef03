"""A channel: what was sent reaches every viewer once, in order, however far behind it is."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from leases import event, power

from lem.contract.live import LiveEvent
from lem.live import hub as hub_module
from lem.live import sse
from lem.live.channel import Channel, Place, said
from lem.live.hub import Hub


def batch(n: int, size: int = 1) -> list[LiveEvent]:
    return [event(power(n * 1000 + i)) for i in range(size)]


def numbers(data: bytes) -> list[int]:
    """Of the frames in a piece of a stream, which has to be made of whole frames."""
    *frames, rest = data.split(b"\n\n")
    assert rest == b""
    found = []
    for frame in frames:
        first, second = frame.split(b"\n")
        assert first.startswith(b"id: ") and second.startswith(b"data: [")
        json.loads(second.removeprefix(b"data: "))
        found.append(int(first.removeprefix(b"id: ")))
    return found


def all_from(channel: Channel, after: int) -> list[int]:
    place, seen = Place(after), []
    while True:
        piece = channel.new(place) or channel.read(place)
        if not piece.data:
            return seen
        seen += numbers(piece.data)
        place = piece.place


def test_all_viewers_are_given_the_very_same_bytes(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    channel.take(1, 0, batch(0))
    first, second = channel.new(Place(0)), channel.new(Place(0))
    assert first is not None and second is not None
    assert first.data is second.data
    assert first.data == sse.frame(1, json.dumps([power(0)], separators=(",", ":")).encode())


def test_who_is_up_to_date_has_nothing_to_read(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    assert channel.new(Place(0)) == (b"", Place(0))
    channel.take(1, 0, batch(0))
    assert channel.new(Place(1)) == (b"", Place(1))


def test_memory_holds_the_newest_and_no_more(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log", ring_bytes=2000)
    for n in range(200):
        channel.take(1, n, batch(n, 3))
    assert channel.held_bytes <= 2000
    assert channel.new(Place(0)) is None
    assert channel.new(Place(199)) is not None
    assert all_from(channel, 0) == list(range(1, 201))


def test_a_piece_is_small_unless_a_batch_is_large(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    for n in range(50):
        channel.take(1, n, batch(n, 20))
    piece = channel.new(Place(0), limit=10_000)
    assert piece is not None and 5000 < len(piece.data) <= 10_000
    read = channel.read(Place(0), limit=10_000)
    assert 5000 < len(read.data) <= 10_500
    channel.take(1, 50, batch(50, 400))
    one = channel.read(Place(50), limit=1000)
    assert numbers(one.data) == [51]


def test_text_that_would_end_a_line_stays_in_its_frame(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    text = "a\nb\r\nc\rd\u2028e\u0085f\x00\n\ndata: x\n\nid: 9"
    told = {"k": "text", "at": 1, "request": "r", "text": text, "end": True}
    channel.take(1, 0, [event(told)])
    for piece in (channel.new(Place(0)), channel.read(Place(0))):
        assert piece is not None
        lines = piece.data.split(b"\n")
        assert len(lines) == 4 and b"\r" not in piece.data
        assert json.loads(lines[1].removeprefix(b"data: ")) == [told]


def test_what_is_new_is_told_in_the_thread_that_brought_it(tmp_path: Path) -> None:
    channel, told = Channel(tmp_path / "log"), []
    hear = lambda: told.append(threading.get_ident())  # noqa: E731
    channel.listen(hear)
    channel.say(said("claimed", at=1))
    channel.take(1, 0, batch(0))
    assert told == [threading.get_ident()] * 2
    channel.leave(hear)
    channel.say(said("done", at=2))
    assert len(told) == 2 and channel.over


def test_many_threads_at_once_lose_nothing(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log", ring_bytes=5000)
    seen: list[list[int]] = []

    def watch() -> None:
        place, mine = Place(0), []
        while len(mine) < 600:
            piece = channel.new(place) or channel.read(place)
            mine += numbers(piece.data)
            place = piece.place
        seen.append(mine)

    def post() -> None:
        for n in range(400):
            channel.take(1, n, batch(n))

    def say() -> None:
        for n in range(200):
            channel.say(said("lost", at=n))

    threads = [threading.Thread(target=f) for f in (watch, watch, watch, post, say)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert seen == [list(range(1, 601))] * 3


def test_two_servers_with_one_folder_see_what_the_other_has_added(tmp_path: Path) -> None:
    one, two = Channel(tmp_path / "log"), Channel(tmp_path / "log")
    heard: list[int] = []
    two.listen(lambda: heard.append(two.last))
    for n in range(100):
        one.take(1, n, batch(n))
    two.look()
    assert heard == [100]
    assert all_from(two, 0) == list(range(1, 101))
    # Whichever the runner comes to.
    assert two.take(1, 100, batch(100)) == 101
    two.say(said("lost", at=1))
    assert one.take(1, 99, batch(0)) == 101
    assert one.take(1, 101, batch(101)) == 102
    one.look()
    assert all_from(one, 0) == list(range(1, 104))
    two.look()
    assert all_from(two, 90) == list(range(91, 104))
    assert [json.loads(x)[:2] for x in (tmp_path / "log").read_text().splitlines()][100:] == [
        [1, 100],
        [0, 0],
        [1, 101],
    ]


def test_a_line_that_another_is_writing_is_left_alone(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    channel.take(1, 0, batch(0))
    size = (tmp_path / "log").stat().st_size
    with (tmp_path / "log").open("ab", buffering=0) as f:
        f.write(b'[1,1,[{"k":"ph')
        channel.look()
        assert channel.last == 1
        f.write(b'ase","at":1,"phase":"idle"}]]\n')
    channel.look()
    assert channel.last == 2
    assert (tmp_path / "log").stat().st_size > size


def test_the_recording_is_the_log(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    for n in range(30):
        channel.take(1, n, batch(n))
    made = channel.recording(limit=700)
    first = next(made)
    # What comes while it is read is no part of it.
    channel.take(1, 30, batch(30))
    data = first + b"".join(made)
    assert [json.loads(line)[1] for line in data.splitlines()] == list(range(30))


def test_a_closed_channel_takes_nothing(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    channel.take(1, 0, batch(0))
    channel.close()
    channel.close()
    with pytest.raises(OSError, match="closed"):
        channel.take(1, 1, batch(1))
    with pytest.raises(OSError, match="closed"):
        channel.read(Place(0))


def test_channels_that_nobody_needs_are_closed_and_opened_as_they_were(tmp_path: Path) -> None:
    hub = Hub(tmp_path, idle_s=0)
    assert not hub.is_there("a") and hub.open_already("a") is None
    first = hub.channel("a")
    first.take(1, 0, batch(0))
    heard: list[None] = []
    hear = lambda: heard.append(None)  # noqa: E731
    first.listen(hear)
    hub.close_idle()
    assert hub.channel("a") is first
    first.leave(hear)
    hub.close_idle()
    assert hub.open_channels == 0 and hub.is_there("a")
    again = hub.channel("a")
    assert again is not first
    assert all_from(again, 0) == [1]
    assert again.take(1, 0, batch(9)) == 1
    assert hub.held_bytes == 0


def test_many_finished_campaigns_need_no_memory(tmp_path: Path) -> None:
    hub = Hub(tmp_path, idle_s=0)
    for n in range(50):
        hub.channel(f"c{n}").take(1, 0, batch(n))
    # Whoever opens one closes those that are idle.
    assert hub.open_channels <= 1


def test_so_many_are_open_and_no_more_unless_somebody_hears_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MOST_UNHEARD", 5)
    monkeypatch.setattr(hub_module, "IN_USE_S", 0.0)
    hub = Hub(tmp_path)
    hear = lambda: None  # noqa: E731
    heard = []
    for n in range(10):
        heard.append(hub.channel(f"heard{n}"))
        heard[-1].listen(hear)
    for n in range(20):
        hub.channel(f"c{n}").take(1, 0, batch(n))
    assert hub.open_channels <= 10 + 6
    assert [hub.channel(f"heard{n}") for n in range(10)] == heard
    # The ones that were used last are there.
    assert hub.open_already("c19") is not None and hub.open_already("c0") is None


def test_one_that_was_just_asked_for_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be closed before whoever asked has done anything with it."""
    monkeypatch.setattr(hub_module, "MOST_UNHEARD", 1)
    hub = Hub(tmp_path)
    opened = [hub.channel(f"c{n}") for n in range(5)]
    for channel in opened:
        channel.take(1, 0, batch(0))


def test_a_recording_is_whole_though_its_channel_is_closed_meanwhile(tmp_path: Path) -> None:
    channel = Channel(tmp_path / "log")
    for n in range(20):
        channel.take(1, n, batch(n))
    pieces = channel.recording(limit=100)
    first = next(pieces)
    channel.close()
    assert first + b"".join(pieces) == (tmp_path / "log").read_bytes()


def test_a_log_that_takes_long_to_read_keeps_nobody_else_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is read once, however many ask."""
    reading, go_on, read = threading.Event(), threading.Event(), []

    def slow(path: Path, cap_bytes: int) -> Channel:
        read.append(path.name)
        if path.name.startswith("slow"):
            reading.set()
            assert go_on.wait(20)
        return Channel(path, cap_bytes)

    monkeypatch.setattr(hub_module, "Channel", slow)
    hub = Hub(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(hub.channel, "slow") for _ in range(3)]
        try:
            assert reading.wait(20)
            hub.channel("quick").take(1, 0, batch(0))
        finally:
            go_on.set()
        assert len({id(f.result(20)) for f in asked}) == 1
    assert read.count("slow.ndjson") == 1


def test_a_log_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").mkdir()
    hub = Hub(tmp_path)
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            hub.channel("a")
    (tmp_path / "a.ndjson").rmdir()
    assert hub.channel("a").take(1, 0, batch(0)) == 1


class Watching(RuleBasedStateMachine):
    """Viewers that come, read as much as they like, and break off anywhere, beside a runner that
    repeats itself, and a server that is killed."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "log"
        self.channel = self.opened()
        self.fence, self.number = 1, 0
        self.sent = 0
        self.viewers: list[tuple[list[int], Place]] = [([], Place(0))]

    def opened(self) -> Channel:
        return Channel(self.path, ring_bytes=700)

    @rule(size=st.integers(0, 6), repeat=st.booleans())
    def post(self, size: int, repeat: bool) -> None:
        wanted = self.channel.take(self.fence, self.number, batch(self.sent, size))
        assert wanted == self.number + 1
        if repeat:
            assert self.channel.take(self.fence, self.number, batch(self.sent, 9)) == wanted
        self.number, self.sent = wanted, self.sent + 1

    @rule(ahead=st.integers(1, 3))
    def post_too_early(self, ahead: int) -> None:
        assert self.channel.take(self.fence, self.number + ahead, batch(0)) == self.number

    @rule()
    def say(self) -> None:
        self.channel.say(said("lost", at=self.sent))
        self.sent += 1

    @rule()
    def another_lease(self) -> None:
        self.fence, self.number = self.fence + 1, 0

    @rule(data=st.data(), pieces=st.integers(1, 3), limit=st.sampled_from([1, 300, 10**6]))
    def look(self, data: st.DataObject, pieces: int, limit: int) -> None:
        i = data.draw(st.integers(0, len(self.viewers) - 1))
        seen, place = self.viewers[i]
        for _ in range(pieces):
            piece = self.channel.new(place, limit) or self.channel.read(place, limit)
            seen += numbers(piece.data)
            place = piece.place
        self.viewers[i] = (seen, place)

    @rule(data=st.data())
    def break_off(self, data: st.DataObject) -> None:
        """It comes back with the number of the last frame that it had whole, which need not be the
        last that was sent."""
        i = data.draw(st.integers(0, len(self.viewers) - 1))
        seen, _ = self.viewers[i]
        kept = data.draw(st.integers(0, len(seen)))
        self.viewers[i] = (seen[:kept], Place(kept))

    @rule()
    def come(self) -> None:
        self.viewers.append(([], Place(0)))

    @rule(tail=st.binary(max_size=40).filter(lambda b: b"\n" not in b))
    def killed(self, tail: bytes) -> None:
        """In the middle of a line."""
        self.channel.close()
        with self.path.open("ab") as f:
            f.write(tail)
        self.channel = self.opened()
        self.viewers = [(seen, Place(place.after)) for seen, place in self.viewers]

    @precondition(lambda self: self.sent > 3)
    @rule()
    def catch_up(self) -> None:
        for seen, place in self.viewers:
            assert seen + all_from(self.channel, place.after) == list(range(1, self.sent + 1))

    @invariant()
    def each_has_seen_all_before_its_place_once(self) -> None:
        assert self.channel.last == self.sent
        for seen, place in self.viewers:
            assert seen == list(range(1, place.after + 1))

    def teardown(self) -> None:
        self.channel.close()
        self.folder.cleanup()


TestWatching = Watching.TestCase
TestWatching.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
