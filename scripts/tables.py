"""Writes the tables that the docs take from the code: `tables.py FILE…`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from lem.cli.main import cli
from lem.contract.base import Document
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.contract.schema import documents

CONSEQUENCES = {
    "info": "shown",
    "exclude": "the run is shown, but no estimate uses it",
    "void": "the block is repeated",
}
SHAPES = {
    "by_class": "one value for each device class",
    "value": "one value",
    "distribution": "n, mean, p50, p90, p99",
}
REGION = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    return {
        "flags": markdown(
            ("Flag", "Meaning", "Consequence"),
            ((f"`{f.name}`", f.meaning, CONSEQUENCES[f.consequence]) for f in FLAGS.values()),
        ),
        "metrics": markdown(
            ("Metric", "Unit", "Meaning", "Shape", "Better"),
            (
                (f"`{m.name}`", m.unit, m.meaning, SHAPES[m.shape], m.better)
                for m in METRICS.values()
            ),
        ),
        "commands": markdown(("Command", "What it does"), commands()),
        "documents": markdown(
            ("Document", "Version", "Schema"),
            (
                (
                    name,
                    str(kind.model_fields["schema_version"].default),
                    f"[JSON](schema/{name}.json)",
                )
                for name, kind in documents().items()
            ),
        ),
    }


def version(kind: type[Document]) -> int:
    number: int = kind.model_fields["schema_version"].default
    return number


def commands() -> Iterable[tuple[str, str]]:
    """Every command with the first sentence of its help."""
    context = click.Context(cli, info_name="lem")
    for name in cli.list_commands(context):
        group = cli.get_command(context, name)
        assert group is not None
        members = group.commands.items() if isinstance(group, click.Group) else [("", group)]
        for member, command in sorted(members):
            arguments = [p.make_metavar(context) for p in command.params if is_argument(p)]
            line = " ".join(w for w in ("lem", name, member, *arguments) if w)
            yield f"`{line}`", " ".join((command.help or "").split("\n\n")[0].split())


def is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def filled(text: str) -> str:
    """``text`` with every marked table as the code says it now."""
    made = tables()
    return REGION.sub(lambda m: m[1] + made[m[2]] + m[3], text)


def main(arguments: list[str]) -> int:
    for name in arguments:
        path = Path(name)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
