"""One run on the terminal: its windows with the energy of each device, figures, flags, machine."""

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lem.analysis.naming import flat
from lem.analysis.quantities import ESTIMATED, can_be_known
from lem.analysis.text import NOTHING, plain, with_uncertainty
from lem.contract.failure import Failure
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.contract.record import EnergyReading, Record
from lem.report.meters import side_by_side
from lem.stores.hardware import hardware
from lem.stores.index import metric_values


def record_view(record: Record, standing: str, path: str) -> RenderableType:
    """Everything that one record says, for a person."""
    parts: list[RenderableType] = [
        _pairs(
            f"Run {record.run_id}",
            {
                "state": standing,
                "campaign": record.campaign,
                "block, pass, attempt": f"{record.block}, {record.block_pass}, {record.attempt}",
                "time": f"{record.started_at} to {record.ended_at}",
                "arm": record.arm_id,
                "experiment": record.experiment_id,
                "warm-up": _warm_up(record),
                "folder": path,
            },
        ),
        _pairs("Configuration", {k: str(v) for k, v in _configuration(record).items()}),
        _stretches(record),
        _figures(record),
        *_quality(record),
        *_about_estimate(record),
        _pairs("Environment", _environment(record)),
    ]
    if record.reconciliation:
        parts.append(side_by_side(record.reconciliation))
    if record.quality.sample:
        sample = Text(plain(record.quality.sample, 600))
        parts += [Text("An answer", style="bold"), Padding(sample, (0, 2))]
    parts.append(_flags(record))
    return Group(*parts)


def failure_view(failure: Failure, path: str) -> RenderableType:
    """Everything that one failure says."""
    shown = {
        "kind": failure.kind,
        "phase": failure.phase,
        "message": failure.message,
        "fix": failure.hint or NOTHING,
        "block, pass, attempt": f"{failure.block}, {failure.block_pass}, {failure.attempt}",
        "time": f"{failure.started_at} to {failure.ended_at}",
        "written by": failure.written_by,
        "arm": failure.arm_id,
        "folder": path,
    }
    parts: list[RenderableType] = [_pairs(f"Failed run {failure.run_id}", shown)]
    if failure.last_lines:
        parts.append(Text("Its last lines", style="bold"))
        parts += [Padding(Text(plain(line, 2000)), (0, 2)) for line in failure.last_lines]
    return Group(*parts)


def _configuration(record: Record) -> dict[str, object]:
    return {k: v for k, v in flat(record.experiment.model_dump()).items() if v is not None}


def _pairs(title: str, pairs: dict[str, str]) -> Table:
    table = Table(
        title=Text(plain(title)),
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=False,
        padding=(0, 2),
    )
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(Text(plain(name)), Text(plain(value, 1000)))
    return table


def _warm_up(record: Record) -> str:
    """How long it took, and how alike the throughputs of its last three windows were."""
    text = f"{record.warm_up_s:.1f} s"
    if record.warm_up is None:
        return text
    spread = record.warm_up.spread
    reached = "" if spread is None else f", the last three within {100 * spread:.2g} %"
    return f"{text}, {record.warm_up.windows} windows{reached}"


def _quality(record: Record) -> list[Table]:
    """Nothing where none was measured."""
    quality, accuracy = record.quality, record.quality.accuracy
    shown: dict[str, str] = {}
    if quality.nll_per_token is not None:
        shown["NLL per token"] = f"{quality.nll_per_token:.4f} over {quality.tokens} tokens"
    if accuracy is not None:
        low, high = 100 * accuracy.low, 100 * accuracy.high
        shown["accuracy"] = (
            f"{accuracy.correct} of {accuracy.questions} questions"
            f" ({100 * accuracy.value:.1f} %; 95 %: {low:.1f} to {high:.1f} %)"
        )
        if accuracy.scored_by is not None:
            others = ", ".join(f"{name} {value:.4g}" for name, value in accuracy.metrics.items())
            shown["answers"] = (
                f"given, by {accuracy.metric}; likelihoods by {accuracy.scored_by}: the questions'"
                " energy is of that, nothing was written"
            )
            shown["metrics"] = others
    if quality.agreement_sha256 is not None:
        shown["agreement"] = "its answers are in answers.json; `lem results compare` compares them"
    return [_pairs("Quality", shown)] if shown else []


def _stretches(record: Record) -> Table:
    table = _table("Energy, device by device (± U, k = 2)")
    table.padding = (0, 1, 0, 0)  # so that it fits into 80 columns
    table.add_column("Stretch", no_wrap=True)
    for name in ("Seconds", "Requests", "Tokens out"):
        table.add_column(name, justify="right", overflow="fold")
    # Nothing is cut off on a narrow terminal: what a figure is of, and its flags, belong to it.
    table.add_column("Device (meter)", overflow="fold", min_width=10)
    table.add_column("Energy (J)", justify="right", no_wrap=True)
    table.add_column("Flags", overflow="fold")
    for n, window in enumerate(record.windows):
        seconds = (window.end_ns - window.start_ns) / 1e9
        first = [f"window {n}", f"{seconds:.2f}", str(window.requests), str(window.output_tokens)]
        _rows(table, first, window.energy)
    for name, alone in (("prefill", record.prefill), ("questions", record.answering)):
        if alone is not None:
            seconds = (alone.end_ns - alone.start_ns) / 1e9
            first = [name, f"{seconds:.2f}", str(alone.requests), str(alone.output_tokens)]
            _rows(table, first, alone.energy)
    for n, idle in enumerate(record.idle):
        seconds = (idle.end_ns - idle.start_ns) / 1e9
        _rows(table, [f"idle {n}", f"{seconds:.2f}", "", ""], idle.energy)
    return table


def _rows(table: Table, first: list[str], energy: Iterable[EnergyReading]) -> None:
    readings = list(energy)
    if not readings:
        table.add_row(*first, "", NOTHING, "")
    for i, r in enumerate(readings):
        lead = first if i == 0 else [""] * len(first)
        table.add_row(
            *(Text(cell) for cell in lead),
            Text(plain(f"{r.device} ({r.meter})")),
            Text(_with_u(r.energy_j, r.uncertainty_j)),
            Text(plain(", ".join(r.flags))),
        )


def _figures(record: Record) -> Table:
    table = _table("Figures")
    table.add_column("Metric", overflow="fold")
    table.add_column("Of", no_wrap=True)
    table.add_column("Value", justify="right", no_wrap=True)
    table.add_column("Unit", no_wrap=True)
    for metric, part, value in metric_values(record):
        if not can_be_known(metric, part):
            continue
        unit = METRICS[metric].unit if metric in METRICS else ""
        cells = (metric, part, _with_u(value.value, value.uncertainty), unit)
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def _about_estimate(record: Record) -> Iterator[RenderableType]:
    if any(part == ESTIMATED for _, part, _ in metric_values(record)):
        text = "estimated: CPU time of the run's processes only; no idle power, memory or GPU"
        yield Padding(Text(text, style="dim"), (0, 0, 1, 0))


def _environment(record: Record) -> dict[str, str]:
    e = record.environment
    pairs = {
        "hardware": hardware(record),
        "memory": f"{e.memory_bytes / 2**30:.1f} GiB",
        "system": f"{e.os}, kernel {e.kernel}, Python {e.python}",
        "engine": f"{e.engine} {e.engine_version}",
        "launcher": e.launcher + (" (in a container)" if e.container else ""),
        "image": e.image_digest or NOTHING,
        "CPU governor": e.cpu_governor or NOTHING,
        "lem": e.lem_version,
    }
    if 0 < len(e.gpus) < len(e.device_set):
        pairs["GPUs used"] = f"{len(e.gpus)} of the block's {len(e.device_set)}"
    for gpu in e.gpus:
        limit = f", limit {gpu.power_limit_w:.0f} W" if gpu.power_limit_w else ""
        pairs[f"gpu{gpu.index}"] = f"{gpu.name}, driver {gpu.driver}{limit}"
    pairs |= {f"engine uses {k}": str(v) for k, v in e.engine_resolved.items()}
    return pairs | e.libraries


def _flags(record: Record) -> RenderableType:
    if not record.flags:
        return Text("No flags.", style="dim")
    table = _table("Flags")
    table.add_column("Flag", no_wrap=True)
    table.add_column("Meaning")
    table.add_column("Consequence", no_wrap=True)
    for name, meaning, consequence in _described(record.flags):
        table.add_row(Text(plain(name)), Text(meaning), Text(consequence))
    return table


def _described(flags: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for name in flags:
        flag = FLAGS.get(name)
        yield (name, flag.meaning, flag.consequence) if flag else (name, "unknown", "exclude")


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )


def _with_u(value: float | None, uncertainty: float | None) -> str:
    return NOTHING if value is None else with_uncertainty(value, uncertainty)
