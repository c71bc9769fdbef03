"""A campaign that others have begun: what a server hands over is hostile until it is read."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lem.contract.lock import Adaptive, Lock
from lem.contract.queue import HandedRun, Handover
from lem.contract.record import Gpu
from lem.errors import BadInput
from lem.runner import handover as h
from lem.runner.hardware import described
from lem.stores.folder import attempts, entries
from lem.submit.bundle import LOCK, Bundle, bundles
from lem.submit.pack import packed, unpacked
from lem.submit.public import text_of
from tests.submit import given

QUEUED = "q" + "0" * 20


def base(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    (one,) = bundles(given.campaign(tmp_path / "theirs"), given.info())
    return one


def handed(bundle: Bundle, **changes: Any) -> Handover:
    files = bundle.files
    runs = [
        HandedRun(
            block=r.block,
            arm_id=r.arm_id,
            attempt=r.attempt,
            record=base(files[r.record]) if r.record else None,
        )
        for r in bundle.content.runs
    ]
    lock = base(files[bundle.content.lock])
    return Handover(queued=QUEUED, lock=lock, runs=runs).model_copy(update=changes)


def with_record(one: Handover, n: int = 0, **changes: Any) -> Handover:
    run = one.runs[n]
    raw = json.loads(unpacked(base64.b64decode(run.record or ""), 2**24)) | changes
    runs = list(one.runs)
    runs[n] = run.model_copy(update={"record": base(packed(json.dumps(raw).encode()))})
    return one.model_copy(update={"runs": runs})


def test_the_runs_are_in_the_folder_once_and_stay_as_they_are(
    tmp_path: Path, bundle: Bundle
) -> None:
    folder = tmp_path / "mine"
    one = handed(bundle)
    h.write(folder, one)
    found = list(attempts(folder))
    assert {(a.block, a.arm_id, a.attempt) for a in found} == h.places(one) == bundle.places
    assert all(e.record is not None and not e.problem for e in entries(folder))
    before = [(folder / a.path / "record.json").stat().st_mtime_ns for a in found]
    h.write(folder, one)
    assert before == [(folder / a.path / "record.json").stat().st_mtime_ns for a in found]


def test_what_is_submitted_from_now_on_names_the_same_lock(bundle: Bundle, tmp_path: Path) -> None:
    one = handed(bundle)
    own = Lock.read(tmp_path / "theirs" / LOCK)
    assert h.public(one, own, given.info()) == bundle.files[bundle.content.lock]


def test_arms_that_were_chosen_since_are_added_to_it(bundle: Bundle, tmp_path: Path) -> None:
    own = Lock.read(tmp_path / "theirs" / LOCK)
    adaptive = Adaptive(kind="pareto", budget=9, generation=1, objectives=["a", "b"], seed=1)
    theirs = h.locked(handed(bundle)).model_copy(update={"adaptive": adaptive})
    one = handed(bundle, lock=base(packed(text_of(theirs))))
    later = own.arms[0].model_copy(update={"arm_id": "later", "generation": 1})
    grown = own.model_copy(update={"arms": [*own.arms, later], "adaptive": adaptive})
    told = Lock.parse(unpacked(h.public(one, grown, given.info()), 2**24))
    assert told.arms[:-1] == theirs.arms and told.arms[-1].arm_id == "later"
    assert told.model_copy(update={"arms": theirs.arms}) == theirs


def test_a_hostile_server_gets_nothing_written(tmp_path: Path, bundle: Bundle) -> None:
    one = handed(bundle)
    run = one.runs[0]
    bomb = base(gzip.compress(b" " * 2**25))
    for bad in (
        with_record(one, block=1),
        with_record(one, arm_id="../../x"),
        with_record(one, attempt=5),
        with_record(one, n=1, schema_version=99),
        handed(bundle, runs=[run, run]),
        handed(bundle, runs=[run.model_copy(update={"arm_id": "unknown"})]),
        handed(bundle, runs=[run.model_copy(update={"failure": run.record})]),
        handed(bundle, runs=[run.model_copy(update={"record": None})]),
        handed(bundle, runs=[run.model_copy(update={"record": "not base64!"})]),
        handed(bundle, runs=[run.model_copy(update={"record": base(b"not gzip")})]),
        handed(bundle, runs=[run.model_copy(update={"record": bomb})]),
        handed(bundle, lock=base(b"x")),
        handed(bundle, lock=base(packed(b"{}"))),
    ):
        with pytest.raises(BadInput):
            h.write(tmp_path / "mine", bad)
        assert not (tmp_path / "mine").exists()


def test_all_of_it_has_a_bound_and_is_never_held_at_once(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = handed(bundle)
    sizes = [len(unpacked(base64.b64decode(r.record or ""), 2**24)) for r in one.runs]
    monkeypatch.setattr(h, "MAX_UNPACKED_BYTES", sum(sizes))
    assert iter(found := h.documents(one)) is found
    assert len(list(found)) == len(one.runs)
    monkeypatch.setattr(h, "MAX_UNPACKED_BYTES", sum(sizes) - 1)
    with pytest.raises(BadInput, match="holds more than"):
        h.write(tmp_path / "mine", one)
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("arm", ["../../etc", "/etc", "..", "a/b", ""])
def test_no_arm_s_name_leads_out_of_the_folder(arm: str, bundle: Bundle) -> None:
    raw = handed(bundle).model_dump(mode="json")
    raw["runs"][0]["arm_id"] = arm
    with pytest.raises(BadInput):
        Handover.parse(json.dumps(raw).encode())


def test_other_hardware_is_told(bundle: Bundle) -> None:
    one = handed(bundle)
    raw = json.loads(unpacked(base64.b64decode(one.runs[0].record or ""), 2**24))
    why = h.unlike(one, [])
    theirs = raw["environment"]["device_set_names"] or [
        g["name"] for g in raw["environment"]["gpus"]
    ]
    assert why is not None and all(name in why for name in theirs)
    from lem.runner.hardware import hardware

    mine = hardware()
    here = raw["environment"] | {"gpus": [], "device_set": ["cpu"], "device_set_names": []}
    here |= {"cpu_model": mine.cpu, "cpu_count": mine.cores}
    for n in range(len(one.runs)):
        one = with_record(one, n, environment=here)
    assert h.unlike(one, []) is None
    fewer = with_record(one, 1, environment=here | {"cpu_count": mine.cores + 1})
    assert f"({mine.cores + 1} CPUs)" in str(h.unlike(fewer, []))
    assert "begun on Another" in str(
        h.unlike(with_record(one, 1, environment=here | {"cpu_model": "Another"}), [])
    )


def test_gpus_at_another_power_limit_are_other_gpus(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Gpu(
        index=0, name="NVIDIA H100 80GB HBM3", uuid="GPU-0", driver="1", memory_bytes=2**36,
        power_limit_w=700.0, clocks_mhz={}, mig=False,
    )  # fmt: skip
    half = board.model_copy(update={"power_limit_w": 350.0})
    here = described([board, board.model_copy(update={"index": 1, "uuid": "GPU-1"})])
    there = here.model_copy(
        update={
            "gpus": here.gpus[:1],
            "device_set": ["a", "b"],
            "device_set_names": [board.name] * 2,
        }
    )
    one = handed(bundle)
    raw = json.loads(unpacked(base64.b64decode(one.runs[0].record or ""), 2**24))
    asks = raw["experiment"] | {"device": {"power_limit_w": 700.0}}
    environment = there.model_dump(mode="json")
    plain = handed(bundle)
    for n in range(len(plain.runs)):
        plain = with_record(plain, n, environment=environment)
    monkeypatch.setattr(h, "gpus", lambda indices: here.gpus)
    assert h.unlike(plain, [0, 1]) is None
    monkeypatch.setattr(h, "gpus", lambda indices: here.gpus[:1])
    assert "2 × NVIDIA H100" in str(h.unlike(plain, [0]))
    monkeypatch.setattr(h, "gpus", lambda indices: [half, here.gpus[1]])
    assert "HBM3 at 350 W" in str(h.unlike(plain, [0, 1]))
    # A limit that the experiment itself asks for is set here, too.
    asked = plain
    for n in range(len(plain.runs)):
        asked = with_record(asked, n, environment=environment, experiment=asks)
    assert h.unlike(asked, [0, 1]) is None
