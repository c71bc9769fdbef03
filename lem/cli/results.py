"""``lem results``: list, show, compare, draw, report, export and submit what was measured."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lem.cli import charts
from lem.cli.choosing import DEFAULT, JSON, PATHS, name_one, open_campaigns
from lem.cli.listing import (
    LIST_METRICS,
    campaign_json,
    print_attempts,
    print_whole,
    refuse_budget,
    show_campaigns,
    show_matches,
    show_run,
    summary,
)
from lem.cli.output import emit, note, out, visible
from lem.cli.push import push, retract
from lem.cli.report import report
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.analysis.comparison import Comparison
    from lem.analysis.results import Campaign

_paths, _json = PATHS, JSON


@click.group()
def command() -> None:
    """List, show, compare, draw, export and submit results.

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
        emit({"schema_version": 1, "campaigns": [campaign_json(c) for c in campaigns]})
    elif len(campaigns) == 1:
        print_attempts(campaigns[0], campaigns[0].rows(LIST_METRICS), limit)
    else:
        from lem.report.listing import campaigns_table

        print_whole(campaigns_table([summary(c) for c in campaigns]))


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
            show_run(campaign, str(resolved.relative_to(root)), as_json, budget)
            return
        campaigns = open_campaigns((given,))
        if budget:
            refuse_budget()
        show_campaigns(campaigns, as_json)
        return
    show_matches(wanted, open_campaigns(places), as_json, budget)


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
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv", "parquet", "boamps"]),
    default="jsonl",
    show_default=True,
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: stdout."
)
@_json
def export(paths: tuple[Path, ...], kind: str, output: Path | None, as_json: bool) -> None:
    """The records: whole documents (jsonl), one flat row a run (csv, parquet), or one BoAmps report
    a line of each run that has energy (boamps).

    csv and parquet have a column ``counted``; in csv, text that a spreadsheet would run as a
    formula gets a leading '.
    """
    from lem.analysis.results import Results
    from lem.cli.exporting import chunks_of
    from lem.contract.base import write_atomic

    if as_json and output is None:
        if kind in ("csv", "parquet"):
            raise BadInput(f"--json and --format {kind} both want stdout", hint="add -o FILE")
        as_json = False
    if kind == "parquet" and output is None and sys.stdout.isatty():
        raise BadInput("a Parquet file is nothing for a terminal", hint="add -o FILE")
    chunks = chunks_of(Results(Path(DEFAULT), open_campaigns(paths)), kind)
    if output is None:
        for chunk in chunks:
            if sys.stdout.isatty():
                sys.stdout.write(visible(chunk.data.decode()))
            else:
                sys.stdout.buffer.write(chunk.data)
        sys.stdout.flush()
        return
    kept = list(chunks)
    try:
        write_atomic(output, b"".join(c.data for c in kept))
    except OSError as e:
        raise BadInput(f"{output} cannot be written: {e.strerror}") from e
    rows = sum(c.records for c in kept)
    if as_json:
        emit({"schema_version": 1, "format": kind, "file": str(output), "records": rows})
    else:
        note(f"{rows} records written to {output}")


for _other in (*charts.COMMANDS, report, push, retract):
    command.add_command(_other)


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
