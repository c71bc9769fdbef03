"""``lem runner``: this machine runs campaigns that people queue at a server."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from lem.cli import output
from lem.cli.push import PLAIN_HTTP
from lem.errors import BadInput, EnvironmentFault

TOKEN, TOKEN_FILE = "LEM_RUNNER_TOKEN", "LEM_RUNNER_TOKEN_FILE"
MAX_TOKEN = 4096


@click.group(invoke_without_command=True)
@click.option("--server", metavar="URL", envvar="LEM_SERVER", help="The server.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="A runner's token. Everybody on this machine can read a command line: rather give it in "
    f"--token-file, {TOKEN} or {TOKEN_FILE}.",
)
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="LEM_RUNNER_POLICY",
    help="What may be run here (lem runner policy writes one).  [default: what is safe]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="LEM_RUNNER_DATA",
    help="Folder for campaigns and models.  [default: ~/.local/state/lem/runner]",
)
@click.option(
    "--name",
    default="",
    envvar="LEM_RUNNER_NAME",
    help="What it is called in public.  [default: by its id]",
)
@click.option("--launcher", default="auto", show_default=True, help="auto, docker, process.")
@click.option("--once", is_flag=True, help="Run one campaign, then end.")
@PLAIN_HTTP
@click.pass_context
def command(
    ctx: click.Context,
    server: str | None,
    token: str | None,
    token_file: Path | None,
    policy: Path | None,
    data: Path | None,
    name: str,
    launcher: str,
    once: bool,
    plain_http: bool,
) -> None:
    """Run campaigns that people queue at a server, one after another.

    What is run is for you to say: a policy holds every campaign to models, engines, settings,
    hours, time and energy that you allow. Results are signed with this machine's key and submitted
    block by block. Ctrl-C ends the campaign that is running in order and gives it back; a second
    one kills it.
    """
    if ctx.invoked_subcommand is not None:
        return
    from lem.runner.home import Home
    from lem.runner.loop import Runner, Setting
    from lem.runner.policy import Policy, load
    from lem.submit.push import server_of

    allowed = Policy() if policy is None else load(policy)
    chosen = launcher_of(launcher, allowed.launchers)
    if token is not None:
        output.note(
            "note: a token on the command line can be read by everybody on this machine; "
            "--token-file names a file with it"
        )
    setting = Setting(
        url=server_of(server),
        token=token_of(token, token_file, os.environ),
        plain_http=plain_http,
        name=name,
        launcher=chosen,
        policy=allowed,
        home=Home(data),
        once=once,
        environ=dict(os.environ),
    )
    if policy is None:
        output.note("no --policy: what is safe is run, by the defaults of `lem runner policy`")
    sys.exit(Runner(setting, output.note).run())


@command.command(name="policy")
def policy_command() -> None:
    """Print a policy with all its defaults, to be changed: lem runner policy > policy.yaml."""
    from lem.runner.policy import EXAMPLE

    click.echo(EXAMPLE, nl=False)


def token_of(given: str | None, file: Path | None, environ: Mapping[str, str]) -> str:
    """The runner's token, from the option, a file or the environment."""
    if given is not None and file is not None:
        raise BadInput("--token and --token-file say the same thing twice; keep one of them")
    named = file or (Path(environ[TOKEN_FILE]) if environ.get(TOKEN_FILE) else None)
    text = given if given is not None else None
    if text is None and file is None:
        text = environ.get(TOKEN) or None
    if text is None and named is not None:
        try:
            with named.open(encoding="utf-8") as f:
                text = f.read(MAX_TOKEN + 2)
        except (OSError, UnicodeDecodeError) as e:
            raise BadInput(f"{named} cannot be read, or is no text") from e
    if text is None:
        raise BadInput(
            "a runner needs a token",
            hint=f"ask the server's operator; then --token-file or {TOKEN}",
        )
    text = text.strip()
    if not text or len(text) > MAX_TOKEN or not text.isascii() or not text.isprintable():
        raise BadInput("the runner's token is not one line of plain characters")
    return text


def launcher_of(given: str, allowed: list[str]) -> str:
    """The launcher's name. ``auto`` is docker; without it nothing is run that the policy does not
    name, for a process is not shut in."""
    from lem import plugins
    from lem.campaign import automatic_launcher

    if given == "auto":
        chosen = automatic_launcher(output.note)
        if chosen == "docker" or chosen in allowed:
            return chosen
        raise EnvironmentFault(
            "campaigns of strangers are run in containers, and there is no Docker here",
            hint="install Docker; or say --launcher process, where engines and models may do "
            "whatever you may do on this machine",
        )
    if given not in plugins.names("launchers"):
        known = ", ".join(plugins.names("launchers"))
        raise BadInput(f"--launcher: there is no {given!r}; there are: {known}")
    return given
