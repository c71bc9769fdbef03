"""Writes what configs/container-overhead.yaml showed into docs/container-overhead.md.

    python scripts/container_overhead_table.py results/container-overhead              print it
    python scripts/container_overhead_table.py results/container-overhead docs/container-overhead.md

Everything comes from the folder of results; the page's part between the two marks is replaced.
"""

import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import lem
from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.results import Campaign, Results
from lem.contract.record import Record
from lem.errors import BadInput
from lem.meters.energy import foreign
from lem.meters.estimate import REACH_NS
from lem.meters.sampling import trace
from lem.stats import RatioEstimate
from lem.stores.counted import counted

BEGIN, END = "<!-- begin: what it showed -->", "<!-- end: what it showed -->"
SPEED = "output_throughput_tokens_per_s"
CPU_TIME = "cpu_time_per_output_token_s"


def main(folder: Path, page: Path | None) -> int:
    text = shown(lem.open(folder))
    if page is None:
        print(text)
        return 0
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{page} has no {BEGIN} … {END}", file=sys.stderr)
        return 2
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return 0


def shown(results: Results) -> str:
    """The part of the page: verdicts, tables, and what the runs were made on."""
    compared = [results.compare(), results.compare(metric=SPEED)]
    campaign = results.one()
    records = list(_counted(campaign))
    return "\n".join([*_verdicts(compared), "", *_costs(compared), "", *_around(records, compared)])


def _verdicts(compared: list[Comparison]) -> Iterator[str]:
    for comparison in compared:
        for sentence in comparison.sentences:
            yield f"> {sentence}"


def _costs(compared: list[Comparison]) -> Iterator[str]:
    yield "| | process | docker | docker ÷ process | 95 % interval | blocks |"
    yield "|---|---|---|---|---|---|"
    for comparison in compared:
        arms = {a.name: a for a in comparison.arms}
        base, docker = arms["process"], arms["docker"]
        for quantity in comparison.quantities:
            ratio = docker.ratios[quantity.key]
            inverse = quantity.metric == SPEED
            title = "Time per output token" if inverse else quantity.title
            means = [_ms(a, quantity.key, inverse) for a in (base, docker)]
            yield f"| {title} | {' | '.join(means)} | {_ratio(ratio, inverse)} | {ratio.n} |"


def _ms(arm: ArmResult, key: str, inverse: bool) -> str:
    mean = arm.figures[key].mean
    if inverse:
        return f"{1000 / mean:.2f} ms"
    return f"{1000 * mean:.2f} ms" if key == CPU_TIME else f"{mean:.4g} J"


def _ratio(ratio: RatioEstimate, inverse: bool) -> str:
    values = [ratio.ratio, ratio.low, ratio.high]
    if ratio.low is None or ratio.high is None:
        return f"{1 / ratio.ratio if inverse else ratio.ratio:.4f} | none: {ratio.reason}"
    if inverse:
        values = [1 / ratio.ratio, 1 / ratio.high, 1 / ratio.low]
    mean, low, high = values
    return f"{mean:.4f} | {low:.4f} to {high:.4f}"


def _around(records: list[tuple[Path, Record]], compared: list[Comparison]) -> Iterator[str]:
    starts, loads, walls, others = (defaultdict[str, list[float]](list) for _ in range(4))
    for folder, record in records:
        launcher = record.environment.launcher
        began = datetime.fromisoformat(record.started_at).timestamp()
        starts[launcher].append(began - (folder / "job.json").stat().st_mtime)
        loads[launcher].append(record.load_s)
        walls[launcher].append(datetime.fromisoformat(record.ended_at).timestamp() - began)
        others[launcher] += _others_cpus(folder, record)
    yield "What comes once a run, and is no part of the figures above (medians):"
    yield ""
    yield "| | process | docker |"
    yield "|---|---|---|"
    for title, values in (
        ("From the order to start until the agent reads its job", starts),
        ("Loading the model", loads),
        ("The run from then on, in all", walls),
    ):
        medians = [f"{statistics.median(values[name]):.2f} s" for name in ("process", "docker")]
        yield f"| {title} | {' | '.join(medians)} |"
    if all(others[name] for name in ("process", "docker")):
        yield ""
        yield (
            "Processors that other programs kept busy during the windows, the container's engine"
            f" among them: {_spread(others['process'])} beside the process,"
            f" {_spread(others['docker'])} beside the container."
        )
    yield ""
    some = records[0][1]
    e, decided = some.environment, compared[0].decision
    began, ended = (min(r.started_at for _, r in records), max(r.ended_at for _, r in records))
    yield (
        f"Measured from {_minute(began)} to {_minute(ended)} UTC on {e.cpu_model} ({e.cpu_count}"
        f" CPUs), {e.os}, Linux {e.kernel}; {some.experiment.backend} {e.engine_version},"
        f" Python {e.python}, lem {e.lem_version}."
    )
    if decided is not None:
        yield f"Blocks: {compared[0].blocks_done} of {decided.n}; {decided.reason}."
    for note in dict.fromkeys(n for c in compared for n in c.notes):
        yield f"Note: {note}."
    left = sorted(
        {f"{a.name}: {s.kind} in {s.blocks} blocks" for a in compared[0].arms for s in a.shortfalls}
    )
    yield f"Not counted: {'; '.join(left) if left else 'no run'}."


def _others_cpus(folder: Path, record: Record) -> Iterator[float]:
    """Mean number of processors busy for others in each window; nothing where the trace has no
    word of it."""
    try:
        samples = list(trace.read(folder / "trace.csv.gz"))
    except BadInput:
        return
    own = [s for s in samples if s.meter == "estimate"]
    sampler = [s for s in samples if s.meter == "sampler"]
    for window in record.windows:
        load = foreign.load(own, sampler, window.start_ns, window.end_ns, REACH_NS)
        if load is not None:
            yield load.foreign_s / ((window.end_ns - window.start_ns) / 1e9)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} (median; at most {max(values):.2f})"


def _minute(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M")


def _counted(campaign: Campaign) -> Iterator[tuple[Path, Record]]:
    counting = {o.path for o in counted(campaign.outcomes())}
    for entry in campaign.entries():
        if entry.record is not None and entry.outcome.path in counting:
            yield campaign.folder / entry.outcome.path, entry.record


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
