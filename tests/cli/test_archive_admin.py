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


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", "me", "--revoke", "--role", "admin"),
        ("--name", "me"),
        ("--role", "runner"),
        ("--revoke",),
        ("--revoke", "--name", "me", "--handle", "t0"),
        ("--list", "--role", "runner", "--name", "me"),
    ],
)
def test_one_thing_at_a_time(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, _ = run(capsys, "token", "--data", str(data), *arguments)
    assert code == 2 and out == ""


def test_tokens_are_listed_and_revoked_by_their_handles(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data", str(data))
    _, first, _ = run(capsys, "token", "--role", "runner", "--name", "box", *where)
    _, second, _ = run(capsys, "token", "--role", "submitter", "--name", "box", *where)
    code, out, _ = run(capsys, "token", "--list", "--json", *where)
    assert code == 0 and first.strip() not in out and second.strip() not in out
    rows = {row["role"]: row for row in json.loads(out)["tokens"]}
    assert rows["runner"]["person"] is None and rows["submitter"]["person"] is not None
    _, out, _ = run(capsys, "token", "--list", *where)
    assert sorted(line.split()[:3] for line in out.splitlines()) == sorted(
        [row["handle"], row["role"], "box"] for row in rows.values()
    )
    handle = rows["runner"]["handle"]
    assert run(capsys, "token", "--revoke", "--handle", handle, *where)[0] == 0
    assert grant(data, first.strip()) is None and grant(data, second.strip()) is not None
    assert run(capsys, "token", "--revoke", "--handle", handle, *where)[0] == 2


def test_a_person_is_given_tokens_and_is_disabled(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data", str(data))
    _, first, _ = run(capsys, "token", "--role", "submitter", "--name", "Ada", *where)
    person = grant(data, first.strip()).person
    _, second, _ = run(
        capsys, "token", "--role", "admin", "--name", "root", "--person", person, *where
    )
    assert grant(data, second.strip()).person == person
    _, out, _ = run(capsys, "people", *where)
    assert out == f"{person}  Ada  (2 tokens)\n"
    _, out, _ = run(capsys, "people", "--disable", person, *where)
    assert out == f"{person}  Ada  (2 tokens, disabled)\n"
    assert grant(data, first.strip()) is None and grant(data, second.strip()) is None
    assert run(capsys, "people", "--enable", person, *where)[0] == 0
    assert grant(data, first.strip()).role == "submitter"
    assert run(capsys, "people", "--disable", "p0", *where)[0] == 2
    none = ("token", "--role", "runner", "--name", "x", "--person", "p0", *where)
    assert run(capsys, *none)[0] == 2


def test_an_invitation_is_a_link_where_the_address_is_known(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--data", str(data), "--name", "Lab")
    _, bare, _ = run(capsys, "invite", *where)
    _, link, _ = run(capsys, "invite", *where, "--url", "https://lem.example.org/")
    assert link.startswith("https://lem.example.org/join#")
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
