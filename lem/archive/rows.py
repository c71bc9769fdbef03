"""A record as rows: the configuration that it is a run of, and the run's narrow row.

Pure functions. Which of a record's energies stand in the row:

- A run on GPUs: that of the GPUs, else of the module they are part of, else of the whole node. That
  of its CPUs alone, or an estimate from CPU time, is no figure of what GPUs did.
- Any other run: that of the module, else of the CPUs, else of the node, else the estimate.
- Where none of them is there: energy class ``none`` and no energy figures.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lem.archive.reasons import refused
from lem.archive.schema import HEADLINE, WITH_UNCERTAINTY
from lem.contract.base import canonical_json
from lem.contract.record import Distribution, Environment, Gpu, Record, Value
from lem.contract.spec import Experiment
from lem.contract.workload import (
    Concurrency,
    Constant,
    Gamma,
    Poisson,
    RandomDataset,
)
from lem.stores.costs import meters_of
from lem.trust import boards
from lem.workloads.datasets import NLL_SHA256

OF_GPU_RUNS = ("gpu", "module", "node")
OF_OTHER_RUNS = ("module", "cpu", "node", "estimated")
NONE = "none"
_ENERGIES = HEADLINE[:4]
_DISTRIBUTIONS = {
    f"{name}_{p}_s": (f"{name}_s", p) for name in ("ttft", "itl") for p in ("p50", "p99")
}
_DISTRIBUTIONS |= {f"e2e_latency_{p}_s": ("e2e_latency_s", p) for p in ("p50", "p99")}
MOST_FIGURE, LEAST_FIGURE = 1e30, 1e-30
"""Of what is not 0. Ratios of figures stay within what floats hold."""
MAY_BE_NEGATIVE = ("energy_above_idle_per_output_token_j",)
MAX_TEXT = 200
MAX_EXPERIMENT_BYTES = 2**17
_MOST = 2**31 - 1
_BOARD = re.compile(r"board-[0-9a-f]{32}")
_FLAG = re.compile(r"[a-z0-9_]{1,60}")
MAX_FLAGS = 100
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


class ConfigRow(NamedTuple):
    """A row of ``config`` without what summaries say of it; names as there."""

    hash: str
    experiment_id: str
    device_model: str
    device_count: int
    meter_class: str
    semantics_version: int
    energy_class: str
    model: str
    model_content: str
    weights: str
    backend: str
    engine_version: str
    dtype: str
    quantization: str
    max_batch_size: int | None
    tensor_parallel_size: int | None
    arrival: str
    load: float | None
    dataset: str
    input_tokens: int | None
    output_tokens: int | None
    experiment: dict[str, Any]


class RunRow(NamedTuple):
    """A row of ``run`` with its configuration and boards in place of their ids. ``figures`` are the
    columns of :data:`FIGURES`, in that order."""

    config: ConfigRow
    boards: str
    identity_id: int
    campaign_id: int
    submission_id: int
    number: int
    block: int
    arm: int
    attempt: int
    started_at: float
    tier: int
    counted: bool
    flags: str
    figures: tuple[float | None, ...]


FIGURES = (*HEADLINE, *(f"{name}_u" for name in WITH_UNCERTAINTY))


def config_of(record: Record) -> ConfigRow:
    """The configuration that a record is a run of. Raises ``Refused`` (``bad_record``) for texts
    that cannot be shown."""
    e = record.experiment
    energy_class = energy_class_of(record)
    model, count = device_of(record)
    key = {
        "experiment_id": record.experiment_id,
        "device_model": model,
        "device_count": count,
        "meter_class": meters_of(record).get(energy_class, NONE),
        "semantics_version": record.metric_semantics_version,
        "energy_class": energy_class,
    }
    row = ConfigRow(
        hash=config_hash(key),
        **key,  # type: ignore[arg-type]
        model=e.model.id,
        model_content=e.model.content,
        weights=e.model.weights,
        backend=e.backend,
        engine_version=e.engine_version,
        **settings_of(e),
        **work_of(e),
        experiment=e.model_dump(mode="json"),
    )
    _check_texts(row)
    return row


def settings_of(e: Experiment) -> dict[str, Any]:
    """What its row says of its engine."""
    return {
        "dtype": _text(e.engine.get("dtype")),
        "quantization": _text(e.engine.get("quantization")),
        "max_batch_size": _whole(e.engine.get("max_batch_size")),
        "tensor_parallel_size": _whole(e.engine.get("tensor_parallel_size")),
    }


def work_of(e: Experiment) -> dict[str, Any]:
    """What its row says of its requests, and of when they come."""
    return {
        "arrival": e.workload.arrival.kind,
        "load": load_of(e),
        "dataset": e.workload.dataset.kind,
        "input_tokens": _input_tokens(e),
        "output_tokens": _whole(getattr(e.workload.dataset, "output_tokens", None)),
    }


def config_hash(key: Mapping[str, Any]) -> str:
    """SHA-256 of the natural key: experiment_id, device_model, device_count, meter_class,
    semantics_version, energy_class."""
    return hashlib.sha256(canonical_json(dict(key))).hexdigest()


def energy_class_of(record: Record) -> str:
    """The device class whose energy stands for the run; ``none`` where it has none that can."""
    there: set[str] = set()
    for name in _ENERGIES:
        found = record.metrics.get(name)
        if isinstance(found, dict):
            there |= found.keys()
    order = OF_GPU_RUNS if record.environment.gpus else OF_OTHER_RUNS
    return next((c for c in order if c in there), NONE)


def device_of(record: Record) -> tuple[str, int]:
    """What the run was made on, and how many of it. A CPU's model comes with the number of CPUs
    that the run could use: a part of it is another device. So is a GPU under another power limit
    than its usual one (of boards that nobody here knows: any), where the experiment asks for none:
    a board at half its power is no more of the same than another board."""
    return device_on(record.environment, record.experiment.device.power_limit_w is not None)


def device_on(env: Environment, asked: bool) -> tuple[str, int]:
    """As :func:`device_of`. ``asked``: whether the experiment asks for a power limit."""
    if not env.gpus:
        return f"{_product(env.cpu_model)} ({env.cpu_count} CPUs)", 1
    names = sorted(_board_of(g, not asked) for g in env.gpus)
    return " + ".join(dict.fromkeys(names)), len(names)


def _board_of(gpu: Gpu, unasked: bool) -> str:
    name = _product(gpu.name)
    if gpu.mig:
        # How a board is divided makes another one of it: what a part may use, what others draw.
        parts = Counter(map(_product, gpu.partitions))
        told = ", ".join(f"{n} × {p}" if n > 1 else p for p, n in parts.items())
        name = f"{name} (MIG: {told or 'parts unknown'})"
    known, limit = boards.known().find(gpu.name), gpu.power_limit_w
    if not unasked or (known is not None and limit is not None and abs(limit - known.limit_w) < 1):
        return name
    if limit is None:
        return name if known is None else f"{name} at an unknown limit"
    return f"{name} at {limit:.0f} W"


def _product(name: str) -> str:
    """What a maker calls it, as it is shown. Raises ``Refused`` (``bad_record``) for letters that
    look like others: such a board would stand beside the one that it is taken for."""
    if not name.isascii():
        raise refused("bad_record", "a board's or CPU's name has other letters than ASCII has")
    return " ".join(name.split())


def boards_of(record: Record, salt: str) -> str:
    """The boards that the run used, as ``board_set`` has them. Raises ``Refused``
    (``not_private``) where one is told by anything but its salted hash."""
    used = sorted(g.uuid for g in record.environment.gpus)
    others = [d for d in record.environment.device_set if d != "cpu"]
    if not all(map(is_board, [*used, *others])):
        raise refused("not_private", "a board's own identifier is in a record")
    return f"{salt}:{','.join(used)}" if used else ""


def is_board(text: str) -> bool:
    """Whether a text is a board's salted hash."""
    return _BOARD.fullmatch(text) is not None


def flags_of(record: Record) -> str:
    """A record's flags, joined. Raises ``Refused`` (``bad_record``) for what is no flag's name."""
    flags = record.flags
    if len(flags) > MAX_FLAGS or not all(_FLAG.fullmatch(f) for f in flags):
        raise refused("bad_record", "a record has flags that are no names")
    return ",".join(sorted(set(flags)))


def figures_of(record: Record, energy_class: str) -> tuple[float | None, ...]:
    """The record's figures that runs have columns for, in the order of :data:`FIGURES`. Raises
    ``Refused`` (``bad_record``) for numbers that nothing measures: they would lead every board, or
    make every mean or ratio infinite."""
    values = [figure(record, name, energy_class) for name in HEADLINE]
    for name, v in zip(HEADLINE, values, strict=True):
        if v is not None and not (
            (v.value >= 0 or name in MAY_BE_NEGATIVE)
            and _measurable(v.value)
            and (v.uncertainty or 0.0) >= 0
            and _measurable(v.uncertainty or 0.0)
        ):
            raise refused("bad_record", f"{name} is no number that anything measures")
    return (
        *(None if v is None else v.value for v in values),
        *(None if v is None else v.uncertainty for v in values[: len(WITH_UNCERTAINTY)]),
    )


def _measurable(value: float) -> bool:
    return value == 0 or LEAST_FIGURE <= abs(value) <= MOST_FIGURE


def figure(record: Record, name: str, energy_class: str) -> Value | None:
    """One headline figure of a record, by its column's name."""
    if name == "nll_per_token":
        nll, text = record.quality.nll_per_token, record.quality.text_sha256
        # Of another text it is another figure.
        return None if nll is None or text not in (None, NLL_SHA256) else Value(value=nll)
    if name in _DISTRIBUTIONS:
        metric, percentile = _DISTRIBUTIONS[name]
        found = record.metrics.get(metric)
        if isinstance(found, Distribution) and found.n:
            return Value(value=getattr(found, percentile))
        return None
    found = record.metrics.get(name)
    if isinstance(found, dict):
        return found.get(energy_class)
    return found if isinstance(found, Value) else None


def started_at_of(record: Record) -> float:
    """When the run began, in seconds since the epoch."""
    return datetime.fromisoformat(record.started_at).timestamp()


def load_of(experiment: Experiment) -> float | None:
    """Clients of a closed loop, or requests a second; None where nothing is fixed."""
    arrival = experiment.workload.arrival
    if isinstance(arrival, Concurrency):
        return float(min(arrival.concurrency, _MOST))
    if isinstance(arrival, Constant | Poisson | Gamma) and isinstance(arrival.rate, int | float):
        return float(arrival.rate)
    return None


def shown(text: str) -> bool:
    """Whether a text is short and has nothing in it that no database or page could show."""
    return len(text) <= MAX_TEXT and not _UNFIT.search(text)


def _check_texts(row: ConfigRow) -> None:
    written = json.dumps(row.experiment)
    if len(written) > MAX_EXPERIMENT_BYTES or "\\u0000" in written:
        raise refused("bad_record", "an experiment is too large, or has odd characters")
    for name, value in row._asdict().items():
        if isinstance(value, str) and not shown(value):
            raise refused("bad_record", f"{name} is longer than {MAX_TEXT} or has odd characters")


def _input_tokens(experiment: Experiment) -> int | None:
    dataset = experiment.workload.dataset
    if isinstance(dataset, RandomDataset):
        return _whole(dataset.input_tokens)
    return _whole(getattr(dataset, "input_tokens", None))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value).decode()


def _whole(value: Any) -> int | None:
    """A whole number that a column can hold."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MOST:
        return None
    return value
