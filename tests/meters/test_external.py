"""Meters outside the machine: their configuration, and everything that may come back."""

import json
import math
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lem.contract.record import EnergyReading, MeterInfo
from lem.errors import BadInput, MeterUnavailable
from lem.meters import machine, remote
from lem.meters.external import External
from lem.meters.protocol import MeterSettings, Sample
from lem.meters.sampling import background
from tests.meters.slow_rigs import serving


def settings(**one: Any) -> MeterSettings:
    return MeterSettings(**machine.checked({"external": [{"unit": "W", **one}]}, "meters.toml"))


def refusal(**one: Any) -> str:
    with pytest.raises(MeterUnavailable) as caught:
        External().open(settings(**one))
    return caught.value.message


@pytest.mark.parametrize("text", ["1", " 12.5\n", "+3", "1e3", "0.001", "12345678901234567890"])
def test_one_number_is_a_number(text: str) -> None:
    assert remote.number(text) == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "W", "12 W", "12 13", "1,5", "0x10", "nan", "inf", "-inf", "1e999", "1_000", "--1",
        "12\n13", "12;rm -rf /", "1.", ".5", "٣", "1" * 40, "<html>12</html>", "1e3e3", "\x0012",
    ],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert remote.number(text) is None


def answer(result: Any, kind: str = "vector", status: str = "success") -> str:
    return json.dumps({"status": status, "data": {"resultType": kind, "result": result}})


ONE = [{"metric": {}, "value": [1e9, "250.5"]}]


def test_one_series_of_prometheus_is_a_number() -> None:
    assert remote.prometheus(answer(ONE)) == 250.5
    assert remote.prometheus(answer([1e9, "7"], "scalar")) == 7


@pytest.mark.parametrize(
    "text",
    [
        answer([]),
        answer(ONE * 2),
        answer(ONE, "matrix"),
        answer(ONE, status="error"),
        answer([{"metric": {}, "value": [1e9, "NaN"]}]),
        answer([{"metric": {}, "value": [1e9, 250.5]}]),
        answer([{"metric": {}, "value": ["250.5"]}]),
        answer([{"metric": {}}]),
        answer(["250.5"]),
        answer("250.5", "string"),
        answer(None),
        "[]",
        "{}",
        '"success"',
        "{" * 5000,
        "250.5",
    ],
)
def test_anything_else_of_prometheus_is_none(text: str) -> None:
    assert remote.prometheus(text) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("meters.0.power", 61.25),
        ("meters.1.power", 7.0),
        ("meters.2.power", None),
        ("meters.-1.power", None),
        ("meters.0", None),
        ("meters.0.valid", None),
        ("meters.0.power.x", None),
        ("huge", None),
        ("nothing", None),
    ],
)
def test_a_field_of_a_json_page(field: str, value: float | None) -> None:
    page = '{"meters": [{"power": 61.25, "valid": true}, {"power": "7"}], "huge": 1e999}'
    assert remote.at_field(page, field) == value


def test_a_command_is_a_list_of_words_and_no_shell(tmp_path: Path) -> None:
    done = tmp_path / "done"
    assert "not one number" in refusal(command=["echo", f"12; touch {done}"])
    assert "not one number" in refusal(command=["echo", f"$(touch {done})"])
    assert not done.exists()


def test_a_command_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    said = background.run(["env"], 5).output
    assert "hf_secret" not in said
    assert "PATH=" in said


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["/nowhere/at-all"], "No such file"),
        (["false"], "ended with 1"),
        (["sh", "-c", "echo 12; exit 3"], "ended with 3"),
        (["sleep", "60"], "no answer within 0.3 s"),
        (["sh", "-c", "sleep 60 & echo 12"], "no answer within 0.3 s"),
        (["yes"], "no answer within 0.3 s"),
    ],
)
def test_a_command_that_fails_says_how(command: list[str], says: str) -> None:
    assert says in refusal(command=command, timeout_s=0.3)


def test_a_command_that_runs_ends_with_the_meter(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    script = f"echo $$ > {started}; exec sleep 60"
    poller = background.Poller(
        lambda: remote.number(background.run(["sh", "-c", script], 60).output), 1.0
    )
    end_s = time.monotonic() + 20
    while not (started.exists() and started.read_text().strip()) and time.monotonic() < end_s:
        time.sleep(0.02)
    pid = int(started.read_text())
    poller.stop()
    end_s = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end_s:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_much_output_is_cut_and_does_not_block() -> None:
    ran = background.run(["sh", "-c", "head -c 5000000 /dev/zero"], 20)
    assert ran.code == 0
    assert len(ran.output) == background.OUTPUT_BYTES


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (200, "over 9000", "not one number"),
        (404, "12", "HTTP status 404"),
        (302, "12", "HTTP status 302"),
        (200, "1" * 70_000, "too long"),
    ],
)
def test_a_page_that_is_no_number_says_how(status: int, text: str, says: str) -> None:
    with serving(lambda path: (status, text)) as address:
        assert says in refusal(url=address)


def test_nobody_listening() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "refused" in refusal(url=f"http://127.0.0.1:{port}/")


def test_an_answer_that_trickles_is_given_up() -> None:
    """Each byte comes in time, the whole never does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"1")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        started_s = time.monotonic()
        with pytest.raises(TimeoutError):
            remote.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.5)
        assert time.monotonic() - started_s < 10
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("first", "again"),
    [(b"HTTP/1.1 200 OK\r\nX-A: ", b"x"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["header", "continue"],
)
def test_a_head_that_trickles_is_given_up(first: bytes, again: bytes) -> None:
    """Each byte comes in time, the headers never end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(1000)
                connection.sendall(first)
                # Far longer than the limit; not for ever, so that a failure is no hang.
                for _ in range(400):
                    if over.wait(0.1):
                        return
                    connection.sendall(again)

        thread = threading.Thread(target=trickle)
        thread.start()
        started_s = time.monotonic()
        with pytest.raises(TimeoutError, match="no whole answer"):
            remote.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.5)
        assert time.monotonic() - started_s < 20
        over.set()
        thread.join()


def test_units_are_turned_into_watts_and_joules() -> None:
    meter = External()
    devices = meter.open(
        MeterSettings(
            **machine.checked(
                {
                    "external": [
                        {"name": "a", "command": ["echo", "1.5"], "unit": "kW"},
                        {"name": "b", "command": ["echo", "2"], "unit": "kWh", "class": "gpu"},
                    ]
                },
                "meters.toml",
            )
        )
    )
    assert [(d.device, d.device_class, d.quantity, d.unit) for d in devices] == [
        ("a", "node", "power_w", "W"),
        ("b", "gpu", "energy_j", "J"),
    ]
    read: dict[str, float] = {}
    end_s = time.monotonic() + 20
    while len(read) < 2 and time.monotonic() < end_s:
        read |= {s.device: s.value for s in meter.read("full") if s.quantity != "call_ns"}
    meter.close()
    assert read == {"a": 1500.0, "b": 7.2e6}


@pytest.mark.parametrize("watts", ["-5", "1e9"])
def test_power_that_no_machine_draws_is_no_reading(watts: str) -> None:
    meter = External()
    meter.open(settings(command=["echo", watts]))
    end_s, samples = time.monotonic() + 20, []
    while not samples and time.monotonic() < end_s:
        samples = meter.read("full")
    meter.close()
    assert {s.quantity for s in samples} - {"call_ns"} == {"read_error"}


def info(uncertainty: float | None, quantity: str = "power_w") -> MeterInfo:
    return MeterInfo(
        meter="external",
        device="wall",
        device_class="node",
        quantity=quantity,
        unit="",
        description="",
        update_period_s=1.0,
        relative_uncertainty=uncertainty,
    )


def wall(values: list[float], about: MeterInfo, start_s: float, end_s: float) -> EnergyReading:
    samples = [
        Sample(i * 10**9, "external", "wall", about.quantity, v) for i, v in enumerate(values)
    ]
    return External().energy(about, samples, int(start_s * 1e9), int(end_s * 1e9))


def test_the_owners_uncertainty_is_the_gain() -> None:
    r = wall([200.4, 200.6] * 15, info(0.02), 5, 25)
    assert r.energy_j == pytest.approx(4010)
    assert r.budget_j["gain"] == pytest.approx(0.01 * 4010)
    assert r.uncertainty_j == pytest.approx(0.02 * 4010, rel=0.01)


def test_what_nobody_stated_is_unknown_and_not_zero() -> None:
    for about in (info(None), info(None, "energy_j")):
        values = (
            [200.4, 200.6] * 15 if about.quantity == "power_w" else [200.5 * i for i in range(30)]
        )
        r = wall(values, about, 5, 25)
        assert r.energy_j == pytest.approx(4010)
        assert r.uncertainty_j is None
        assert "uncertainty_unstated" in r.flags
        assert "gain" not in r.budget_j


def test_a_value_that_prometheus_goes_on_showing_is_frozen() -> None:
    """To its last digit for over a minute; whole watts may well repeat."""
    stale = [300 + i / 7 for i in range(40)] + [311.4142857] * 90
    assert wall(stale, info(0.02), 100, 120).flags == ["counter_frozen", "power_integrated"]
    assert wall(stale, info(0.02), 100, 120).energy_j is None
    whole = [300.0 + i for i in range(40)] + [311.0] * 90
    r = wall(whole, info(0.02), 100, 120)
    assert r.energy_j == pytest.approx(6220)
    # It may have stopped all the same: anything between 300 and 339 W then.
    assert r.budget_j["sampling"] == pytest.approx(39 * 20 / math.sqrt(12))


def test_a_counter_in_tenths_of_a_kwh_is_right_between_its_ticks() -> None:
    """0.001 kWh = 3.6 kJ at 500 W ticks every 7.2 s."""
    values = [3600.0 * (500 * i // 3600) for i in range(200)]
    r = wall(values, info(0.01, "energy_j"), 20, 180)
    assert r.energy_j is not None and r.uncertainty_j is not None
    assert abs(r.energy_j - 80_000) < r.uncertainty_j < 2000


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("external = 3", "must be written as [[external]]"),
        ("[wall]\nunit = 'W'", "unknown key 'wall'"),
        ("[[external]]\nunit = 'W'", "needs either command"),
        ("[[external]]\ncommand = ['x']\nurl = 'http://x'\nunit = 'W'", "needs either command"),
        ("[[external]]\ncommand = 'read-pdu 3'\nunit = 'W'", "a list of words"),
        ("[[external]]\ncommand = []\nunit = 'W'", "a list of words"),
        ("[[external]]\ncommand = ['x', 3]\nunit = 'W'", "a list of words"),
        ("[[external]]\ncommand = ['x']", "unit must be one of"),
        ("[[external]]\ncommand = ['x']\nunit = 'hp'", "unit must be one of"),
        ("[[external]]\nurl = 'file:///etc/passwd'\nunit = 'W'", "http:// or https://"),
        ("[[external]]\nurl = 3\nunit = 'W'", "http:// or https://"),
        ("[[external]]\ncommand = ['x']\nquery = 'up'\nunit = 'W'", "query goes with url"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\nclass = 'moon'", "class must be one of"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\nname = 'a b'", "name must be"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\nperiod_s = 0", "period_s must be"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\ntimeout_s = true", "timeout_s must be"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\nuncertainty = nan", "uncertainty must be"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\nwatts = 3", "unknown key 'watts'"),
        ("[[external]]\ncommand = ['x']\nunit = 'W'\n" * 2, "the same name"),
        ("[ipmi]\ncommand = 'ipmitool'", "ipmi.command must be a list"),
        ("[[external]]\ncommand = ['bin/pdu']\nunit = 'W'", "an absolute path"),
        ("[ipmi]\ncommand = ['./ipmitool']", "an absolute path"),
        ("[ipmi]\nhost = 'x'", "ipmi takes only command"),
        ("[[external]", "is not TOML"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, toml: str, says: str) -> None:
    file = tmp_path / "meters.toml"
    file.write_text(toml)
    with pytest.raises(BadInput) as caught:
        machine.settings({"LEM_METERS": str(file)})
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_file_is_found_where_it_should_be(tmp_path: Path) -> None:
    assert machine.settings({"XDG_CONFIG_HOME": str(tmp_path)}) == {}
    (tmp_path / "lem").mkdir()
    (tmp_path / "lem/meters.toml").write_text(
        '[[external]]\ncommand = ["pdu-read", "3"]\nunit = "W"\nuncertainty = 0.02\n'
        '[ipmi]\ncommand = ["sudo", "-n", "ipmitool", "dcmi", "power", "reading"]\n'
    )
    found = machine.settings({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found["ipmi"][0] == "sudo"
    assert found["external"][0] == {
        "name": "wall",
        "command": ["pdu-read", "3"],
        "unit": "W",
        "class": "node",
        "period_s": 1.0,
        "timeout_s": 2.0,
        "uncertainty": 0.02,
        "description": "power meter outside the machine",
    }
    with pytest.raises(BadInput, match="does not exist"):
        machine.settings({"LEM_METERS": str(tmp_path / "no.toml")})
