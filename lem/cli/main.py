"""``lem``: one group of commands a file, each imported only when it is used."""

import importlib
import os
import sys
from typing import Any

import click

from lem import __version__
from lem.errors import EnvironmentFault, LemError

GROUPS = {
    "archive": "the archive of a server as data: export, import, verify; its keys and tokens",
    "campaign": "write, check, plan and run campaigns",
    "doctor": "what works on this machine and what doesn't, each with its fix",
    "images": "build and list the engine images",
    "key": "this machine's key, with which results are submitted",
    "log": "verify the public log of a server's archive",
    "meter": "the energy meters of this machine",
    "results": "list, show, compare, export and submit results",
    "runner": "run campaigns that people queue at a server",
    "serve": "an archive of records over HTTP",
}
"""Name → one line of help, here so that ``lem --help`` imports none of them."""


class Lazy(click.Group):
    """A group whose members are the attribute ``command`` of ``lem.cli.<name>``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return None
        command: click.Command = importlib.import_module(f"lem.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(GROUPS.items()))


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lem")
def cli() -> None:
    """Measure what LLM inference costs in energy, with its uncertainty, and show how much of it
    is an implementation choice."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; every expected error ends in one place, without a traceback."""
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as e:
        code = _no_output(e, code)
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    stdout = sys.stdout
    try:
        code = cli.main(args=arguments, standalone_mode=False)
    except SystemExit as e:
        # click puts another stdout in place, and ends, where the reader of our output (head, less)
        # has gone: no error of ours.
        code = e.code if sys.stdout is stdout else 0
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as e:
        e.show(sys.stderr)
        code = 2
    except LemError as e:
        from lem.cli.output import complaint, visible

        print(visible(complaint(e)), file=sys.stderr)
        code = e.exit_code
    except KeyboardInterrupt:
        code = 130
    except OSError as e:
        code = _no_output(e, 3) if e.filename is None else _complain(f"{e.filename}: {e.strerror}")
    return code if isinstance(code, int) else 0


def _complain(message: str) -> int:
    from lem.cli.output import visible

    print(f"lem: {visible(message)}", file=sys.stderr)
    return EnvironmentFault.exit_code


def _no_output(error: OSError, code: int) -> int:
    """What could not be written is let go, so that nothing tries again at the very end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return code
    return _complain(f"output cannot be written: {error.strerror}")


if __name__ == "__main__":
    main()
