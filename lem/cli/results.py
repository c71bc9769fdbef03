"""``lem results``: list, show, compare and export what was measured."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lem.cli import charts
from lem.cli.choosing import DEFAULT, JSON, PATHS, name_one, open_campaigns
from lem.cli.output import emit, note, out, visible
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.analysis.comparison import Comparison
    from lem.analysis.results import Campaign
    from lem.contract.record import Record
    from lem.stores.index import Row

LIST_METRICS = ["energy_per_output_token_j", "cpu_time_per_output_token_s"]

_paths, _json = PATHS, JSON


@click.group()
def command() -> None:
    """List, show, compare, draw and export results.

    PATH is a campaign's folder or a folder of several (default: ./results).
    """


@command.command("list")
@_paths
@click.option("--limit", type=click.IntRange(1), default=100, help="Attempts to show at most.")
@_json
def list_(paths: tuple[Path, ...], limit: int, as_json: bool) -> None:
    """The campaigns below PATH; of a single campaign, its runs."""
    campaigns = open_campaigns(paths)
    if as_json:
        emit({"schema_version": 1, "campaigns": [_campaign_json(c) for c in campaigns]})
    elif len(campaigns) == 1:
        _print_attempts(campaigns[0], campaigns[0].rows(LIST_METRICS), limit)
    else:
        from lem.report.listing import campaigns_table

        _print(campaigns_table([_summary(c) for c in campaigns]))


@command.command()
@click.argument("what", metavar="WHAT [PATH]...", nargs=-1, required=True)
@click.option("--budget", is_flag=True, help="What the uncertainty of each figure is made of.")
@_json
def show(what: tuple[str, ...], budget: bool, as_json: bool) -> None:
    """One run in full, or the runs of an arm.

    WHAT is a record.json or its folder; an id of a run, an arm or an experiment (its beginning is
    enough); or an arm's name in the tables. PATH says where to look (default: ./results).
    """
    wanted, places = what[0], tuple(Path(w) for w in what[1:])
    given = Path(wanted)
    if given.exists() and not places:
        folder = given.parent if given.is_file() else given
        if len(folder.parts) >= 4 and folder.resolve().parents[2].name == "blocks":
            resolved = folder.resolve()
            root = resolved.parents[3]
            (campaign,) = open_campaigns((root,))
            _show_run(campaign, str(resolved.relative_to(root)), as_json, budget)
            return
        campaigns = open_campaigns((given,))
        if budget:
            _budget_of_one()
        _show_campaigns(campaigns, as_json)
        return
    _show_matches(wanted, open_campaigns(places), as_json, budget)


@command.command()
@_paths
@click.option("--baseline", help="The arm to compare with: name, id, or path=value[,path=value].")
@click.option("--metric", help="What to compare (default: energy per output token).")
@click.option("--hardware", help="Only the runs made on this hardware.")
@click.option(
    "--margin",
    help="Within this (such as 2%) two arms count as the same (default: the campaign's, or 2%).",
)
@click.option(
    "--quality-margin",
    help="How much quality (such as 2%: of NLL; points of accuracy) an arm may lose and still count"
    " as better (default: the campaign's, or 2%).",
)
@click.option("--ignore-quality", is_flag=True, help="Call an arm better whatever its answers are.")
@click.option(
    "--gate-quality",
    is_flag=True,
    help="With --gate: exit 1 also if an arm is shown to lose more quality than the margin.",
)
@click.option(
    "--gate",
    help="Exit 1 if an arm is worse than the baseline by more than this (such as 5%) with 95 %"
    " confidence, jointly over all arms and device classes. Where the blocks cannot tell, the gate"
    " passes and a note says so.",
)
@_json
def compare(
    paths: tuple[Path, ...],
    baseline: str | None,
    metric: str | None,
    hardware: str | None,
    margin: str | None,
    quality_margin: str | None,
    ignore_quality: bool,
    gate_quality: bool,
    gate: str | None,
    as_json: bool,
) -> None:
    """Every arm beside the baseline: ratios with joint 95 % intervals, speed and quality."""
    limit = None if gate is None else _percentage(gate, "--gate", most=10)
    same = None if margin is None else _percentage(margin, "--margin", most=1)
    if same is not None and not 0 < same < 1:
        raise BadInput("--margin must be above 0 % and below 100 %")
    loss = None if quality_margin is None else _percentage(quality_margin, "--quality-margin", 1)
    if loss is not None and not 0 < loss < 1:
        raise BadInput("--quality-margin must be above 0 % and below 100 %")
    if gate_quality and (limit is None or ignore_quality):
        raise BadInput("--gate-quality goes with --gate, and not with --ignore-quality")
    campaigns = open_campaigns(paths)
    if as_json and len(campaigns) > 1:
        name_one(campaigns)
    problems: list[BadInput] = []
    failed = False
    for campaign in campaigns:
        try:
            # A gate is one test: its confidence is that of all device classes together.
            comparison = campaign.compare(
                baseline, metric, hardware, same, limit is not None, loss, ignore_quality
            )
        except BadInput as e:
            if len(campaigns) == 1:
                raise
            problems.append(e)
            note(f"{campaign.folder}: {e}")
            continue
        failed = _report(campaign, comparison, limit, gate_quality, as_json) or failed
    if len(problems) == len(campaigns):
        raise BadInput([p for e in problems for p in e.problems])
    if failed:
        click.get_current_context().exit(1)


@command.command()
@_paths
@click.option(
    "--format", "kind", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout."
)
@_json
def export(paths: tuple[Path, ...], kind: str, output: Path | None, as_json: bool) -> None:
    """The records: whole documents (jsonl), or one flat row a run (csv).

    csv has a column ``counted``; text that a spreadsheet would run as a formula gets a leading '.
    """
    from lem.analysis.results import Results
    from lem.contract.base import write_atomic
    from lem.report.export import csv_text, jsonl_lines

    if as_json and output is None:
        if kind == "csv":
            raise BadInput("--json and --format csv both want stdout", hint="add -o FILE")
        as_json = False
    results = Results(Path(DEFAULT), open_campaigns(paths))
    lines = jsonl_lines(results.records()) if kind == "jsonl" else csv_text(results.table())
    if output is None:
        for line in lines:
            sys.stdout.write(visible(line) if sys.stdout.isatty() else line)
        return
    text = list(lines)
    try:
        write_atomic(output, "".join(text).encode())
    except OSError as e:
        raise BadInput(f"{output} cannot be written: {e.strerror}") from e
    rows = len(text) - (kind == "csv" and len(text) > 0)
    if as_json:
        emit({"schema_version": 1, "format": kind, "file": str(output), "records": rows})
    else:
        note(f"{rows} records written to {output}")


for _chart in charts.COMMANDS:
    command.add_command(_chart)


def _print(renderable: Any) -> None:
    """To stdout, laid out for its width also where that is not a terminal."""
    out().print(renderable, soft_wrap=False)


def _percentage(text: str, option: str, most: float) -> float:
    """``5%`` → 0.05, up to ``most``."""
    try:
        number = float(text.strip().removesuffix("%").strip())
    except ValueError:
        number = -1.0
    has_sign = text.strip().endswith("%")
    if not has_sign or not 0 <= number / 100 <= most:
        # 0.02 was meant as a share, as campaign files have it; 2 as per cent.
        meant = number * 100 if 0 < number < 1 else number
        shown = f"{meant:g}%" if not has_sign and 0 < meant <= 100 * most else "5%"
        raise BadInput(
            f"{option} {text!r} is not a percentage", hint=f"write it as {option} {shown}"
        )
    return number / 100


def _report(
    campaign: "Campaign",
    comparison: "Comparison",
    limit: float | None,
    with_quality: bool,
    as_json: bool,
) -> bool:
    """Print one comparison; whether its gate failed."""
    from lem.analysis.comparison import QUALITY, gate

    held = [] if limit is None else gate(comparison, limit, with_quality)
    failed = [h for h in held if h.outcome == "fail"]
    if as_json:
        document = {**comparison.to_json(), "folder": str(campaign.folder)}
        if limit is not None:
            document["gate"] = {
                "limit": limit,
                "failed": bool(failed),
                "results": [vars(h) for h in held],
            }
        emit(document)
    else:
        from lem.report.table import render

        render(comparison, out(), campaign.folder)
    nouns = {QUALITY: "quality", **{q.key: q.noun for q in comparison.quantities}}
    for h in held:
        what = f"{h.name} in {nouns[h.quantity]}"
        most = comparison.quality_margin if h.quantity == QUALITY else limit or 0
        if h.outcome == "fail":
            note(f"gate: {what} is worse by more than {100 * most:g} %: {h.reason}")
        elif h.outcome == "cannot_tell":
            note(f"gate: can't tell for {what}: {h.reason}")
    if limit is not None and not with_quality:
        for arm in comparison.arms:
            if arm.quality is not None and arm.quality.standing == "lost":
                note(f"gate: {arm.name} loses quality, which only --gate-quality holds against it")
    if limit is not None and not failed:
        note("gate: no arm is shown to be worse by more than the limit")
    return bool(failed)


def _summary(campaign: "Campaign") -> dict[str, Any]:
    from lem.analysis.blocks import decide
    from lem.stores.counted import counted

    outcomes = campaign.outcomes()
    counting = counted(outcomes)
    planned = decide(campaign.lock, outcomes).n if campaign.lock else None
    done = len({o.block for o in counting})
    return {
        "name": campaign.name,
        "folder": str(campaign.folder),
        "arms": len(campaign.lock.arms) if campaign.lock else len({o.arm_id for o in outcomes}),
        "blocks": f"{done} of {planned}" if planned and done < planned else str(done),
        "counted": len(counting),
        "failed": sum(o.kind == "failure" for o in outcomes),
        "last_run": max((o.ended_at for o in outcomes), default=""),
    }


def _campaign_json(campaign: "Campaign") -> dict[str, Any]:
    rows = campaign.rows(LIST_METRICS)
    return {**_summary(campaign), "attempts": _attempts_json(campaign, rows)}


def _attempts_json(campaign: "Campaign", rows: "list[Row]") -> list[dict[str, Any]]:
    from lem.analysis.standing import standing

    standings = standing(campaign.rows([]))
    return [
        {
            **{k: v for k, v in r.outcome._asdict().items() if k != "costs"},
            "run_id": r.run_id,
            "experiment_id": r.experiment_id,
            "stands": standings[r.outcome.path],
            "flags": list(r.flags),
            "metrics": {
                m: {p or "value": v._asdict() for p, v in parts.items()}
                for m, parts in r.metrics.items()
            },
        }
        for r in rows
    ]


def _print_attempts(campaign: "Campaign", rows: "list[Row]", limit: int) -> None:
    from lem.analysis.naming import readable_names
    from lem.analysis.standing import standing
    from lem.report.listing import attempts_table
    from lem.report.text import plain

    standings = standing(campaign.rows([]))
    rows = sorted(rows, key=lambda r: (r.outcome.block, r.outcome.started_at or "~"))
    _print(visible(f"{plain(campaign.name)} ({campaign.folder})"))
    _print(attempts_table(rows[-limit:], readable_names(campaign.arms()), standings))
    if len(rows) > limit:
        note(f"the last {limit} of {len(rows)} attempts; --limit {len(rows)} shows all")


def _show_campaigns(campaigns: "list[Campaign]", as_json: bool) -> None:
    if as_json:
        emit({"schema_version": 1, "campaigns": [_campaign_json(c) for c in campaigns]})
        return
    for campaign in campaigns:
        _print_attempts(campaign, campaign.rows(LIST_METRICS), 100)


def _budget_of_one() -> None:
    raise BadInput(
        "--budget is of one run",
        hint="name a run's id or its folder; `lem results list PATH` shows them",
    )


def _show_matches(wanted: str, campaigns: "list[Campaign]", as_json: bool, budget: bool) -> None:
    found = []
    for campaign in campaigns:
        rows = campaign.rows(LIST_METRICS)
        exact = [r for r in rows if r.run_id == wanted]
        ids = [
            r
            for r in rows
            if len(wanted) >= 4
            and any(
                i.startswith(wanted) for i in (r.run_id, r.outcome.arm_id, r.experiment_id) if i
            )
        ]
        named = (
            [] if exact or ids else [r for r in rows if r.outcome.arm_id == _arm(campaign, wanted)]
        )
        if exact or ids or named:
            found.append((campaign, exact or ids or named))
    if not found:
        if "/" in wanted:
            raise BadInput(
                f"{wanted} is not there",
                hint="`lem results list PATH` shows the runs; `show` takes their ids",
            )
        raise BadInput(
            f"no run, arm or experiment goes by {wanted!r}",
            hint="`lem results list PATH` shows the runs' ids (4 characters are enough) and the "
            "arms' names",
        )
    if len(found) == 1 and len(found[0][1]) == 1:
        campaign, (row,) = found[0]
        _show_run(campaign, row.outcome.path, as_json, budget)
    elif budget:
        _budget_of_one()
    elif as_json:
        attempts = [a for c, rows in found for a in _attempts_json(c, rows)]
        emit({"schema_version": 1, "attempts": attempts})
    else:
        for campaign, rows in found:
            _print_attempts(campaign, rows, 100)


def _arm(campaign: "Campaign", wanted: str) -> str | None:
    """The id of the arm that ``compare`` would know by this name, if it is one."""
    from lem.analysis.naming import find_arm

    try:
        return find_arm(campaign.arms(), wanted).arm_id
    except BadInput:
        return None


def _show_run(campaign: "Campaign", path: str, as_json: bool, budget: bool) -> None:
    from lem.analysis.standing import standing
    from lem.report.record import failure_view, record_view

    try:
        entry = campaign.entry(path)
    except KeyError:
        raise BadInput(f"{campaign.folder} has no attempt {path}") from None
    document = entry.record or entry.failure
    if document is None:
        raise BadInput(
            entry.problem or f"{path} was not finished: it has neither record nor failure",
            hint="`lem campaign run` makes that run again",
        )
    if budget:
        _show_budget(entry.record, as_json)
    elif as_json:
        emit(document.model_dump(mode="json"))
    elif entry.failure is not None:
        _print(failure_view(entry.failure, path))
    elif entry.record is not None:
        stands = standing(campaign.rows([]))[path]
        _print(record_view(entry.record, stands, path))


def _show_budget(record: "Record | None", as_json: bool) -> None:
    from lem.cli.budget import metrics, readings
    from lem.report.budget import budgets_view

    if record is None:
        raise BadInput("a run that failed has no figures, so it has no budget")
    of_readings, of_metrics = list(readings(record)), list(metrics(record))
    if as_json:
        emit(
            {
                "schema_version": 1,
                "run_id": record.run_id,
                "readings": [b.to_json() for b in of_readings],
                "metrics": [b.to_json() for b in of_metrics],
            }
        )
    else:
        _print(budgets_view(record.run_id, of_readings, of_metrics))
