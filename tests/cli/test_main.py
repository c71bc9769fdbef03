"""The command line itself: what it imports, how it ends, and that it never shows a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lem import __version__
from lem.cli.main import GROUPS, main

LEM = [sys.executable, "-m", "lem.cli.main"]

VALID = """\
version: 1
name: test
models: [{id: org/model, revision: main}]
backends: {transformers: {}}
sweep: {engine.max_batch_size: [1, 4]}
measure: {preset: quick}
"""


def lem(*arguments: str | Path) -> int:
    """Run the command in this process; its exit code."""
    with pytest.raises(SystemExit) as e:
        main([str(a) for a in arguments])
    assert isinstance(e.value.code, int)
    return e.value.code


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(VALID)
    return tmp_path / "c.yaml"


def modules_of(*arguments: str | Path) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    program = (
        "import json, sys\nfrom lem.cli.main import main\n"
        "try:\n    main(json.loads(sys.argv[1]))\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps([str(a) for a in arguments])],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded: list[str] = json.loads(done.stderr.splitlines()[-1])
    return {m.partition(".")[0] for m in loaded}


HEAVY = {"docker", "sqlalchemy", "scipy", "numpy", "pandas", "torch", "transformers", "pynvml"}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_imports_next_to_nothing(arguments: tuple[str, ...]) -> None:
    assert not modules_of(*arguments) & (HEAVY | {"pydantic", "rich", "yaml"})


def test_help_of_a_group_imports_nothing_heavy() -> None:
    for group in GROUPS:
        assert not modules_of(group, "--help") & (HEAVY | {"pydantic"}), group


def test_validate_imports_nothing_heavy(file: Path) -> None:
    loaded = modules_of("campaign", "validate", file)
    assert "pydantic" in loaded and not loaded & HEAVY


def test_every_group_has_its_line_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert lem("--help") == 0
    shown = capsys.readouterr().out
    for name, words in GROUPS.items():
        assert name in shown and words.split()[0] in shown
        assert lem(name, "--help") == 0
        assert "Usage:" in capsys.readouterr().out


def test_problems_in_a_file_begin_with_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "c.yaml"
    broken.write_text("version: 1\nname: x\nmodles: []\nbackends: {nosuch: {}}\n")
    assert lem("campaign", "validate", str(broken)) == 2
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) > 2 and all(line.startswith(f"{broken}:") for line in shown)
    assert lem("campaign", "validate", str(tmp_path / "absent.yaml")) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}/absent.yaml: ")
    assert lem("results", "list", str(tmp_path / "absent")) == 2
    assert capsys.readouterr().err.startswith("lem: there is no folder")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert lem("--version") == 0
    assert capsys.readouterr().out.split() == ["lem,", "version", __version__]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("campaign", "init", "-"),
        ("campaign", "validate", "c.yaml"),
        ("campaign", "validate", "c.yaml", "--json"),
        ("campaign", "plan", "c.yaml", "--launcher", "process"),
    ],
)
def test_a_reader_that_goes_away_is_no_error(file: Path, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*LEM, *arguments], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [("--help",), ("campaign", "validate", "c.yaml", "--json")])
def test_a_full_disk_under_stdout_is_said_to_be_one(file: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*LEM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert "No space left" in done.stderr and "Traceback" not in done.stderr


ODD = [
    ("nonsense",),
    ("",),
    ("--nonsense",),
    ("campaign", "nonsense"),
    ("campaign", "validate"),
    ("campaign", "validate", "nowhere.yaml"),
    ("campaign", "validate", "."),
    ("campaign", "validate", ""),
    ("campaign", "validate", "/dev/null"),
    ("campaign", "validate", "binary"),
    ("campaign", "validate", "odd\n\x1b[31mname.yaml"),
    ("campaign", "validate", "c.yaml/inside"),
    ("campaign", "validate", "x" * 5000),
    ("campaign", "validate", "c.yaml", "surplus"),
    ("campaign", "validate", "c.yaml", "--nonsense"),
    ("campaign", "plan", "nowhere.yaml"),
    ("campaign", "plan", "."),
    ("campaign", "plan", "c.yaml", "--preset", "luxury"),
    ("campaign", "plan", "c.yaml", "--blocks", "0"),
    ("campaign", "plan", "c.yaml", "--blocks", "-1"),
    ("campaign", "plan", "c.yaml", "--blocks", "many"),
    ("campaign", "plan", "c.yaml", "--launcher", "catapult"),
    ("campaign", "plan", "c.yaml", "--out", "c.yaml"),
    ("campaign", "run", "nowhere.yaml"),
    ("campaign", "run", "c.yaml", "--blocks", "1e3"),
    ("campaign", "run", "c.yaml", "--launcher", "process", "--out", "c.yaml"),
    ("campaign", "stage", "binary"),
    ("campaign", "status", "nowhere"),
    ("campaign", "status", "empty"),
    ("campaign", "status", "broken"),
    ("campaign", "status", "newer"),
    ("campaign", "init", "c.yaml"),
    ("campaign", "init", "empty"),
    ("campaign", "init", "nowhere/c.yaml"),
    ("campaign", "init", "-", "--backend", "abacus"),
    ("campaign", "init", "-", "--backend", ""),
    ("campaign", "init", "-", "--sweep", "engine.max_batch_size"),
    ("campaign", "init", "-", "--sweep", "=1,2"),
    ("campaign", "init", "-", "--sweep", "engine.max_batch_size="),
    ("campaign", "init", "-", "--sweep", "engine.max_batch_size=many"),
    ("campaign", "init", "-", "--sweep", "no.such.path=1"),
    ("campaign", "init", "-", "--sweep", "engine.max_batch_size=[1"),
    ("campaign", "init", "-", "--sweep", "engine.max_batch_size=*a"),
    ("campaign", "init", "-", "--example", "nowhere"),
    ("campaign", "init", "-", "--example", "../../etc/passwd"),
    ("campaign", "init", "-", "--example", "quickstart", "--model", "x"),
    ("results", "list", "nowhere"),
    ("results", "show", "empty"),
    ("results", "compare", "nowhere"),
    ("results", "export", "empty", "--format", "papyrus"),
    ("images", "build", "abacus"),
    ("meter", "nonsense"),
]


@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
@pytest.mark.parametrize("arguments", ODD, ids=lambda a: ascii(" ".join(a))[:50])
def test_odd_input_is_refused_without_a_traceback(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    as_json: bool,
) -> None:
    folder = file.parent
    (folder / "binary").write_bytes(bytes(range(256)) * 20)
    (folder / "empty").mkdir()
    for name, text in (("broken", "{"), ("newer", '{"schema_version": 99}')):
        (folder / name).mkdir()
        (folder / name / "campaign.yaml").write_text(VALID)
        (folder / name / "campaign.lock.json").write_text(text)
    before = sorted(p for p in folder.rglob("*"))
    code = lem(*arguments, *(["--json"] if as_json else []))
    shown = capsys.readouterr()
    assert code in (2, 3), shown
    assert "Traceback" not in shown.err
    assert "\x1b" not in shown.err + shown.out
    if shown.out:
        assert as_json, shown.out
        json.loads(shown.out)
    else:
        assert shown.err.strip()
    assert sorted(p for p in folder.rglob("*")) == before
