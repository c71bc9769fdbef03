"""Writes the tables that the docs take from the code: `tables.py FILE…`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from lem import plugins, verified
from lem.archive.reasons import REASONS
from lem.cli.main import cli
from lem.contract.base import Document
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.contract.schema import documents
from lem.launchers import image
from lem.trust.rules import FAMILIES
from lem.trust.tiers import TIERS

CONSEQUENCES = {
    "info": "shown",
    "exclude": "the run is shown, but no estimate uses it",
    "void": "the block is repeated",
}
SHAPES = {
    "by_class": "one value for each device class",
    "value": "one value",
    "distribution": "n, mean, p50, p90, p95, p99",
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
        "trust_rules": markdown(
            ("Of", "Rule", "What it says", "Consequence"),
            (
                (family.lower(), f"`{r.name}`", r.meaning, r.consequence)
                for family, rules in FAMILIES.items()
                for r in rules
            ),
        ),
        "reasons": markdown(
            ("Reason", "Status", "What it says"),
            ((f"`{r.name}`", str(r.status), r.meaning) for r in REASONS.values()),
        ),
        "tiers": markdown(
            ("Tier", "What it means", "What it does not prove"),
            ((t.name, t.meaning, t.does_not_prove) for t in TIERS.values()),
        ),
        "commands": markdown(("Command", "What it does"), commands()),
        "backends": markdown(
            (
                "Backend",
                "Engine in lem's image",
                "Image for",
                "Driven",
                "Ran on a CPU",
                "Ran on a GPU",
            ),
            (backend_row(name) for name in sorted(plugins.own("backends"))),
        ),
        "conformance": markdown(
            ("Backend", "Engine", "Hardware", "Where", "Passed", "lem", "Date"),
            (record_row(r) for r in verified.records()),
        ),
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


def backend_row(name: str) -> tuple[str, ...]:
    """What a backend declares, and where its engine ran: of the version in lem's image first."""
    loads = ", ".join(plugins.load("backends", name)().loads)
    if name not in image.buildable():
        return (f"`{name}`", "none: somebody else's server", "", loads, *ran(name, None))
    pinned = image.pinned_engine(name)
    variants = ", ".join(v.upper() for v in image.variants(name))
    return (f"`{name}`", str(pinned), variants, loads, *ran(name, pinned))


def ran(name: str, pinned: str | None) -> tuple[str, str]:
    """By kind of hardware."""
    kinds: tuple[verified.DeviceClass, ...] = ("cpu", "gpu")
    only_gpu = name in image.buildable() and "cpu" not in image.variants(name)
    cells = []
    for kind in kinds:
        found = verified.runs(name, kind)
        versions = dict.fromkeys(r.engine_version for r in found)
        told = "; ".join(f"{v}: {passed(name, kind, v)}" for v in versions)
        if kind == "cpu" and only_gpu:
            cells.append("runs on GPUs only")
        elif pinned is not None and not verified.runs(name, kind, pinned):
            cells.append(f"**{verified.NEVER}**" + (f" ({told})" if told else ""))
        else:
            cells.append(told or verified.NEVER)
    return cells[0], cells[1]


def passed(name: str, kind: verified.DeviceClass, version: str) -> str:
    found = verified.runs(name, kind, version)
    what = sorted({area for r in found for area, result in r.ran.items() if result == "passed"})
    return f"{', '.join(what)} on {verified.places(found)}"


def record_row(r: verified.Conformance) -> tuple[str, ...]:
    what = [a for a, result in r.ran.items() if result == "passed"]
    driver = f", driver {r.device.driver}, CUDA {r.device.cuda}" if r.device.driver else ""
    hardware = f"{r.device.count} × {r.device.name} ({r.device.architecture}){driver}"
    tests = f"{sum(t == 'passed' for t in r.tests.values())} of {len(r.tests)} tests"
    return (
        f"`{r.backend}`",
        r.engine_version,
        hardware,
        r.place,
        f"{', '.join(what)}; {tests}",
        r.lem_version,
        r.date[:10],
    )


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
