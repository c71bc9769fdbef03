"""What a runner tells in public has nothing of whose machine it is."""

import os
import socket
from pathlib import Path

import pytest

from lem.contract.live import Begin, End, Power, State, Text
from lem.errors import EnvironmentFault
from lem.runner.told import MOST_DEVICES, Censor


@pytest.fixture
def censor(monkeypatch: pytest.MonkeyPatch) -> Censor:
    monkeypatch.setattr(socket, "gethostname", lambda: "gpubox7")
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("HOME", "/home/mallory")
    return Censor()


def test_paths_addresses_and_names_are_taken_out(censor: Censor) -> None:
    said = censor.words(
        "cannot open /home/mallory/models/x.gguf on gpubox7 (192.168.1.20, fe80:0:0:1::2), board"
        " GPU-01234567-89ab-cdef-0123-456789abcdef; ask Mallory or see ~/notes and ../secret/file"
    )
    for word in (
        "mallory",
        "Mallory",
        "gpubox7",
        "192.168",
        "GPU-0123",
        "models",
        "secret",
        "notes",
    ):
        assert word not in said
    assert said.startswith("cannot open … on …")


def test_what_is_of_the_campaign_stays(censor: Censor) -> None:
    text = "Qwen/Qwen3-0.6B could not be prepared for vllm: max_model_len 4096 > 2048 (and 50 %)"
    assert censor.words(text) == text


def test_a_reason_is_one_short_line_without_its_hint(censor: Censor) -> None:
    error = EnvironmentFault("no room\nleft " + "x" * 1000, hint="rm -rf /home/mallory")
    said = censor.error(error)
    assert len(said) <= 500 and "\n" not in said and "mallory" not in said


def test_events_are_told_without_it_and_answers_as_they_are(censor: Censor) -> None:
    end = End(at=1, arm=0, block=0, attempt=0, outcome="failure", message="in /home/mallory/x")
    assert "mallory" not in censor.event(end).message  # type: ignore[union-attr]
    made_on = end.model_copy(update={"hardware": "2 × NVIDIA H200 · CPU of gpubox7 (64 CPUs)"})
    assert censor.event(made_on).hardware == "2 × NVIDIA H200 · CPU of … (64 CPUs)"  # type: ignore[union-attr]
    state = State(at=1, state="staging", message="fetching to /home/mallory")
    assert "mallory" not in censor.event(state).message  # type: ignore[union-attr]
    text = Text(at=1, request="r1", text="see /usr/bin", end=True)
    assert censor.event(text) == text
    plain = Power(at=1, device="gpu0", device_class="gpu", estimated=False, w=1, j=1)
    assert censor.event(plain) == plain


def test_devices_whose_names_tell_too_much_stay_apart_by_their_numbers(censor: Censor) -> None:
    def told(device: str) -> str:
        event = Power(at=1, device=device, device_class="node", estimated=False, w=1, j=1)
        shown = censor.event(event)
        assert isinstance(shown, Power)
        return shown.device

    kitchen, cellar = "plug.kitchen.example.org", "plug.cellar.example.org"
    assert [told(d) for d in (kitchen, cellar, "wall", kitchen)] == [
        "external-0", "external-1", "wall", "external-0",
    ]  # fmt: skip
    censor.event(Begin(at=2, arm=0, block=0, attempt=0))
    assert told(cellar) == "external-1"
    for n in range(MOST_DEVICES):
        told(f"made.up.{n}")
    censor.event(Begin(at=3, arm=0, block=0, attempt=0))
    assert told(cellar) == "external-0"


def test_it_does_not_run_for_ever_on_what_it_takes_out(censor: Censor) -> None:
    assert len(censor.words("gpubox7 " * 5000)) <= 500
    assert os.environ["HOME"] == "/home/mallory" and Path("/").exists()
