"""One whole run of the agent in its own process, with the test backend."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lem.agent.assemble import assemble
from lem.agent.run import as_failure, classify, run
from lem.contract.event import Event
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.metrics import METRICS
from lem.contract.record import Record
from lem.contract.schema import documents
from lem.contract.workload import Workload
from lem.errors import BadInput, EnvironmentFault, MeterUnavailable, RunFailed
from lem.meters.sampling import trace
from lem.workloads import requests, responses
from lem.workloads.load import Response
from lem.workloads.steady import count

from .conftest import WORKLOAD, MakeJob, agent


def events(folder: Path) -> list[Event]:
    return [Event.parse(line) for line in (folder / "events.ndjson").read_bytes().splitlines()]


def phases(folder: Path) -> list[str]:
    return [e.data["phase"] for e in events(folder) if e.kind == "phase"]


@pytest.fixture
def run_folder(make_job: MakeJob) -> Path:
    path = make_job()
    done = agent("run", path)
    assert done.returncode == 0, done.stderr
    return path.parent


def recorded_responses(folder: Path, job: Job) -> list[Response]:
    """The responses as anyone can read them back."""
    listed = {r.id: r for r in requests.read(Path(job.requests), job.requests_sha256)}
    found = []
    for row in responses.read(folder / "responses.csv.gz"):
        request = listed[row.id.partition("#")[0]]._replace(id=row.id)
        assert len(request.input_ids) == row.input_tokens
        found.append(Response(request, row.sent_ns, row.token_ns(), row.last_ns, row.status))
    return found


@pytest.mark.slow
def test_a_whole_run(run_folder: Path) -> None:
    """Kept in one test: a run takes seconds."""
    job = Job.read(run_folder / "job.json")
    record = Record.read(run_folder / "record.json")
    for name in ("run_id", "arm_id", "experiment_id", "block", "block_pass", "attempt", "campaign"):
        assert getattr(record, name) == getattr(job, name)
    assert record.experiment == job.experiment
    assert record.measurement == job.measure
    assert not (run_folder / "failure.json").exists()
    assert not [p for p in run_folder.iterdir() if p.name.startswith(".")]

    assert phases(run_folder) == ["load", "warm_up", "idle", "window", "idle", "done"]
    texts = [e.data for e in events(run_folder) if e.kind == "text"]
    assert texts and all(set(t) == {"request", "text"} for t in texts)

    assert len(record.windows) == 2
    first, second = record.windows
    edges = [e for e in events(run_folder) if e.kind == "window"]
    assert [(e.data["number"], e.data["begins"]) for e in edges] == [
        (0, True), (0, False), (1, True), (1, False),
    ]  # fmt: skip
    # What is told to whoever watches is where the record's windows begin and end.
    assert [e.t_ns for e in edges] == [
        first.start_ns, first.end_ns, second.start_ns, second.end_ns,
    ]  # fmt: skip
    assert first.end_ns == second.start_ns
    before, after = record.idle
    assert before.end_ns <= first.start_ns and second.end_ns <= after.start_ns
    for stretch, seconds in ((first, 0.4), (second, 0.4), (before, 0.2), (after, 0.2)):
        assert stretch.end_ns - stretch.start_ns >= seconds * 1e9

    assert {"estimated", "short_window", "weights_random"} <= set(record.flags)
    assert [m.meter for m in record.meters] == ["estimate"]
    assert record.quality.sample is not None and record.quality.sample.startswith("tick ")
    assert record.environment.engine_resolved["dtype"] == "none"
    assert "peak_memory_bytes.cpu" not in record.environment.engine_resolved
    assert record.environment.device_set == ["cpu"]
    assert record.environment.commentary_s == job.commentary_s == 1.0

    for name, value in record.metrics.items():
        shape = {"by_class": dict, "value": "Value", "distribution": "Distribution"}
        expected = shape[METRICS[name].shape]
        assert isinstance(value, dict) if expected is dict else type(value).__name__ == expected
    assert record.metrics["cpu_time_per_output_token_s"].value > 0  # type: ignore[union-attr]

    answers = recorded_responses(run_folder, job)
    recounted = [count(answers, w.start_ns, w.end_ns) for w in record.windows]
    for window, again in zip(record.windows, recounted, strict=True):
        assert window.output_tokens == again.output_tokens > 0
        assert window.input_tokens == again.input_tokens
        assert window.requests == again.requests
    figures = assemble(
        record.meters,
        trace.read(run_folder / "trace.csv.gz"),
        recounted,
        [(i.start_ns, i.end_ns) for i in record.idle],
        answers,
        {c: v.value for c, v in record.metrics["peak_memory_bytes"].items()},  # type: ignore[union-attr]
    )
    assert figures.metrics == record.metrics
    assert figures.windows == record.windows
    assert figures.idle == record.idle
    assert figures.flags <= set(record.flags)


@pytest.mark.slow
def test_the_quality_probe(make_job: MakeJob) -> None:
    measure = {
        "windows": 1,
        "window_s": 0.1,
        "idle_s": 0.0,
        "warm_up_cap_s": 0.0,
        "quality": ["nll"],
    }
    path = make_job(measure=measure)
    done = agent("run", path)
    assert done.returncode == 0, done.stderr
    record = Record.read(path.parent / "record.json")
    assert record.quality.nll_per_token == pytest.approx(5.703782, abs=1e-6)  # ln 300
    assert record.quality.tokens and record.quality.text_sha256
    assert "quality" in phases(path.parent)
    assert record.idle == []
    assert "energy_above_idle_per_output_token_j" not in record.metrics


SHORT = {"windows": 1, "window_s": 0.2, "idle_s": 0.05, "warm_up_cap_s": 0.05}


def failed(path: Path, **environment: str) -> Failure:
    done = agent("run", path, **environment)
    assert done.returncode == 1, done.stderr
    assert not (path.parent / "record.json").exists()
    failure = Failure.read(path.parent / "failure.json")
    job = Job.read(path)
    for name in ("run_id", "arm_id", "block", "block_pass", "attempt"):
        assert getattr(failure, name) == getattr(job, name)
    assert failure.written_by == "agent"
    return failure


@pytest.mark.parametrize(
    ("changes", "kind", "phase", "message"),
    [
        ({"args": {"raise": "boom", "when": "load"}}, "engine_error", "load", "RuntimeError: boom"),
        ({"args": {"raise": "boom"}}, "engine_error", "warm_up", "RuntimeError: boom"),
        ({"contract_version": 99}, "contract", "load", "contract 99"),
        ({"requests_sha256": "0" * 64}, "contract", "load", "request list"),
        ({"requests": "/nowhere"}, "contract", "load", "request list"),
        ({"model": "/nowhere"}, "engine_error", "load", "FileNotFoundError"),
        ({"backend": "no_such_backend"}, "bad_argument", "load", "no backend named"),
        (
            {"measure": SHORT | {"meters": ["rapl"]}, "powercap_root": "/nowhere"},
            "meter",
            "load",
            "rapl",
        ),
        ({"args": {"hang": False, "token_ms": "slow"}}, "engine_error", "warm_up", "ValueError"),
    ],
    ids=str,
)
def test_every_way_to_fail_is_typed(
    make_job: MakeJob, changes: dict[str, Any], kind: str, phase: str, message: str
) -> None:
    failure = failed(make_job(**({"measure": SHORT} | changes)))
    assert (failure.kind, failure.phase) == (kind, phase)
    assert message in failure.message


def test_the_engines_last_words_are_kept(make_job: MakeJob) -> None:
    failure = failed(make_job(args={"raise": "the engine says no", "when": "load"}))
    assert failure.last_lines[0].startswith("Traceback")
    assert failure.last_lines[-1] == "RuntimeError: the engine says no"
    assert len(failure.last_lines) <= 40


def test_a_fault_in_the_middle_of_a_window(make_job: MakeJob) -> None:
    long = SHORT | {"window_s": 30.0, "warm_up_cap_s": 0.0}
    failure = failed(make_job(measure=long, args={"raise": "late", "after_tokens": 200}))
    assert (failure.kind, failure.phase) == ("engine_error", "window")


def test_an_engine_that_leaves_the_interpreter_leaves_no_document(make_job: MakeJob) -> None:
    path = make_job(args={"exit_code": 7, "when": "load"})
    assert agent("run", path).returncode == 7
    assert sorted(p.name for p in path.parent.iterdir()) == ["events.ndjson", "job.json"]


@pytest.mark.parametrize(
    ("limits", "args", "phase", "what"),
    [
        ({"load_s": 0.5, "run_s": 60.0}, {"sleepy": True, "when": "load"}, "load", "loading"),
        ({"load_s": 30.0, "run_s": 1.5}, {"token_ms": 100}, "window", "the run"),
    ],
)
def test_a_time_out_names_the_phase(
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    limits: dict[str, float],
    args: dict[str, Any],
    phase: str,
    what: str,
) -> None:
    measure = SHORT | {"window_s": 60.0}
    model: dict[str, Any] = {}
    if args.pop("sleepy", False):
        # Opening a pipe that nobody writes to blocks, as a model on a lost network drive does.
        os.mkfifo(tmp_path / "model")
        model = {"model": str(tmp_path / "model")}
    failure = failed(make_job(limits=limits, args=args, measure=measure, **model))
    assert (failure.kind, failure.phase) == ("timeout", phase)
    assert what in failure.message and failure.hint is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_in_the_middle_of_a_window(make_job: MakeJob, number: int) -> None:
    path = make_job(measure=SHORT | {"window_s": 60.0})
    process = subprocess.Popen(
        [sys.executable, "-m", "lem.agent", "run", str(path)], stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if (path.parent / "events.ndjson").exists() and "window" in phases(path.parent):
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1 and "Traceback" not in stderr
    failure = Failure.read(path.parent / "failure.json")
    assert (failure.kind, failure.phase) == ("interrupted", "window")
    assert signal.Signals(number).name in failure.message
    # The trace of what was measured so far is whole, and its writer has ended.
    assert trace.read(path.parent / "trace.csv.gz")
    assert not samplers_of(path.parent)


def samplers_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            files = [str(f.readlink()) for f in (entry / "fd").iterdir()]
        except OSError:
            continue
        if b"lem.meters.sampler" in command and any(str(folder) in f for f in files):
            found.append(entry.name)
    return found


def test_a_job_that_is_none_is_refused_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text('{"schema_version": 1, "surprise": true}')
    done = agent("run", path)
    assert done.returncode == 1
    assert "surprise" in done.stderr and "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["job.json"]


@pytest.mark.parametrize(
    ("error", "kind", "has_hint"),
    [
        (RunFailed("unsupported", "no"), "unsupported", False),
        (RunFailed("out_of_memory", "no", hint="less"), "out_of_memory", True),
        (EnvironmentFault("no", kind="image"), "image", False),
        (MeterUnavailable("no", hint="do"), "meter", True),
        (BadInput("no"), "bad_argument", False),
        (MemoryError(), "out_of_memory", True),
        (KeyboardInterrupt(), "interrupted", False),
        (OSError(errno.ENOSPC, "full"), "disk", True),
        (OSError(errno.EDQUOT, "full"), "disk", True),
        (OSError(errno.EROFS, "read-only"), "disk", True),
        (OSError(errno.ENOENT, "gone"), "engine_error", False),
        (ModuleNotFoundError("No module named 'torch'"), "image", True),
        (ZeroDivisionError("no"), "engine_error", False),
        (SystemExit(3), "engine_error", False),
    ],
    ids=repr,
)
def test_the_kind_of_a_failure(error: BaseException, kind: str, has_hint: bool) -> None:
    found, hint = classify(error)
    assert found == kind
    assert (hint is not None) == has_hint


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("one\ntwo"), "RuntimeError: one"),
        (RuntimeError("\n\n  second"), "RuntimeError: second"),
        (RuntimeError(), "RuntimeError"),
        (RunFailed("timeout", "too long"), "too long"),
        (RuntimeError("half \ud800 pair"), "RuntimeError: half ? pair"),
        (RuntimeError("x" * 10_000), ("RuntimeError: " + "x" * 10_000)[:2000]),
    ],
    ids=lambda v: repr(v)[:40],
)
def test_the_message_of_a_failure_fits_on_a_line_and_into_a_document(
    error: BaseException, message: str, tmp_path: Path
) -> None:
    raw = json.loads((Path(__file__).parents[1] / "contract/golden/job.v1.json").read_text())
    job = documents()["job"].parse(json.dumps(raw | {"gpus": []}).encode())
    assert isinstance(job, Job)
    failure = as_failure(job, error, "window", "2026-05-04T12:00:00.000+00:00")
    assert failure.message == message
    failure.write(tmp_path / "failure.json")
    assert Failure.read(tmp_path / "failure.json") == failure


@pytest.mark.parametrize(
    ("loads", "arrival", "kind"),
    [
        (("served",), {"kind": "offline"}, "unsupported"),
        (("offline",), {"kind": "poisson", "rate": 1}, "unsupported"),
        (None, {"kind": "offline"}, "contract"),
    ],
)
def test_a_backend_that_cannot_be_driven_so_says_so(
    make_job: MakeJob,
    monkeypatch: pytest.MonkeyPatch,
    loads: tuple[str, ...] | None,
    arrival: dict[str, Any],
    kind: str,
) -> None:
    backend = type("Backend", (), {} if loads is None else {"loads": loads})
    monkeypatch.setattr("lem.plugins.load", lambda family, name: backend)
    workload = Workload.model_validate({**WORKLOAD, "arrival": arrival}).model_dump()
    path = make_job(workload=workload)
    assert run(path) == 1
    failure = Failure.read(path.parent / "failure.json")
    assert (failure.kind, failure.phase) == (kind, "load")
    assert "driven" in failure.message
