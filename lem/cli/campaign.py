"""``lem campaign``: write, check, plan, stage, run and follow campaigns."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lem.cli.output import emit, note, out
from lem.errors import BadInput, Interrupted

if TYPE_CHECKING:
    from lem.analysis.comparison import Comparison
    from lem.campaign import Campaign

FILE = click.argument("file", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="machine-readable, on stdout")
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder for the results (default: results/<name>)",
)
LAUNCHER = click.option(
    "--launcher", metavar="L", help="how to start the agent: docker, process, slurm, …"
)
BLOCKS = click.option("--blocks", type=click.IntRange(min=1), help="how many blocks to run")
PRESET = click.option(
    "--preset",
    type=click.Choice(["quick", "standard", "publication"]),
    help="measurement preset instead of the file's",
)


FOLLOW_S, FOLLOW_CLUSTER_S = 2.0, 10.0
"""How often `status --follow` looks."""


@click.group()
def command() -> None:
    """Write, check, plan and run campaigns."""


def _complete_example(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    from lem.config.example import shipped_names

    return [name for name in shipped_names() if name.startswith(begun)]


@command.command(short_help="Write a commented campaign file.")
@click.argument("file", type=click.Path(path_type=Path), default="campaign.yaml")
@click.option(
    "--example",
    metavar="NAME",
    help="begin with a shipped example: accuracy, commented, quantisation, quickstart, …",
    shell_complete=_complete_example,
)
@click.option("--model", metavar="ID", help="hub id, local folder or GGUF file")
@click.option(
    "--backend", "backends", metavar="NAME", multiple=True, help="an engine; may be repeated"
)
@click.option(
    "--sweep", "sweeps", multiple=True, metavar="PATH=A,B,C", help="what to vary; may be repeated"
)
@click.option("--force", is_flag=True, help="overwrite FILE")
def init(
    file: Path,
    example: str | None,
    model: str | None,
    backends: tuple[str, ...],
    sweeps: tuple[str, ...],
    force: bool,
) -> None:
    """Write a commented campaign to FILE (default: campaign.yaml; - for stdout)."""
    from lem.config import parse
    from lem.config.example import DEFAULT_BACKENDS, companions, shipped
    from lem.config.example import example as generate

    if example is not None:
        if model or backends or sweeps:
            raise BadInput("--example comes as it is; leave out --model, --backend and --sweep")
        text = shipped(example)
        beside = companions(example)
    else:
        beside = {}
        swept = dict(_sweep(s) for s in sweeps) or None
        text = generate(model, backends or DEFAULT_BACKENDS, swept)
        parse(text, str(file))
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    if file.is_dir():
        raise BadInput(f"{file} is a folder", hint=f"name a file: {file / 'campaign.yaml'}")
    for path, content in {
        **{file.with_name(name): content for name, content in beside.items()},
        file: text,
    }.items():
        try:
            with path.open("w" if force else "x") as f:
                f.write(content)
        except FileExistsError:
            if path != file and _holds(path, content):
                continue
            raise BadInput(f"{path} is there already", hint="use --force to overwrite it") from None
        except OSError as e:
            raise BadInput(f"{path} cannot be written: {e.strerror}") from e
    note(f"wrote {file}; next: lem campaign run {file}")


def _holds(path: Path, content: str) -> bool:
    """Whether a file is what would be written there."""
    try:
        return path.read_text(encoding="utf-8") == content
    except (OSError, UnicodeError):
        return False


def _sweep(text: str) -> tuple[str, list[Any]]:
    path, sign, values = text.partition("=")
    if not sign or not path or not values:
        raise BadInput(f"--sweep {text!r} is not of the form PATH=A,B,C")
    from lem.config import scalar

    return path, [scalar(v.strip()) for v in values.split(",")]


@command.command()
@FILE
@click.option("--deep", is_flag=True, help="let each engine check its arguments in its own image")
@JSON
@LAUNCHER
def validate(file: Path, deep: bool, as_json: bool, launcher: str | None) -> None:
    """Show the problems of FILE, each with its line."""
    from lem.config import check_available, check_files, load

    if not deep:
        try:
            found = load(file)
            check_available(found)
            check_files(found)
        except BadInput as e:
            if as_json:
                emit({"valid": False, "problems": [vars(p) for p in e.problems]})
                sys.exit(e.exit_code)
            raise
        if as_json:
            emit({"valid": True, "problems": [], "experiments": len(found.drafts)})
        else:
            more = " to begin with; what is measured chooses more" if found.candidates else ""
            click.echo(f"{file}: valid, {_count(len(found.drafts), 'experiment')}{more}")
        return
    from lem.campaign import Campaign
    from lem.campaign.deep import rejections

    campaign = Campaign.load(file, launcher=launcher)
    problems = rejections(campaign, note)
    if as_json:
        emit({"valid": not problems, "problems": [vars(p) for p in problems]})
        sys.exit(2 if problems else 0)
    if problems:
        raise BadInput(problems)
    click.echo(f"{file}: valid, and every engine accepts its arguments")


@command.command(short_help="Show what would run, what is done, and time and energy to come.")
@FILE
@OUT
@LAUNCHER
@BLOCKS
@PRESET
@click.option("--nodes", type=click.IntRange(1, 100_000), help="with so many nodes of a cluster")
@JSON
def plan(file: Path, nodes: int | None, as_json: bool, **options: Any) -> None:
    """Show experiments, blocks, what is done, and the time and energy still to come."""
    from lem.campaign import Campaign

    _show_plan(Campaign.load(file, **options), as_json, nodes)


def _show_plan(campaign: "Campaign", as_json: bool, nodes: int | None = None) -> None:
    from lem.cli.finishing import expected_of
    from lem.cli.plan_view import plan_json, plan_table

    overview = campaign.plan()
    expected = expected_of(campaign, overview, nodes)
    if as_json:
        emit(plan_json(overview, expected, campaign.folder))
    else:
        out().print(plan_table(overview, expected, campaign.folder))


@command.command(short_help="Fetch and build what `run` needs, so that it needs no network.")
@FILE
@OUT
@LAUNCHER
@JSON
def stage(file: Path, as_json: bool, **options: Any) -> None:
    """Fetch models, build images and make request lists, so that `run` needs no network."""
    from lem.campaign import Campaign

    campaign = Campaign.load(file, **options)
    staging = campaign.stage(note)
    if as_json:
        emit(
            {
                "experiments": len(campaign.file.drafts),
                "backends": {
                    n: {"engine_version": p.described.engine_version, "image": p.image}
                    for n, p in staging.backends.items()
                },
                "requests": sorted({r.requests.sha256 for r in staging.ready}),
            }
        )
    else:
        click.echo(
            f"staged: {_count(len(campaign.file.drafts), 'experiment')}; `run` needs no network"
        )


@command.command()
@FILE
@OUT
@LAUNCHER
@BLOCKS
@PRESET
@click.option("--dry-run", is_flag=True, help="show the plan, run nothing")
@click.option("--retry-failed", is_flag=True, help="try failed experiments again")
@click.option("--strict", is_flag=True, help="exit 1 also for a missed precision target")
@click.option("--detach", is_flag=True, help="on a cluster: submit, and come back at once")
@click.option("--web", is_flag=True, help="show it in the browser while it runs, on this machine")
@click.option("--web-port", type=click.IntRange(0, 65535), help="port for --web (default: any)")
@JSON
def run(
    file: Path,
    dry_run: bool,
    retry_failed: bool,
    strict: bool,
    detach: bool,
    web: bool,
    web_port: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run what is missing; running it again resumes."""
    from lem.campaign import Campaign
    from lem.cli.clusters import on_cluster
    from lem.cli.finishing import again, announce, finish
    from lem.cli.progress import progress
    from lem.cli.submitting import Submitting, ask, wanted
    from lem.cli.web import watched

    campaign = Campaign.load(file, **options)
    if dry_run:
        _show_plan(campaign, as_json)
        return
    submit = wanted(campaign)
    before = len(campaign.outcomes())
    if detach and campaign.cluster is None:
        raise BadInput(
            "--detach: only what a cluster runs goes on by itself (launcher: slurm or kubernetes)"
        )
    announce(campaign)
    try:
        if campaign.cluster is not None:
            if web or web_port is not None:
                raise BadInput("--web shows runs of this machine; use lem campaign status --follow")
            overview, over = on_cluster(campaign, retry_failed, detach)
            if not over:
                return
            code = finish(campaign, overview, len(overview.outcomes) == before, as_json, strict)
            if submit != "never":
                note(f"to send the results to an archive: lem results push {campaign.folder}")
            sys.exit(code)
        with (
            progress(campaign, show_provisional=not as_json) as progressed,
            watched(campaign, web or web_port is not None, web_port, progressed) as (
                on_moment,
                commentary_s,
            ),
        ):
            submitting = Submitting(campaign.folder, on_moment)
            overview = campaign.run(
                submitting if submit == "always" else on_moment,
                note,
                retry_failed=retry_failed,
                commentary_s=commentary_s,
            )
    except Interrupted as e:
        if campaign.cluster is not None:
            note(f"{e.message}; what is done is kept. Go on with: {again()}")
            sys.exit(130)
        note(f"interrupted; what is done is kept. Go on with: {again()}")
        sys.exit(130)
    nothing_new = len(overview.outcomes) == before
    code = finish(campaign, overview, nothing_new, as_json, strict)
    if submit == "always":
        submitting.finish()
    elif submit == "ask" and not nothing_new:
        ask(campaign.folder)
    sys.exit(code)


@command.command(short_help="Print the job that would be submitted to a cluster.")
@FILE
@OUT
@LAUNCHER
@BLOCKS
@PRESET
@click.option(
    "--format",
    "form",
    type=click.Choice(["sbatch", "k8s", "compose"]),
    help="for Slurm, Kubernetes or Docker; by default as the file's launcher says",
)
def render(file: Path, form: str | None, **options: Any) -> None:
    """Print the job of the blocks that are missing, to be read, changed and submitted by hand."""
    from lem.campaign import Campaign
    from lem.cli.clusters import render as rendered

    kinds = {"sbatch": "slurm", "k8s": "kubernetes", "compose": "docker"}
    options["launcher"] = options["launcher"] or kinds.get(form or "")
    if form == "compose":
        from lem.campaign.composed import rendered as composed

        click.echo(composed(Campaign.load(file, **options), note), nl=False)
        return
    click.echo(rendered(Campaign.load(file, **options)), nl=False)


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@OUT
@click.option("--follow", is_flag=True, help="keep watching until it is done")
@JSON
def status(path: Path, out: Path | None, follow: bool, as_json: bool) -> None:
    """Show how far a campaign is. PATH: the campaign file or its folder."""
    from lem.campaign import Campaign
    from lem.cli.clusters import tasks_of, telling
    from lem.cli.plan_view import skipped_arms, status_line, summary

    campaign = Campaign.load(path, out)
    overview = campaign.plan(glance=True)
    _tell_left()
    tasks, jobs = tasks_of(campaign)
    if follow:
        with telling() as tell:
            while overview.plan.runs or overview.to_choose:
                line = status_line(overview, campaign.folder)
                tell(f"{line}; {jobs}" if jobs else line, jobs or line)
                time.sleep(FOLLOW_S if campaign.cluster is None else FOLLOW_CLUSTER_S)
                tasks, jobs = tasks_of(campaign)
                overview = campaign.plan(glance=True)
    comparison = _comparison(campaign) if overview.lock.precision is not None else None
    if as_json:
        reached = comparison and {q.key: comparison.reached(q) for q in comparison.quantities}
        emit(
            summary(overview, campaign.folder, False)
            | {"precision_reached": reached, "jobs": [t._asdict() for t in tasks]}
        )
        return
    click.echo(status_line(overview, campaign.folder))
    if jobs and (overview.plan.runs or overview.to_choose):
        click.echo(jobs)
    for line in skipped_arms(overview):
        click.echo(line)
    if comparison is not None:
        from lem.report.footnotes import about_precision

        for line in about_precision(comparison):
            click.echo(line)


def _tell_left() -> None:
    """What a killed run left set on a board of this machine."""
    from lem import boards

    for found in boards.left():
        if found.in_use is False and found.same_boot:
            note(f"left by a run that was killed: {found.words}; `lem doctor --restore` undoes it")


def _comparison(campaign: "Campaign") -> "Comparison | None":
    from lem.analysis.results import is_campaign, open_results

    try:
        return open_results(campaign.folder).compare() if is_campaign(campaign.folder) else None
    except BadInput:
        return None


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
