"""The table of flags, and that every flag raised anywhere stands in it."""

import ast
import itertools
from pathlib import Path
from typing import get_args

import pytest

import lem
from lem.contract import flags
from lem.contract.flags import FLAGS, Consequence, worst


def test_names_are_unique_and_every_flag_says_what_it_means() -> None:
    assert len(FLAGS) == len(flags._TABLE)
    for flag in FLAGS.values():
        assert flag.name.isidentifier() and flag.name == flag.name.lower()
        assert len(flag.meaning) > 20 and not flag.meaning.endswith(".")
        assert flag.consequence in get_args(Consequence)


def test_the_gravest_consequence_counts() -> None:
    grave: list[Consequence] = ["info", "exclude", "void"]
    by = {c: next(f.name for f in FLAGS.values() if f.consequence == c) for c in grave}
    assert worst([]) == "info"
    for a, b in itertools.product(grave, grave):
        assert worst([by[a], by[b]]) == max(a, b, key=grave.index)


def test_a_flag_that_is_not_known_excludes() -> None:
    assert worst(["estimated", "invented_by_a_newer_agent"]) == "exclude"


@pytest.mark.parametrize(
    ("name", "consequence"),
    [
        ("estimated", "info"),
        ("throttled", "exclude"),
        ("counter_frozen", "exclude"),
        ("counter_backwards", "exclude"),
        ("foreign_gpu_process", "exclude"),
        ("suspended", "void"),
    ],
)
def test_what_the_method_demands(name: str, consequence: Consequence) -> None:
    assert FLAGS[name].consequence == consequence


def flags_raised(tree: ast.AST) -> set[str]:
    """String literals that are added to something called flags or returned as such."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="flags") | ast.Attribute(attr="flags"), attr="add" | "append"
                ),
                args=[ast.Constant(value=str(name))],
            ):
                found.add(name)
            case ast.List(elts=[*elements]) if any(
                isinstance(e, ast.Starred) and "flags" in ast.unparse(e) for e in elements
            ):
                found |= {e.value for e in elements if isinstance(e, ast.Constant)}
    return found


def test_every_flag_that_the_code_raises_stands_in_the_table() -> None:
    root = Path(lem.__file__).parent
    raised = {
        name
        for part in ("agent", "meters")
        for file in (root / part).rglob("*.py")
        for name in flags_raised(ast.parse(file.read_text()))
    }
    assert {"no_meter", "warm_up_capped", "no_coverage"} <= raised
    assert raised <= set(FLAGS)
