"""The index says what the folder says, whatever happened to either."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.stores.folder import outcomes
from lem.stores.index import Index
from lem.stores.index_file import FILE_NAME, VERSION
from tests import records

VALUES = {1: [0.02, 0.021], 4: [0.009, None]}


def read(folder):
    with Index(folder) as index:
        read_anew = index.refresh()
        return read_anew, index.outcomes(), index.rows()


def test_outcomes_are_the_folders(tmp_path):
    records.campaign(tmp_path, VALUES)
    read_anew, found, _ = read(tmp_path)
    assert read_anew == 4
    assert found == outcomes(tmp_path)


def test_rows_carry_what_the_record_says(tmp_path):
    records.campaign(tmp_path, {1: [1.5]}, measured=("gpu",), gpus=[records.gpu()], nll=2.5)
    (row,) = read(tmp_path)[2]
    energy = row.metrics["energy_per_output_token_j"]["gpu"]
    assert (energy.value, energy.uncertainty) == (1.5, pytest.approx(0.03))
    assert row.metrics["ttft_s"]["p90"].value == pytest.approx(0.12)
    assert row.metrics["nll_per_token"][""].value == 2.5
    assert row.hardware == "1 × NVIDIA Test 80GB · Test CPU (2 CPUs)"
    assert row.meters == {"gpu": "nvml"}
    assert (row.semantics, row.campaign, row.flags) == (1, "test", ())


def test_only_the_metrics_asked_for_are_read(tmp_path):
    records.campaign(tmp_path, {1: [0.02]})
    with Index(tmp_path) as index:
        index.refresh()
        assert set(index.rows(["ttft_s"])[0].metrics) == {"ttft_s"}
        assert index.rows([])[0].metrics == {}


def test_what_has_not_changed_is_not_read_again(tmp_path):
    records.campaign(tmp_path, VALUES)
    assert [read(tmp_path)[0] for _ in range(2)] == [4, 0]
    records.place(tmp_path, records.record(arm_id=records.arm_name(1), block=1, attempt=1))
    assert read(tmp_path)[0] == 1


def age(folder, of, seconds=3600):
    """As if the runs of some blocks had been over for so long."""
    for path in folder.glob("blocks/*/*/*/record.json"):
        if int(path.parts[-4]) in of:
            then = path.stat().st_mtime - seconds
            os.utime(path, (then, then))


def glance(folder):
    with Index(folder) as index:
        return index.refresh(over=True), index.outcomes()


def test_a_glance_looks_at_what_was_added_and_at_what_is_not_long_over(tmp_path):
    records.campaign(tmp_path, VALUES)
    age(tmp_path, [0])
    read(tmp_path)
    old = tmp_path / "blocks" / "0000" / records.arm_name(0)
    new = tmp_path / "blocks" / "0001" / records.arm_name(0)
    for arm in (old, new):
        # As a host does that gives an agent up which had just written its record.
        (arm / "0" / "record.json").rename(arm / "0" / "kept")
    assert [o.kind for o in glance(tmp_path)[1]].count("record") == 2
    records.place(tmp_path, records.record(arm_id=records.arm_name(0), block=0, attempt=1))
    assert [o.kind for o in glance(tmp_path)[1]].count("record") == 2  # now it is
    assert glance(tmp_path)[1] == outcomes(tmp_path)
    shutil.rmtree(tmp_path / "blocks" / "0001")
    assert glance(tmp_path)[1] == outcomes(tmp_path)


def test_a_glance_at_many_blocks(tmp_path):
    records.campaign(tmp_path, {1: [0.02] * 70})
    age(tmp_path, range(60))
    assert glance(tmp_path) == (70, outcomes(tmp_path))
    assert glance(tmp_path) == (0, outcomes(tmp_path))
    assert [o.block for o in outcomes(tmp_path)] == [*range(70)]


def test_each_machine_has_an_index_of_its_own_and_old_ones_go(tmp_path, monkeypatch):
    records.campaign(tmp_path, VALUES)
    theirs, unused = (tmp_path / f".index-{x * 8}.sqlite" for x in "ab")
    for other in (theirs, unused):
        other.write_bytes(b"another machine's")
    os.utime(unused, (1, 1))
    read(tmp_path)
    assert theirs.read_bytes() == b"another machine's"
    assert not unused.exists()


def test_an_edited_and_a_removed_record_are_noticed(tmp_path):
    records.campaign(tmp_path, VALUES)
    read(tmp_path)
    arm = records.arm_name(0)
    file = tmp_path / "blocks" / "0000" / arm / "0" / "record.json"
    file.write_text(file.read_text().replace('"block_pass": 0', '"block_pass": 7'))
    shutil.rmtree(tmp_path / "blocks" / "0001" / arm)
    _, found, _ = read(tmp_path)
    assert found == outcomes(tmp_path)
    assert found[0].block_pass == 7 and len(found) == 3


def garbage(file: Path) -> None:
    file.write_bytes(b"this is no database" * 1000)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def other_version(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")


def without_columns(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("DROP TABLE metrics")
        db.execute("CREATE TABLE metrics (something TEXT)")


def overwritten_pages(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:] = b"\x55" * (len(data) - 4096)
    file.write_bytes(data)


@pytest.mark.parametrize(
    "damage", [garbage, truncated, other_version, without_columns, overwritten_pages]
)
def test_a_damaged_or_old_index_is_rebuilt_in_silence(tmp_path, damage):
    records.campaign(tmp_path, VALUES)
    expected = read(tmp_path)[1:]
    damage(tmp_path / FILE_NAME)
    assert read(tmp_path) == (4, *expected)
    # And it was not only mended in memory.
    assert read(tmp_path) == (0, *expected)


def test_damage_that_shows_only_in_the_metrics_is_mended_too(tmp_path):
    records.campaign(tmp_path, VALUES)
    expected = read(tmp_path)[1:]
    with Index(tmp_path) as index:
        assert index.refresh() == 0
        garbage(tmp_path / FILE_NAME)
        assert (index.outcomes(), index.rows()) == expected


def test_a_link_in_place_of_the_index_is_neither_followed_nor_removed(tmp_path):
    folder, victim = tmp_path / "campaign", tmp_path / "victim"
    records.campaign(folder, VALUES)
    victim.write_bytes(b"precious")
    (folder / FILE_NAME).symlink_to(victim)
    assert len(read(folder)[1]) == 4
    assert victim.read_bytes() == b"precious" and (folder / FILE_NAME).is_symlink()


def foreign(folder: Path) -> Path:
    """An index of the right form in ``folder``, made elsewhere, with a trigger in it."""
    records.campaign(folder.parent / "elsewhere", VALUES)
    read(folder.parent / "elsewhere")
    file = folder / FILE_NAME
    shutil.copy(folder.parent / "elsewhere" / FILE_NAME, file)
    with sqlite3.connect(file) as db:
        db.execute(
            "CREATE TRIGGER again AFTER DELETE ON attempts BEGIN"
            " INSERT INTO attempts SELECT old.id, '../../home', old.document, old.size,"
            " old.mtime_ns, 0, old.arm_id, old.block, old.block_pass, old.attempt, 'open',"
            " old.failure_kind, old.consequence, '', '', '', '[]', '', '', '', '', 0, '', '{}',"
            " '[]'; END"
        )
    return file


def test_an_index_that_came_with_the_folder_is_never_opened(tmp_path):
    folder = tmp_path / "campaign"
    records.campaign(folder, {1: [0.02]})
    file = foreign(folder)
    # A journal beside it would make SQLite write to the file, and delete what it names.
    journal = Path(f"{file}-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    assert read(folder)[1] == outcomes(folder)
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall() == []
    assert not journal.exists()
    assert read(folder)[0] == 0  # but its own it knows again


def test_without_a_place_to_write_the_index_is_in_memory(tmp_path):
    records.campaign(tmp_path, VALUES)
    # A folder where the file should be: as little to be written for root as for anybody.
    (tmp_path / FILE_NAME).mkdir()
    assert len(read(tmp_path)[1]) == 4
    assert (tmp_path / FILE_NAME).is_dir()


def test_a_locked_index_does_not_stop_reading(tmp_path, monkeypatch):
    records.campaign(tmp_path, VALUES)
    read(tmp_path)
    monkeypatch.setattr("lem.stores.index_file.LOCK_TIMEOUT_S", 0.1)
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert len(read(tmp_path)[1]) == 4
        other.rollback()


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 2),
        st.sampled_from(["record", "failure", "damage", "remove", "look"]),
    ),
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_looking_in_between_gives_the_same_as_building_anew(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("campaign")
    for n, (arm, block, attempt, action) in enumerate(steps):
        where = {"arm_id": records.arm_name(arm), "block": block, "attempt": attempt}
        at = folder / "blocks" / f"{block:04d}" / where["arm_id"] / str(attempt)
        if action == "record":
            records.place(folder, records.record(**where, cpu_time_s=0.01 + n / 1000))
        elif action == "failure":
            records.place(folder, records.failure(**where, message=f"step {n}"))
        elif action == "damage" and at.is_dir():
            (at / "record.json").write_text("{" * (n + 1))
        elif action == "remove":
            shutil.rmtree(at, ignore_errors=True)
        elif action == "look":
            read(folder)
    _, found, rows = read(folder)
    assert found == outcomes(folder)
    (folder / FILE_NAME).unlink()
    assert read(folder)[1:] == (found, rows)
