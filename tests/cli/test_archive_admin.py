"""Invitations and tokens from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from lem.archive import identities
from lem.archive.database import open_database
from lem.archive.schema import INVITATION
from lem.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["archive", *arguments])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    database = open_database(None, tmp_path)
    database.migrate()
    database.close()
    return tmp_path


def grant(data: Path, token: str) -> Any:
    database = open_database(None, data)
    try:
        with database.reading() as connection:
            return identities.role_of(connection, token)
    finally:
        database.close()


def test_a_token_is_shown_once_and_works(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("token", "--role", "admin", "--name", "me", "--data", str(data))
    code, out, err = run(capsys, *arguments)
    token = out.strip()
    assert code == 0 and out == f"{token}\n" and token not in err
    assert grant(data, token).role == "admin"
    code, out, _ = run(capsys, "token", "--revoke", "--name", "me", "--data", str(data), "--json")
    assert json.loads(out) == {"schema_version": 1, "revoked": 1}
    assert grant(data, token) is None
    code, out, err = run(capsys, "token", "--revoke", "--name", "me", "--data", str(data))
    assert code == 2 and out == "" and "no valid token of the name 'me'" in err


@pytest.mark.parametrize("arguments", [("--revoke", "--role", "admin"), ()])
def test_either_a_new_one_or_none(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, _ = run(capsys, "token", "--name", "me", "--data", str(data), *arguments)
    assert code == 2 and out == ""


def test_an_invitation_is_a_link_where_the_address_is_known(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data", str(data), "--name", "Lab")
    _, bare, _ = run(capsys, "invite", *where)
    _, link, _ = run(capsys, "invite", *where, "--url", "https://lem.example.org/")
    assert link.startswith("https://lem.example.org/enrol#")
    database = open_database(None, data)
    with database.reading() as connection:
        hashes = {row.hash for row in connection.execute(INVITATION.select())}
    database.close()
    secrets = (bare.strip(), link.strip().partition("#")[2])
    assert hashes == {identities.hash_of(s) for s in secrets}


def test_nothing_is_made_where_no_archive_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "invite", "--name", "Lab", "--data", str(tmp_path / "none"))
    assert code == 2 and "no archive" in err
    assert not (tmp_path / "none").exists()
