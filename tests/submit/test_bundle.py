"""A campaign folder as submissions: every attempt, blocks whole, nothing twice."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.errors import BadInput
from lem.stores import folder as store
from lem.stores.counted import counted
from lem.submit.bundle import Bundle, bundles, open_attempts
from lem.submit.manifest import check_runs
from lem.submit.pack import packed, unpacked
from lem.submit.veil import campaign_of
from tests import records
from tests.submit import given


def attempts(found: list[Bundle]) -> list[tuple[int, str, int]]:
    return [(r.block, r.arm_id, r.attempt) for b in found for r in b.content.runs]


def text(bundle: Bundle, sha: str | None) -> bytes:
    assert sha is not None
    return unpacked(bundle.files[sha], 2**24)


def test_a_folder_is_one_submission_with_every_attempt(tmp_path: Path) -> None:
    given.campaign(tmp_path)
    (one,) = bundles(tmp_path, given.info())
    check_runs(one.content)
    assert attempts([one]) == [
        (block, records.arm_name(arm), 0) for block in (0, 1) for arm in (0, 1)
    ]
    assert one.content.campaign == campaign_of("test-owner", given.SALT)
    for run in one.content.runs:
        assert Record.parse(text(one, run.record)).block == run.block
        assert text(one, run.trace).startswith(given.TRACE.encode())
        assert text(one, run.responses).count(b"r0,done") == 2
    assert Lock.parse(text(one, one.content.lock)).blocks == 2
    assert all(hashlib.sha256(d).hexdigest() == sha for sha, d in one.files.items())


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    a, b = (list(bundles(given.campaign(tmp_path / n), given.info())) for n in "ab")
    assert [x.content for x in a] == [x.content for x in b]
    assert a[0].files == b[0].files


def test_only_what_is_not_there_yet(tmp_path: Path) -> None:
    given.campaign(tmp_path)
    (whole,) = bundles(tmp_path, given.info())
    done = {p for p in whole.places if p[0] == 0}
    (rest,) = bundles(tmp_path, given.info(), done)
    assert rest.places == whole.places - done
    assert list(bundles(tmp_path, given.info(), whole.places)) == []


def test_blocks_stay_whole_where_they_fit(tmp_path: Path) -> None:
    given.campaign(tmp_path, blocks=6)
    (whole,) = bundles(tmp_path, given.info())
    for most in range(20_000, 80_000, 7_000):
        parts = list(bundles(tmp_path, given.info(max_submission_bytes=most)))
        assert attempts(parts) == attempts([whole])
        for part in parts:
            assert sum(len(d) + 1024 for d in part.files.values()) < most
        blocks = [[r.block for r in p.content.runs] for p in parts]
        if most > 25_000:
            assert all(b.count(n) == 2 for b in blocks for n in set(b))


def test_a_block_that_is_too_large_is_sent_in_pieces(tmp_path: Path) -> None:
    given.campaign(tmp_path, blocks=1)
    parts = list(bundles(tmp_path, given.info(max_submission_bytes=18_500)))
    assert [len(p.content.runs) for p in parts] == [1, 1]
    with pytest.raises(BadInput, match="larger than the archive takes"):
        list(bundles(tmp_path, given.info(max_submission_bytes=12_000)))


def test_failures_are_sent_too_and_win_over_records(tmp_path: Path) -> None:
    records.campaign(tmp_path, {1: [0.01], 2: [None]})
    late = records.failure(kind="agent_lost", message="the host gave up")
    records.place(tmp_path, late)
    (one,) = bundles(tmp_path, given.info())
    assert [r.record for r in one.content.runs] == [None, None]
    kinds = [Failure.parse(text(one, r.failure)).kind for r in one.content.runs]
    assert kinds == ["agent_lost", "out_of_memory"]


def test_an_attempt_that_was_broken_off_leaves_no_gap(tmp_path: Path) -> None:
    arm = records.arm_name(0)
    records.campaign(tmp_path, {1: [0.01], 2: [0.02]})
    (tmp_path / "blocks/0000" / arm / "0").rename(tmp_path / "blocks/0000" / arm / "2")
    given.change(tmp_path / "blocks/0000" / arm / "2/record.json", attempt=2)
    (tmp_path / "blocks/0000" / arm / "0").mkdir()
    (tmp_path / "blocks/0000" / arm / "1").mkdir()
    (tmp_path / "blocks/0000" / arm / "1/record.json").write_text("{")
    (tmp_path / "blocks/0000" / arm / "3").mkdir()
    (one,) = bundles(tmp_path, given.info())
    assert attempts([one])[:3] == [(0, arm, 0), (0, arm, 1), (0, arm, 2)]
    assert len(one.content.runs) == 4
    first = Failure.parse(text(one, one.content.runs[0].failure))
    assert (first.kind, first.written_by, first.message) == ("interrupted", "host", "")
    assert [(a.attempt, bool(why)) for a, why in open_attempts(tmp_path)] == [
        (0, False), (1, True), (3, False),
    ]  # fmt: skip


def test_what_counts_is_the_same_on_both_sides(tmp_path: Path) -> None:
    """The plan's rules give the same answer from what was sent: boots and device sets are told
    apart as before."""
    gpus = [records.gpu()]
    records.campaign(tmp_path, {1: [0.01] * 3, 2: [0.02] * 3}, gpus=gpus)
    arm = records.arm_name(1)
    given.change(tmp_path / f"blocks/0001/{arm}/0/record.json", environment__boot_id="another")
    given.change(tmp_path / f"blocks/0002/{arm}/0/record.json", environment__device_set=["GPU-9"])
    (one,) = bundles(tmp_path, given.info())
    for run in one.content.runs:
        at = tmp_path / "public" / f"blocks/{run.block:04d}/{run.arm_id}/{run.attempt}"
        at.mkdir(parents=True)
        (at / "record.json").write_bytes(text(one, run.record))
    private, public = (
        [(o.block, o.arm_id, o.costs) for o in counted(store.outcomes(f))]
        for f in (tmp_path, tmp_path / "public")
    )
    assert private == public
    assert {block for block, _, _ in public} == {0}


def test_everything_that_cannot_be_sent_is_named_at_once(tmp_path: Path) -> None:
    given.campaign(tmp_path)
    for path in tmp_path.glob("blocks/*/*/*/record.json"):
        given.change(path, experiment__args={"dir": "/home/alice"})
    with pytest.raises(BadInput) as e:
        list(bundles(tmp_path, given.info()))
    assert len(e.value.problems) == 4
    assert "experiment.args.dir: looks like an absolute path" in str(e.value)


def test_nothing_is_given_before_all_that_precedes_a_problem_is_known(tmp_path: Path) -> None:
    given.campaign(tmp_path)
    last = max(tmp_path.glob("blocks/*/*/*/trace.csv.gz"))
    last.write_bytes(gzip.compress(b"no trace\n"))
    with pytest.raises(BadInput, match=r"trace\.csv\.gz: is not a lem trace"):
        list(bundles(tmp_path, given.info()))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_not_read(tmp_path: Path, kind: str) -> None:
    given.campaign(tmp_path)
    path = min(tmp_path.glob("blocks/*/*/*/trace.csv.gz"))
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(BadInput):
        list(bundles(tmp_path, given.info()))


def test_a_folder_without_lock_is_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no campaign's folder"):
        list(bundles(tmp_path, given.info()))


def test_attempts_that_may_still_be_written_wait(tmp_path: Path) -> None:
    given.campaign(tmp_path)
    (one,) = bundles(tmp_path, given.info(), ended=lambda a: a.block == 0)
    assert {p[0] for p in one.places} == {0}


def test_where_another_machine_began_it_the_lock_of_that_one_is_named(tmp_path: Path) -> None:
    given.campaign(tmp_path)
    (own,) = bundles(tmp_path, given.info())
    theirs = packed(b'{"another": "lock"}')
    (one,) = bundles(tmp_path, given.info(), public=theirs)
    assert one.content.lock == hashlib.sha256(theirs).hexdigest()
    assert one.files[one.content.lock] == theirs
    assert one.content.runs == own.content.runs
