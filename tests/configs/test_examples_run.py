"""Every example campaign runs for real, shrunk, or says why it cannot on a machine without GPUs."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from configs.shrunk import shrunk
from tick import LEM, environment
from tick_image import need_docker

from lem import containers
from lem.contract.failure import Failure
from lem.contract.flags import worst
from lem.contract.lock import Lock
from lem.contract.metrics import METRICS
from lem.contract.record import Record
from lem.launchers import image
from tests.backends import models

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(f.stem for f in CONFIGS.glob("*.yaml"))


@dataclass(frozen=True)
class Refused:
    why: str
    status: int
    words: str
    """Of what lem says, at once or in each failure."""
    model: dict[str, Any] | None = None
    """Where the small model would be another reason."""


NOT_HERE = {
    "cpu-and-gpu": Refused("half of its arms run on a GPU", 1, "this build of llama.cpp sees none"),
    "power-limit": Refused("only a GPU has such a limit", 3, "this run uses no NVIDIA board"),
    "tensor-parallel": Refused(
        "it spreads a model over GPUs",
        1,
        "Not enough allowed NUMA nodes",
        {"synthetic": {"hidden_size": 512, "heads": 8, "layers": 1, "vocab_size": 512}},
    ),
}
"""The examples that need what no machine without GPUs has."""

IN_CONTAINERS = {"vllm"}
"""Engines that the tests' own environment does not have: their campaigns run in images."""
ANSWERS = {
    "compare": "Ratio (95 % interval)",
    "curve": "Ratio to the least",
    "pareto": "on the front",
    "attribute": "of the spread",
    "show": "energy_per_output_token_j",
}
"""What each command's answer cannot do without."""
ONE_LIST = {
    "engines": {"transformers", "vllm", "llama_cpp"},
    "engines-served": {"llama_cpp", "vllm"},
}
"""Examples that compare engines on the very same token ids, made by each engine's own tokenizer."""
OF_THE_SEARCH = "goodput_rate_per_s"
"""A comment of concurrency-slo.yaml says that it needs another arrival than the file's."""

BUSY = {"overloaded", "target_not_held"}
"""Flags of a schedule that a machine with other work may not keep up with."""

ONE_WATT = """
[[external]]
name = "one-watt"
command = ["cut", "-d", " ", "-f", "1", "/proc/uptime"]
unit = "J"
class = "gpu"
period_s = 0.1
uncertainty = 0.01
"""
"""A meter whose truth is known: joules are the seconds since the machine was started. Of a GPU,
whose energy other programs' work on the processor is no part of."""


@dataclass(frozen=True)
class Ran:
    spec: dict[str, Any]
    out: Path
    done: "subprocess.CompletedProcess[str]"


def comment(name: str) -> str:
    """What the file says of itself before its first key."""
    lines = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def in_containers(spec: dict[str, Any]) -> bool:
    return bool(IN_CONTAINERS & set(spec["backends"])) or "launcher" in spec.get("sweep", {})


def marked(name: str) -> Any:
    """Campaigns with containers can be left out by their mark, as everywhere."""
    return pytest.param(name, marks=[pytest.mark.docker] if in_containers(read(name)) else [])


def lem(*arguments: str | Path, meters: Path | None = None) -> "subprocess.CompletedProcess[str]":
    # What was prepared of the models is kept between test runs.
    env = environment(models.store() / "lem")
    if meters is not None:
        env["LEM_METERS"] = str(meters)
    return subprocess.run(
        [*LEM, *map(str, arguments)], capture_output=True, text=True, timeout=500, env=env,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def run(name: str, folder: Path, meters: Path) -> Ran:
    """The shrunk campaign, in as many blocks as its engines' starts leave time for."""
    spec = read(name)
    if in_containers(spec):
        with containers.connect() as engine:
            for backend in spec["backends"]:
                image.ensure(engine, backend, "cpu", None, print)
    # An answer can only be right where the whole model gives it.
    file = models.smollm2() if "accuracy" in spec["measure"] else models.one_layer()
    refused = NOT_HERE.get(name)
    model = {"id": str(file)} if refused is None or refused.model is None else refused.model
    blocks = 2 if set(spec["backends"]) == {"llama_cpp"} else 1
    launcher = "docker" if in_containers(spec) else "process"
    small = shrunk(spec, model, launcher, blocks)
    if refused is not None:
        small["gpus"] = []
    for beside in CONFIGS.glob("*.jsonl"):
        shutil.copy(beside, folder)
    shrunken = folder / f"{name}.yaml"
    shrunken.write_text(yaml.safe_dump(small))
    out = folder / "out"
    metered = None if in_containers(spec) else meters
    return Ran(small, out, lem("campaign", "run", shrunken, "--out", out, meters=metered))


@pytest.fixture(scope="module")
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Ran]]:
    """Runs what is asked for here, two campaigns at a time: each of them uses one core."""
    here = [i for i in request.session.items if i.path == request.path]
    wanted = {i.callspec.params["name"] for i in here if hasattr(i, "callspec")}
    meters = tmp_path_factory.mktemp("meters") / "meters.toml"
    meters.write_text(ONE_WATT)
    models.one_layer()
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs: dict[str, Future[Ran]] = {
            name: pool.submit(run, name, tmp_path_factory.mktemp(name), meters)
            for name in NAMES
            if name in wanted
        }
        yield lambda name: runs[name].result()
        pool.shutdown(cancel_futures=True)


RUN_HERE = [name for name in NAMES if name not in NOT_HERE]
"""Every other one: a new example runs, or stands above with its reason."""


def test_no_example_is_left_out() -> None:
    assert set(NOT_HERE) < set(NAMES) and len(RUN_HERE) + len(NOT_HERE) == len(NAMES)
    # What is no campaign is what one of them reads.
    texts = [(CONFIGS / f"{name}.yaml").read_text(encoding="utf-8") for name in NAMES]
    for beside in {p.name for p in CONFIGS.iterdir()} - {f"{name}.yaml" for name in NAMES}:
        assert any(beside in text for text in texts), beside


@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [marked(n) for n in RUN_HERE])
def test_an_example_answers_its_question(name: str, ran: Callable[[str], Ran]) -> None:
    if in_containers(read(name)):
        need_docker()
    found = ran(name)
    assert found.done.returncode == 0, found.done.stderr
    lock = Lock.read(found.out / "campaign.lock.json")
    blocks = found.spec["measure"]["blocks"]
    places = [(block, arm.arm_id) for block in range(blocks) for arm in lock.arms]
    records = [Record.read(p) for p in sorted(found.out.rglob("record.json"))]
    assert len(lock.arms) > 1
    assert sorted((r.block, r.arm_id) for r in records) == sorted(places)
    assert {r.experiment.backend for r in records} == set(found.spec["backends"])
    if name in ONE_LIST:
        lists = {r.experiment.backend: r.experiment.requests_sha256 for r in records}
        assert set(lists) == ONE_LIST[name] and len(set(lists.values())) == 1, lists
    for record in records:
        assert worst(set(record.flags) - BUSY) == "info", record.flags
        figures_are_whole(record, name, found.spec)
    for words in {("compare", "DIR"), *commands(name)}:
        shows(words, found.out)


def figures_are_whole(record: Record, name: str, spec: dict[str, Any]) -> None:
    workload, measure = spec["workload"], spec["measure"]
    (window,) = record.windows
    assert window.requests > 0 and window.output_tokens > 0
    for reading in window.energy:
        if reading.meter == "external":
            seconds = (window.end_ns - window.start_ns) / 1e9
            assert reading.energy_j is not None and reading.uncertainty_j is not None
            assert abs(reading.energy_j - seconds) <= 2 * reading.uncertainty_j
    # Where containers take part, which do not have it, there is none.
    assert in_containers(spec) != any(e.meter == "external" for e in window.energy)
    figures = record.metrics
    named = {m for m in METRICS if re.search(rf"\b{m}\b", comment(name))}
    for metric in {"energy_per_output_token_j", "output_throughput_tokens_per_s", *named} - {
        OF_THE_SEARCH
    }:
        assert figures.get(metric), metric
    assert record.experiment.workload.arrival.kind == workload.get("arrival", {}).get(
        "kind", "offline"
    )
    assert ("goodput_per_s" in named or "slo" in workload) == bool(figures.get("goodput_per_s"))
    quality = record.quality
    assert ("nll" in measure.get("quality", [])) == (quality.nll_per_token is not None)
    assert ("agreement" in measure.get("quality", [])) == (quality.agreement_sha256 is not None)
    assert ("accuracy" in measure) == (quality.accuracy is not None)


def commands(name: str) -> set[tuple[str, ...]]:
    """What the file's comment tells people to type, without what stands behind a # in it."""
    found = re.findall(r"lem results (\w+)((?: DIR[^#\n]*)?)", comment(name))
    return {(verb, *more.split()) for verb, more in found if verb in ANSWERS}


def shows(words: tuple[str, ...], out: Path) -> None:
    verb, *more = words
    drawn = out / "figure.svg"
    arguments = [str(out) if m == "DIR" else str(drawn) if m.endswith(".svg") else m for m in more]
    if verb == "show":
        arguments = [str(next(out.rglob("record.json")))]
    done = lem("results", verb, *arguments)
    assert done.returncode == 0, done.stderr
    assert ANSWERS[verb] in done.stdout
    if "-o" in more:
        assert drawn.read_text().startswith("<svg") and str(drawn) in done.stdout + done.stderr


@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", [marked(n) for n in NOT_HERE])
def test_an_example_that_needs_a_gpu_says_so(name: str, ran: Callable[[str], Ran]) -> None:
    found, expected = ran(name), NOT_HERE[name]
    assert found.done.returncode == expected.status, found.done.stderr
    failures = [Failure.read(p) for p in sorted(found.out.rglob("failure.json"))]
    assert failures or expected.words in found.done.stderr
    assert all(expected.words in f.message for f in failures)
