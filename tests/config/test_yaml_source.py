"""What each spelling in a file means, as docs/campaign-file.md says."""

import pytest
import yaml

from lem.config import yaml_source
from lem.config.yaml_source import read, scalar
from lem.errors import BadInput


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-3", -3),
        ("+4", 4),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        ("2.", 2.0),
        (".5", 0.5),
        ("6.02e23", 6.02e23),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23 10:00:00", "2026-11-23 10:00:00"),
        ("0.1.2", "0.1.2"),
        ("v0.19", "v0.19"),
        ("2h", "2h"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("None", "None"),
        ("yesterday", "yesterday"),
        ("00:00:00:extra", "00:00:00:extra"),
        ("=", "="),
        ("1,000", "1,000"),
        ("_1", "_1"),
    ],
)
def test_unquoted_values(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["yes", "NO", "On", "off", "y", "N", "010", "-007", "0o17", "0x1F", "0b1", "1_0", "1:30",
     "190:20:30", "12:30:45.5", ".inf", "-.INF", ".NaN", "1e400", "9223372036854775808"],
)  # fmt: skip
def test_unquoted_values_that_readers_disagree_on_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        scalar(text)
    assert read(f"a: '{text}'\n", "f").data == {"a": text}


def test_aliases_and_merge_keys_do_what_they_say() -> None:
    text = """\
base: &base {a: 1, b: [1, 2]}
copy: *base
merged:
  <<: *base
  a: 5
both: {<<: [{x: 1}, {x: 2, y: 3}]}
"""
    source = read(text, "f")
    assert not source.problems
    assert source.data == {
        "base": {"a": 1, "b": [1, 2]},
        "copy": {"a": 1, "b": [1, 2]},
        "merged": {"a": 5, "b": [1, 2]},
        "both": {"x": 1, "y": 3},
    }
    assert source.data == yaml.safe_load(text)
    assert source.where(("merged", "a")) == (5, 3)
    assert source.where(("merged", "b", 1)) == (1, 27)


def test_positions_count_from_one_and_keys_name_their_line() -> None:
    source = read("# top\na:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", "f")
    assert source.where(("a",)) == (2, 1)
    assert source.where(("a", "b")) == (3, 3)
    assert source.where(("a", "c", 0)) == (5, 7)
    assert source.where(("a", "c", 1, "d")) == (6, 8)
    assert source.where(("a", "missing", "deeper")) == (2, 1)
    assert source.where(("nowhere",)) == (2, 1)


def test_tabs_are_fine_where_they_indent_nothing() -> None:
    text = 'a: 1\t# comment\nb:\t2\nc: "x\n\ty"\nd: |\n  code\n  \tmore\n'
    source = read(text, "f")
    assert not source.problems
    assert source.data == {"a": 1, "b": 2, "c": "x y", "d": "code\n\tmore\n"}


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
def test_both_of_pyyamls_parsers_give_the_same(
    monkeypatch: pytest.MonkeyPatch, loader: type
) -> None:
    monkeypatch.setattr(yaml_source, "_LOADER", loader)
    source = read("é: [1, 'two', {three: 3e0}]\nempty:\n", "f")
    assert source.data == {"é": [1, "two", {"three": 3.0}], "empty": None}
    assert source.where(("é", 2, "three")) == (1, 16)
    with pytest.raises(BadInput) as caught:
        read("a: 1\nb: [1\nc: 2\n", "f")
    assert caught.value.problems[0].line in (2, 3)
