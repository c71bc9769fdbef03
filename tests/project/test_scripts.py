"""The scripts behind make say what is missing and how to get it, before anything is installed."""

import os
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lem import containers
from lem.containers import EngineFacts
from lem.errors import EnvironmentFault


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """The parts of a clone that scripts/environment.sh looks at."""
    for part in ("scripts", "requirements"):
        shutil.copytree(root / part, tmp_path / "clone" / part)
    shutil.copy(root / "pyproject.toml", tmp_path / "clone")
    return tmp_path / "clone"


def environment(clone: Path, *parts: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "scripts/environment.sh", *parts],
        cwd=clone,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def interpreter(folder: Path, name: str, script: str) -> str:
    """A stand-in for a Python that answers as ``script`` does."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_python_too_old(clone: Path, tmp_path: Path) -> None:
    done = environment(clone, PYTHON=interpreter(tmp_path, "python", "exit 1"))
    assert done.returncode == 3
    assert "no Python 3.11 or later" in done.stderr
    assert "fix: sudo apt-get install" in done.stderr
    assert not (clone / ".venv").exists()


def test_python_without_ensurepip(clone: Path, tmp_path: Path) -> None:
    script = 'case "$*" in *ensurepip*) exit 1 ;; esac'
    done = environment(clone, PYTHON=interpreter(tmp_path, "python", script))
    assert done.returncode == 3
    assert "no ensurepip" in done.stderr
    assert "fix: sudo apt-get install -y python3-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_full_disk(clone: Path, tmp_path: Path) -> None:
    interpreter(tmp_path, "df", "echo head; echo 'disk 1000 999 1 100% /'")
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = environment(clone, PYTHON=interpreter(tmp_path, "python", ""), PATH=path)
    assert done.returncode == 3
    assert "GB free" in done.stderr and "fix:" in done.stderr


def venv_with_pip(clone: Path, pip: str) -> None:
    (clone / ".venv/bin").mkdir(parents=True)
    interpreter(clone / ".venv/bin", "python", pip)


def test_no_index(clone: Path) -> None:
    venv_with_pip(clone, 'case "$*" in *install*) echo no route >&2; exit 1 ;; esac')
    done = environment(clone)
    assert done.returncode == 3
    assert "no route" in done.stderr and "fix: see pip's message" in done.stderr


def calls(clone: Path) -> list[str]:
    return (clone / "calls").read_text().splitlines()


@pytest.mark.parametrize(("offered", "wanted"), [("yes", False), ("no", True)])
def test_cpu_pytorch_comes_from_pips_own_sources_first(
    clone: Path, offered: str, wanted: bool
) -> None:
    refuse = "" if offered == "yes" else 'case "$*" in *+cpu*) exit 1 ;; esac'
    venv_with_pip(clone, f'echo "$*" >> {clone}/calls\n{refuse}')
    done = environment(clone, "engines", LEM_TORCH="cpu")
    assert done.returncode == 0, done.stderr
    torch = [c for c in calls(clone) if "torch==" in c]
    assert "torch==2.13.0+cpu" in torch[0] and "--index-url" not in torch[0]
    from_index = any("--index-url https://download.pytorch.org/whl/cpu" in c for c in torch)
    assert from_index is wanted
    assert any("--no-deps --require-hashes -r requirements/engines.txt" in c for c in calls(clone))


def test_nothing_is_installed_twice_until_a_lock_changes(clone: Path) -> None:
    venv_with_pip(clone, f'case "$*" in *install*) echo "$*" >> {clone}/calls ;; esac')
    assert environment(clone, "dev", "engines", LEM_TORCH="cpu").returncode == 0
    first = len(calls(clone))
    assert environment(clone, "dev", "engines", LEM_TORCH="cpu").returncode == 0
    assert environment(clone).returncode == 0
    assert len(calls(clone)) == first > 3
    with (clone / "requirements/dev.txt").open("a") as lock:
        lock.write("# changed\n")
    assert environment(clone, "dev").returncode == 0
    assert len(calls(clone)) == first + 2


class StubEngine:
    """As much of lem.containers.Engine as the choice looks at."""

    def __init__(self, nvidia: bool = False, base: bool = True, registry: bool = True) -> None:
        self.facts = EngineFacts("20.10", "1.41", False, False, False, nvidia)
        self.base, self.registry = base, registry

    def image(self, name: str) -> object | None:
        return object() if self.base else None

    def pull(self, name: str, say: object) -> object:
        if not self.registry:
            raise EnvironmentFault(f"the image {name} cannot be pulled", "docker load -i FILE")
        return object()


@pytest.mark.parametrize(
    ("engine", "gpu", "said"),
    [
        (StubEngine(), False, None),
        (StubEngine(base=False), False, None),
        (StubEngine(nvidia=True), True, None),
        (StubEngine(), True, "cannot give them the GPU (fix: install the NVIDIA Container Tool"),
        (StubEngine(base=False, registry=False), False, "be pulled (fix: docker load -i FILE)"),
        (None, False, "no engine (fix: start it)"),
    ],
)
def test_quickstart_uses_containers_where_they_can_work(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: StubEngine | None,
    gpu: bool,
    said: str | None,
) -> None:
    @contextmanager
    def connect() -> Iterator[StubEngine]:
        if engine is None:
            raise EnvironmentFault("no engine", "start it")
        yield engine

    monkeypatch.setattr(containers, "connect", connect)
    script = runpy.run_path(str(root / "scripts/choose_launcher.py"))
    obstacle = script["docker_obstacle"](gpu=gpu)
    assert obstacle is None if said is None else said in obstacle
    assert "\n" not in (obstacle or "")


def test_docker_tests_that_did_not_run_are_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script: dict[str, Any] = runpy.run_path(str(root / "scripts/docker_tests_ran.py"))
    main = script["main"]
    report = tmp_path / "junit.xml"
    listing = "tests/a/test_b.py::test_ran\ntests/a/test_b.py::Group::test_left[x-1]\n\n2 tests\n"
    answer = subprocess.CompletedProcess([], 0, stdout=listing)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    ran = '<testcase classname="tests.a.test_b" name="test_ran"/>'
    left = '<testcase classname="tests.a.test_b.Group" name="test_left[x-1]">{}</testcase>'

    report.write_text(f"<testsuites><testsuite>{ran}{left.format('')}</testsuite></testsuites>")
    assert main(report) == 0
    assert "2 in the suite, 2 ran" in capsys.readouterr().out

    report.write_text(f"<testsuites>{ran}{left.format('<skipped/>')}</testsuites>")
    assert main(report) == 1
    assert "did not run: tests.a.test_b.Group::test_left[x-1]" in capsys.readouterr().out

    report.write_text(f"<testsuites>{ran}</testsuites>")
    assert main(report) == 1

    answer.stdout = "no tests\n"
    assert main(report) == 1, "a suite without Docker tests proves nothing"

    answer.returncode = 2
    with pytest.raises(SystemExit, match="cannot be collected"):
        main(report)


@pytest.mark.skipif(os.getuid() != 0, reason="it is root that must not be led: run it as root")
@pytest.mark.parametrize("how", ["owned", "linked"])
def test_the_testbed_uses_nobody_else_s_folder(root: Path, tmp_path: Path, how: str) -> None:
    theirs, state = tmp_path / "theirs", tmp_path / "state"
    theirs.mkdir()
    if how == "owned":
        theirs.rename(state)
        os.chown(state, 1234, 1234)
    else:
        state.symlink_to(theirs)
    done = subprocess.run(
        ["sh", root / "scripts" / "docker-testbed.sh", "stop"],
        env={"PATH": os.environ["PATH"], "LEM_DOCKER_TESTBED_STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "is not this user's own folder" in done.stderr
