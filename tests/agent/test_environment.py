"""What is written down of the machine, from a tree made for the test."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from lem import __version__, plugins
from lem.agent import environment
from lem.agent.environment import boot_id, capture, device_set, gpus, in_container
from lem.contract.record import Environment, Gpu


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "proc/sys/kernel/random/boot_id": "6b3f0d8e-7e0e-4d0b-9a7f-000000000001\n",
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: Test CPU: 9000 @ 3 GHz\nflags\t: fpu\n",
        "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


GPU = Gpu(index=1, name="G", uuid="GPU-1", driver="1", memory_bytes=1)


def captured(root: Path, **changes: Any) -> Environment:
    given: dict[str, Any] = {
        "launcher": "process",
        "image_digest": None,
        "engine": "tick",
        "engine_version": "1.0",
        "engine_resolved": {"dtype": "none"},
        "libraries": {"lem-tick": "1.0"},
        "gpus": [],
    }
    return capture(**given | changes, root=root)


def test_everything_that_can_be_read_is_written_down(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEM_CONTAINER", raising=False)
    found = captured(root)
    assert found.boot_id == "6b3f0d8e-7e0e-4d0b-9a7f-000000000001"
    assert found.cpu_model == "Test CPU: 9000 @ 3 GHz"
    assert found.os == "Debian GNU/Linux 12 (bookworm)"
    assert found.cpu_governor == "powersave"
    assert found.cpu_count == len(os.sched_getaffinity(0))
    assert found.memory_bytes > 2**27
    assert found.container is False
    assert found.lem_version == __version__
    assert found.device_set == ["cpu"]
    assert found.engine_resolved == {"dtype": "none"}


def test_a_bare_tree_gives_what_the_interpreter_knows(tmp_path: Path) -> None:
    found = captured(tmp_path)
    assert found.boot_id == "unknown"
    assert found.cpu_governor is None
    assert found.os and found.cpu_model


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_containers_are_known_by_their_marks(root: Path, mark: str) -> None:
    (root / mark).parent.mkdir(exist_ok=True)
    (root / mark).touch()
    assert in_container(root)


def test_a_launcher_may_say_that_it_is_a_container(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_CONTAINER", "1")
    assert in_container(root)


def test_odd_bytes_in_system_files_do_no_harm(root: Path) -> None:
    (root / "proc/cpuinfo").write_bytes(b"model name\t: Caf\xe9 CPU\n")
    assert captured(root).cpu_model == "Caf\ufffd CPU"


def test_the_device_set_is_the_gpus_or_the_cpu() -> None:
    assert device_set([]) == ["cpu"]
    assert device_set([GPU]) == ["GPU-1"]
    other = GPU.model_copy(update={"uuid": "GPU-0"})
    assert device_set([GPU, other]) == ["GPU-1", "GPU-0"]


def test_without_indices_no_driver_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert gpus([]) == []
    assert gpus(None) == []


def test_versions_of_what_is_not_installed_are_left_out() -> None:
    found = environment.library_versions(["pydantic", "no-such-package"])
    assert set(found) == {"pydantic"}
    assert environment.version_of("no-such-package") is None


def test_the_confinement_is_the_kernel_s_word(root: Path) -> None:
    status = root / "proc/self/status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "Name:\tpython\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"
        "Speculation_Store_Bypass:\tthread force mitigated\n"
    )
    assert captured(root).confinement == {
        "seccomp": "filter",
        "no_new_privileges": "1",
        "speculative_store_bypass": "thread force mitigated",
    }
    assert environment.confinement()["seccomp"] in ("off", "strict", "filter")


def test_versions_around_an_engine_are_those_that_are_installed() -> None:
    found = environment.versions_around(plugins.load("backends", "tick")())
    assert found["lem-tick"] == "1.0"
    assert found["pydantic"] == version("pydantic")
    assert found[environment.C_LIBRARY]


def test_the_boot_id_is_this_kernels() -> None:
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_nothing_that_could_name_a_person_or_machine_is_captured(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "someone-secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    text = captured(root).model_dump_json()
    for secret in ("someone-secret", "hf_secret", os.uname().nodename, str(Path.home())):
        assert len(secret) < 4 or f'"{secret}"' not in text
