"""What an agent says of itself, as viewers are told of it: within bounds, and by its own clock."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lem.campaign.execute import Moment
from lem.campaign.plan import Plan, Run
from lem.contract import live
from lem.contract.event import Event
from lem.contract.lock import Lock
from lem.live import moments
from lem.live.allowance import Allowance
from lem.live.moments import MAX_ARMS_BYTES, Translator, shown
from lem.live.so_far import MAX_DEVICES

from .conftest import Made

EVENT: TypeAdapter[live.LiveEvent] = TypeAdapter(live.LiveEvent)


class Told:
    """A translator amid a run, with clocks of its own."""

    def __init__(self, made: Made) -> None:
        self.ns = 10**15
        self.wall_ns = 0
        """How far the wall clock was set ahead."""
        self.translator = Translator(
            made.folder,
            wall_ns=lambda: 1_700_000_000 * 10**9 + self.ns + self.wall_ns,
            monotonic_ns=self.now,
        )
        self.begin = next(m for m in made.moments if m.kind == "begin")
        self.translator.events(self.begin)
        self.began = self.at

    def now(self) -> int:
        return self.ns

    @property
    def at(self) -> int:
        return (1_700_000_000 * 10**9 + self.ns) // 10**6

    def events(self, kind: str, t_ns: int | None = None, /, **data: Any) -> list[live.LiveEvent]:
        event = Event.model_construct(
            schema_version=1, t_ns=self.ns if t_ns is None else t_ns, kind=kind, data=data
        )
        moment = Moment("event", self.begin.plan, self.begin.run, self.begin.arm, event)
        return self.translator.events(moment)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"device": "gpu0"},
        {"device": "gpu0", "power_w": None},
        {"device": "gpu0", "power_w": "12"},
        {"device": "gpu0", "power_w": True},
        {"device": "gpu0", "power_w": -1},
        {"device": "gpu0", "power_w": float("nan")},
        {"device": "gpu0", "power_w": float("inf")},
        {"device": "gpu0", "power_w": 10**400},
        {"device": "gpu0", "power_w": [1]},
        {"device": "", "power_w": 1.0},
    ],
)
def test_power_that_cannot_be_is_not_shown(made: Made, data: dict[str, Any]) -> None:
    assert Told(made).events("sample", **data) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "said", "shown_class"),
    [
        ("gpu0", "gpu", "gpu"),
        ("gpu0", None, "gpu"),
        ("cpu_1", None, "cpu"),
        ("processes", "estimated", "estimated"),
        ("gpu0", "<script>", "gpu"),
        ("gpu0", "x" * 21, "gpu"),
        ("gpu0", 7, "gpu"),
        ("ΩΩ", None, "unknown"),
        ("0", None, "unknown"),
    ],
)
def test_whose_class_a_device_is(made: Made, device: str, said: Any, shown_class: str) -> None:
    (power,) = Told(made).events("sample", device=device, power_w=3, **{"class": said})
    assert isinstance(power, live.Power)
    assert power.device_class == shown_class
    assert power.estimated == (shown_class == "estimated")


@pytest.mark.slow
def test_times_are_not_believed_further_than_the_run(made: Made) -> None:
    told = Told(made)
    told.ns += 5 * 10**9
    for t_ns, at in [
        (told.ns, told.at),
        (told.ns - 2 * 10**9, told.at - 2000),
        (told.ns + 10**12, told.at),
        (0, told.began),
        (-(10**30), told.began),
        (10**30, told.at),
    ]:
        (phase,) = told.events("phase", t_ns, phase="idle")
        assert phase.at == at


@pytest.mark.slow
def test_energy_is_integrated_over_the_agent_s_clock_whatever_the_wall_clock_does(
    made: Made,
) -> None:
    told = Told(made)
    told.events("window", begins=True, output_tokens=0)
    for n in range(101):
        # Ahead by an hour, and back again.
        told.wall_ns = (3600 * 10**9) if n == 50 else 0
        (power,) = told.events("sample", device="gpu0", power_w=400)
        told.ns += 10**8
    assert isinstance(power, live.Power)
    assert (power.j, power.window_j) == (4000, 4000)


@pytest.mark.slow
def test_a_reading_counts_from_when_it_was_read_and_once(made: Made) -> None:
    """Who tells it again because there is no newer one has not read it again."""
    told = Told(made)
    told.events("window", begins=True, output_tokens=0)
    seen = []
    read_ns = 0
    for n in range(50):
        if n < 10 or n >= 40:
            read_ns = told.ns - 20_000_000
        watts = 400 if n < 10 else 100
        data = {"device": "gpu0", "power_w": watts, "read_ns": read_ns, "period_s": 0.1}
        seen.append(told.events("sample", **data))
        told.ns += 10**8
    known = [e.window_j is not None for (e,) in seen]
    # Nothing is read for a second and a half: from then on it is not known.
    assert known == [True] * 24 + [False] * 26
    (late,) = seen[-1]
    assert isinstance(late, live.Power) and late.j < 700


@pytest.mark.slow
@pytest.mark.parametrize("read_ns", [None, True, "1", 10**30, -(10**30)])
def test_a_reading_is_never_of_the_future_nor_of_before_the_run(made: Made, read_ns: Any) -> None:
    told = Told(made)
    told.ns += 10**9
    first, second = (
        told.events("sample", device="gpu0", power_w=1.0, read_ns=read_ns) for _ in range(2)
    )
    assert first == second
    (power,) = first
    assert isinstance(power, live.Power) and power.j == 0


@pytest.mark.slow
def test_a_flood_is_cut_to_what_a_person_can_see(made: Made) -> None:
    told = Told(made)
    seen = sum(len(told.events("log", song="la")) for _ in range(5000))
    assert seen == 0
    said = [told.events("progress", output_tokens=1, tokens_per_s=1) for _ in range(5000)]
    seen = sum(map(len, said))
    assert seen == moments.EVENTS_AT_ONCE
    told.ns += 10**9
    seen = sum(len(told.events("progress", output_tokens=1, tokens_per_s=1)) for _ in range(5000))
    assert seen == moments.EVENTS_PER_S
    # What matters is shown all the same, but not for ever.
    assert told.events("phase", phase="window")
    assert sum(len(told.events("phase", phase="window")) for _ in range(5000)) < 200
    assert told.events("log", message="x") == []


@pytest.mark.slow
def test_so_much_text_and_no_more(made: Made) -> None:
    told = Told(made)
    found = [e for _ in range(500) for e in told.events("text", request="r" * 500, text="é" * 9000)]
    assert {len(e.text) for e in found if isinstance(e, live.Text)} == {live.MAX_TEXT}
    assert sum(len(e.text) for e in found if isinstance(e, live.Text)) == moments.TEXT_AT_ONCE
    assert {e.request for e in found if isinstance(e, live.Text)} == {"r" * 80}


@pytest.mark.slow
def test_a_text_without_an_end_is_whole_as_agents_told_it_before(made: Made) -> None:
    (old,) = Told(made).events("text", request="r", text="all of it")
    (piece,) = Told(made).events("text", request="r", text="some", end=False)
    assert isinstance(old, live.Text) and isinstance(piece, live.Text)
    assert (old.end, piece.end) == (True, False)


@pytest.mark.slow
def test_only_so_many_devices(made: Made) -> None:
    told = Told(made)
    seen = [e for n in range(100) for e in told.events("sample", device=f"gpu{n}", power_w=1.0)]
    assert len(seen) == MAX_DEVICES


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = ["device", "power_w", "class", "request", "text", "end", "flag", "message", "phase"]
KINDS = ["phase", "window", "progress", "sample", "text", "flag", "log", "song"]


@pytest.mark.slow
@given(
    kind=st.sampled_from(KINDS),
    t_ns=st.integers(),
    data=st.dictionaries(
        st.sampled_from([*NAMES, "begins", "output_tokens", "tokens_per_s"]) | st.text(max_size=8),
        ANY_JSON,
    ),
)
def test_whatever_an_agent_says_what_is_told_of_it_can_be_sent(
    made: Made, kind: str, t_ns: int, data: dict[str, Any]
) -> None:
    told = Told(made)
    for e in told.events(kind, t_ns, **data):
        assert EVENT.validate_json(e.model_dump_json()) == e
        assert len(e.model_dump_json()) < 20_000


@pytest.mark.slow
def test_a_campaign_of_a_thousand_arms_fits_into_a_batch(made: Made, tmp_path: Path) -> None:
    lock = Lock.read(made.folder / "campaign.lock.json")
    arm = lock.arms[0]
    settings = {f"args.setting_{n}": "x" * 500 for n in range(60)}
    arms = [
        arm.model_copy(update={"arm_id": f"a{n}", "label": "y" * 300, "settings": settings})
        for n in range(1100)
    ]
    (tmp_path / "out").mkdir()
    lock.model_copy(update={"arms": arms}).write(tmp_path / "out" / "campaign.lock.json")
    run = Run("a5", 0, 0, 0)
    begin = Moment("begin", Plan([run], made.moments[0].plan.decision, {}, {}, {}), run, arms[5])
    campaign, begun = Translator(tmp_path / "out").events(begin)
    assert isinstance(campaign, live.Campaign) and isinstance(begun, live.Begin)
    assert len(campaign.arms) == 1000 and begun.arm == 5
    assert len(campaign.model_dump_json()) < live.MAX_BATCH_BYTES
    assert all(a.settings == {} for a in campaign.arms)
    assert len(shown(arms[0]).settings) == 50
    assert MAX_ARMS_BYTES < live.MAX_BATCH_BYTES
    beyond = Moment("begin", begin.plan, Run("a1050", 0, 0, 0), arms[1050])
    assert Translator(tmp_path / "out").events(beyond)[1:] == []


def test_an_allowance_fills_up_with_time_and_no_further() -> None:
    allowance = Allowance(rate=10, most=20)
    assert allowance.take(20, 100.0)
    assert not allowance.take(1, 100.0)
    assert allowance.wait_s(5) == pytest.approx(0.5)
    assert not allowance.take(6, 100.5)
    assert allowance.take(5, 100.5)
    assert allowance.take(20, 10_000.0)
    assert not allowance.take(1, 10_000.0)
    # A clock that goes back gives nothing.
    assert not allowance.take(1, 0.0)
