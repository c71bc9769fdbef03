"""An archive as plain files: written whole, the same each time, and taken in by another archive."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lem.archive import identities
from lem.archive import retract as retraction
from lem.archive.dump import layout
from lem.archive.dump.bring_in import bring_in
from lem.archive.dump.check import check
from lem.archive.dump.read import Dump
from lem.archive.dump.write import export
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, EXTERNAL, HEADLINE, IDENTITY, KEY, RUN, SUBMISSION, TOKEN
from lem.errors import BadInput
from lem.submit import manifest
from tests.archive import dumps

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(archive: Any, tmp_path: Path) -> Path:
    dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    return export(archive.database, archive.packs, tmp_path / "dump").folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def figures(database: Any) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Submission and place of each run → its configuration, places, counted, and figures."""
    with database.reading() as c:
        rows = c.execute(
            sa.select(
                SUBMISSION.c.content_sha256, RUN.c.number, CONFIG.c.hash, RUN.c.block, RUN.c.arm,
                RUN.c.counted, *(RUN.c[name] for name in HEADLINE),
                RUN.c.energy_per_output_token_j_u,
            ).join(SUBMISSION, RUN.c.submission_id == SUBMISSION.c.id).join(CONFIG)
        )  # fmt: skip
        return {(r[0], r[1]): tuple(r[2:]) for r in rows}


def test_a_dump_holds_and_has_everything(made: Path) -> None:
    checked = check(Dump(made))
    assert checked.findings == []
    assert (len(checked.submissions), checked.runs, len(checked.keys)) == (2, 12, 2)
    described = json.loads((made / "archive.json").read_text())
    assert described["counts"] == {
        "submissions": 2, "runs": 12, "configurations": 4, "keys": 2, "external": 1,
    }  # fmt: skip
    assert described["licence"] == "CC-BY-4.0"
    assert not [p for p in made.parent.iterdir() if p.name.startswith(".")]


def test_the_same_state_gives_the_same_bytes(made: Path, archive: Any, tmp_path: Path) -> None:
    again = export(archive.database, archive.packs, tmp_path / "again").folder
    assert contents(made) == contents(again)


def test_what_is_there_is_never_overwritten(made: Path, archive: Any) -> None:
    before = contents(made)
    with pytest.raises(BadInput, match="there already"):
        export(archive.database, archive.packs, made)
    assert contents(made) == before


def test_tables_say_what_records_say(made: Path, archive: Any) -> None:
    table = pq.read_table(made / layout.RUNS)
    rows = table.to_pylist()
    known = figures(archive.database)
    assert {(r["submission"], r["number"]) for r in rows} == set(known)
    for row in rows:
        config, block, arm, counted, *values = known[row["submission"], row["number"]]
        assert (row["configuration"], row["block"], row["arm"], row["counted"]) == (
            config, block, arm, counted,
        )  # fmt: skip
        assert [row[name] for name in HEADLINE] == values[:-1]
        assert row["energy_per_output_token_j_u"] == values[-1]
    assert table.schema.metadata[b"licence"] == b"CC-BY-4.0"
    assert table.schema.field("mean_power_w").metadata == {b"unit": b"W"}
    configurations = pq.read_table(made / layout.CONFIGURATIONS).to_pylist()
    for row in configurations:
        values = [v[-2 - len(HEADLINE) + 1] for v in known.values() if v[0] == row["hash"]]
        assert row["energy_per_output_token_j_runs"] == len(values) == 3
        assert row["energy_per_output_token_j"] == pytest.approx(sum(values) / 3, rel=1e-12)


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An empty archive of either kind, whatever the first one is."""
    from lem.archive.database import open_database
    from lem.archive.packs import Packs

    folder = tmp_path / "other"
    folder.mkdir()
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    database = open_database(url, folder)
    database.migrate()

    class Other:
        packs = Packs(folder / "packs")

    Other.database = database  # type: ignore[attr-defined]
    yield Other
    database.close()
    if url:
        request.getfixturevalue("postgres").drop(url)


def test_another_archive_takes_it_in(made: Path, archive: Any, other: Any) -> None:
    done = bring_in(other.database, other.packs, Dump(made))
    assert (done.new, done.already, done.refused, done.external) == (2, 0, [], 1)
    assert figures(other.database) == figures(archive.database)
    with other.database.reading() as c:
        assert set(c.scalars(sa.select(RUN.c.tier))) == {1}
        assert set(c.scalars(sa.select(IDENTITY.c.enrolled_by))) == {"imported"}
        assert set(c.scalars(sa.select(IDENTITY.c.name))) == {"Ann", "Ben"}
        assert c.scalar(sa.select(sa.func.count()).select_from(EXTERNAL)) == 1
    once_more = bring_in(other.database, other.packs, Dump(made))
    assert (once_more.new, once_more.already, once_more.external) == (0, 2, 0)


def test_a_dump_of_what_was_taken_in_names_where_it_is_from(
    made: Path, archive: Any, other: Any, tmp_path: Path
) -> None:
    bring_in(other.database, other.packs, Dump(made))
    again = Dump(export(other.database, other.packs, tmp_path / "again").folder)
    assert check(again).findings == []
    (origin,) = again.description.origins
    assert origin.archive == archive.database.setting("archive")
    assert origin.board_salt == archive.database.setting("board_salt")
    back = bring_in(archive.database, archive.packs, again)
    assert (back.new, back.already) == (0, 2)


def test_invitations_are_believed_only_where_somebody_says_so(made: Path, other: Any) -> None:
    bring_in(other.database, other.packs, Dump(made), trust_enrolment=True)
    with other.database.reading() as c:
        rows = c.execute(sa.select(IDENTITY.c.name, IDENTITY.c.enrolled_by)).all()
        names = {r.name: r.enrolled_by for r in rows}
    assert names == {"Ann": "invitation", "Ben": "imported"}


def test_a_key_that_is_known_here_stays_who_it_is(made: Path, other: Any) -> None:
    dumps.enrol(other.database, 2, "Ben of here")
    bring_in(other.database, other.packs, Dump(made))
    with other.database.reading() as c:
        rows = c.execute(
            sa.select(IDENTITY.c.name, IDENTITY.c.enrolled_by, SUBMISSION.c.id)
            .select_from(IDENTITY)
            .join(SUBMISSION, SUBMISSION.c.identity_id == IDENTITY.c.id)
        ).all()
        assert c.scalar(sa.select(sa.func.count()).select_from(KEY)) == 2
    assert {(r.name, r.enrolled_by) for r in rows} == {
        ("Ann", "imported"), ("Ben of here", "invitation"),
    }  # fmt: skip


def test_an_import_that_was_broken_off_goes_on(
    made: Path, archive: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lem.archive import ingest

    whole = ingest.receive
    calls = 0

    def once(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return whole(*arguments, **named)

    monkeypatch.setattr(ingest, "receive", once)
    with pytest.raises(KeyboardInterrupt):
        bring_in(other.database, other.packs, Dump(made))
    done = bring_in(other.database, other.packs, Dump(made))
    assert (done.new, done.already) == (1, 1)
    assert figures(other.database) == figures(archive.database)


def retract(archive: Any, signer: int, campaign: str) -> None:
    private = dumps.key(signer)
    key = manifest.key_id(manifest.raw_public(private))
    with archive.database.writing() as c:
        nonce = identities.nonce(c, key).nonce
    message = manifest.retract_message(archive.database.setting("archive"), campaign, nonce)
    retraction.retract(archive.database, archive.packs, key, campaign, nonce, private.sign(message))


def test_what_was_taken_back_there_is_taken_back_here(
    archive: Any, other: Any, tmp_path: Path
) -> None:
    receipts = dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    first = export(archive.database, archive.packs, tmp_path / "first").folder
    bring_in(other.database, other.packs, Dump(first))
    retract(archive, 1, receipts[0].campaign)
    second = Dump(export(archive.database, archive.packs, tmp_path / "second").folder)
    assert check(second).findings == []
    done = bring_in(other.database, other.packs, second)
    assert (done.new, done.already, done.retracted) == (0, 1, 1)
    assert {content for content, _ in figures(other.database)} == {receipts[1].submission}
    assert list(other.packs.every()) == [receipts[1].submission]
    assert check(Dump(export(other.database, other.packs, tmp_path / "o").folder)).findings == []
    again = bring_in(other.database, other.packs, Dump(first))
    assert (again.new, again.refused) == (0, [])
    assert {content for content, _ in figures(other.database)} == {receipts[1].submission}


def test_an_archives_own_submissions_are_not_taken_back_by_a_dump(
    archive: Any, tmp_path: Path
) -> None:
    (receipt, _) = dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    gone = retraction.retract_with_origin(
        archive.database, archive.packs, "e" * 64, [receipt.submission]
    )
    assert gone == 0
    assert receipt.submission in {content for content, _ in figures(archive.database)}


def test_an_imported_key_signs_nothing_here_before_it_is_enrolled(made: Path, other: Any) -> None:
    bring_in(other.database, other.packs, Dump(made))
    key = manifest.key_id(manifest.raw_public(dumps.key(1)))
    with other.database.writing() as c, pytest.raises(Refused) as caught:
        identities.nonce(c, key)
    assert caught.value.reason == "key_unknown"
    assert dumps.enrol(other.database, 1, "Ann of here") == key
    with other.database.writing() as c:
        assert identities.nonce(c, key).nonce
        rows = c.execute(sa.select(IDENTITY.c.name, IDENTITY.c.enrolled_by)).all()
    assert {tuple(r) for r in rows} == {("Ann of here", "invitation"), ("Ben", "imported")}


def test_a_dump_gives_nobody_a_part_in_who_is_enrolled_here(
    archive: Any, other: Any, tmp_path: Path
) -> None:
    """A hostile archive says that its own key and one that was invited here are one submitter's,
    and that the latter was revoked."""
    dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    mine = dumps.enrol(other.database, 3, "Cleo")
    thief = manifest.key_id(manifest.raw_public(dumps.key(1)))
    with archive.database.writing() as c:
        identity = c.scalar(sa.select(KEY.c.identity_id).where(KEY.c.id == thief))
        identities.add_key(c, identity, manifest.raw_public(dumps.key(3)))
        identities.revoke_by_admin(c, mine)
    hostile = Dump(export(archive.database, archive.packs, tmp_path / "dump").folder)
    bring_in(other.database, other.packs, hostile)
    with other.database.writing() as c:
        known, stranger = identities.key_of(c, mine), identities.key_of(c, thief)
        assert known is not None and stranger is not None
        assert not known.revoked and not known.imported
        assert stranger.imported and stranger.identity_id != known.identity_id
        with pytest.raises(Refused):
            identities.nonce(c, thief)


def test_enrolling_one_imported_key_lets_no_other_sign(
    archive: Any, other: Any, tmp_path: Path
) -> None:
    """The same before the victim is enrolled: whoever enrols vouches for one key alone."""
    dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    thief = manifest.key_id(manifest.raw_public(dumps.key(1)))
    with archive.database.writing() as c:
        identity = c.scalar(sa.select(KEY.c.identity_id).where(KEY.c.id == thief))
        identities.add_key(c, identity, manifest.raw_public(dumps.key(3)))
    hostile = Dump(export(archive.database, archive.packs, tmp_path / "dump").folder)
    bring_in(other.database, other.packs, hostile)
    mine = dumps.enrol(other.database, 3, "Cleo")
    with other.database.writing() as c:
        assert identities.nonce(c, mine).nonce
        with pytest.raises(Refused) as caught:
            identities.nonce(c, thief)
        assert caught.value.reason == "key_unknown"


def test_a_token_takes_over_no_imported_key_beside_its_own(
    archive: Any, other: Any, tmp_path: Path
) -> None:
    """Or whoever has a runner's token would be as many submitters as it holds imported keys."""
    dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    dump = Dump(export(archive.database, archive.packs, tmp_path / "dump").folder)
    bring_in(other.database, other.packs, dump)

    def enrol(number: int, grant: Any) -> str:
        signer = dumps.key(number)
        public = manifest.raw_public(signer)
        with other.database.writing() as c:
            proof = signer.sign(manifest.enrol_message(other.database.setting("archive"), public))
            return identities.enrol_by_token(c, public, proof, "box", grant)

    def granted() -> Any:
        with other.database.writing() as c:
            return identities.role_of(c, identities.issue_token(c, "runner", "a runner"))

    first, second = granted(), granted()
    own = enrol(5, first)
    with pytest.raises(Refused) as caught:
        enrol(1, first)
    assert caught.value.reason == "key_known"
    assert enrol(1, second) == manifest.key_id(manifest.raw_public(dumps.key(1)))
    with other.database.reading() as c:
        token = sa.select(TOKEN.c.identity_id).where(TOKEN.c.hash == first.token_hash)
        known = identities.key_of(c, own)
        assert known is not None and c.scalar(token) == known.identity_id


def test_keys_that_were_revoked_there_are_so_here(archive: Any, other: Any, tmp_path: Path) -> None:
    dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    key = manifest.key_id(manifest.raw_public(dumps.key(1)))
    with archive.database.writing() as c:
        identities.revoke_by_admin(c, key)
    dump = Dump(export(archive.database, archive.packs, tmp_path / "dump").folder)
    assert bring_in(other.database, other.packs, dump).new == 2
    with other.database.reading() as c:
        known = identities.key_of(c, key)
    assert known is not None and known.revoked
    assert check(Dump(export(other.database, other.packs, tmp_path / "o").folder)).findings == []


def shell_of(page: Path) -> list[str]:
    """The fenced shell blocks of the docs."""
    return [part.split("```")[0] for part in page.read_text().split("```bash\n")[1:]]


def run_shell(folder: Path, scripts: list[str], pack: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", "\n".join(scripts)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PACK": pack, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_can_be_verified_without_lem(made: Path) -> None:
    """The commands of the docs, as they stand there."""
    scripts = shell_of(ROOT / "docs/archive.md")
    for path in sorted((made / "submissions").rglob("*.tar")):
        done = run_shell(made, [*scripts, "rm -r one"], str(path.relative_to(made)))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "Signature Verified Successfully", done.stdout
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("log.jsonl", b'"kind":"accepted"', b'"kind":"rejected"', "altered"),
        ("log.jsonl", b'"seq":2', b'"seq":7', "altered"),
        ("archive.json", b'"hash": "', b'"hash": "0', "another end"),
    ],
)
def test_those_commands_find_what_was_altered(
    made: Path, name: str, old: bytes, new: bytes, words: str
) -> None:
    path = made / name
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    pack = next((made / "submissions").rglob("*.tar"))
    done = run_shell(made, shell_of(ROOT / "docs/archive.md"), str(pack.relative_to(made)))
    assert words in done.stdout
    assert f"{name}: FAILED" in done.stdout


def test_the_readme_has_the_same_commands() -> None:
    readme = (ROOT / "lem/archive/dump/readme.txt").read_text()
    lines = {line.strip() for line in readme.splitlines()}
    for script in shell_of(ROOT / "docs/archive.md")[:2]:
        assert {line.strip() for line in script.splitlines()} <= lines
