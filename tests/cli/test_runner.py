"""``lem runner``: its token, its launcher, its policy."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lem.cli import runner as cli
from lem.cli.main import cli as lem
from lem.errors import BadInput, EnvironmentFault
from lem.runner.policy import Policy, parse


def test_a_policy_to_begin_with() -> None:
    done = CliRunner().invoke(lem, ["runner", "policy"])
    assert done.exit_code == 0 and parse(done.stdout, "policy.yaml") == Policy()


def test_where_a_token_may_come_from(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert cli.token_of("given", None, {}) == "given"
    assert cli.token_of(None, file, {cli.TOKEN: "x"}) == "from-file"
    assert cli.token_of(None, None, {cli.TOKEN: "from-variable", cli.TOKEN_FILE: str(file)}) == (
        "from-variable"
    )
    assert cli.token_of(None, None, {cli.TOKEN_FILE: str(file)}) == "from-file"


def test_what_is_no_token(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "long").write_text("x" * 5000)
    for given, file, said in (
        (None, None, "needs a token"),
        ("x", tmp_path / "two", "twice"),
        (None, tmp_path / "two", "one line"),
        (None, tmp_path / "long", "one line"),
        (None, tmp_path / "none", "cannot be read"),
        ("", None, "one line"),
        ("ü", None, "one line"),
    ):
        with pytest.raises(BadInput, match=said):
            cli.token_of(given, file, {})


def test_without_containers_nothing_is_run_unless_its_owner_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lem.campaign.automatic_launcher", lambda say: "process")
    with pytest.raises(EnvironmentFault, match="campaigns of strangers are run in containers"):
        cli.launcher_of("auto", [])
    assert cli.launcher_of("auto", ["process"]) == "process"
    assert cli.launcher_of("process", []) == "process"
    with pytest.raises(BadInput, match="no 'rocket'"):
        cli.launcher_of("rocket", [])
    monkeypatch.setattr("lem.campaign.automatic_launcher", lambda say: "docker")
    assert cli.launcher_of("auto", []) == "docker"
