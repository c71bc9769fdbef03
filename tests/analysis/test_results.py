"""Opening folders, the data frame, and what became of each attempt."""

import pandas
import pytest

import lem
from lem.analysis.results import open_results
from lem.analysis.standing import standing
from lem.errors import BadInput
from tests import records


def test_records_of_a_campaign(tmp_path):
    records.campaign(tmp_path, {1: [0.02, 0.021], 4: [0.009, None]})
    found = list(lem.open(tmp_path).records())
    assert [(r.block, r.arm_id) for r in found] == [
        (0, records.arm_name(0)),
        (0, records.arm_name(1)),
        (1, records.arm_name(0)),
    ]


def test_a_folder_of_several_campaigns(tmp_path):
    for name in ("a", "b"):
        records.campaign(tmp_path / name, {1: [0.02]}, name=name)
    (tmp_path / "c").mkdir()
    results = open_results(tmp_path)
    assert [c.name for c in results.campaigns] == ["a", "b"]
    assert len(list(results.records())) == 2
    with pytest.raises(BadInput, match="holds 2 campaigns"):
        results.compare()


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_results(tmp_path, there):
    with pytest.raises(BadInput, match=r"holds no results|there is no folder"):
        open_results(tmp_path if there else tmp_path / "missing")


def test_data_frame(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, None]}, measured=("gpu",))
    frame = open_results(tmp_path).to_dataframe()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 3
    assert frame["energy_per_output_token_j.gpu"].tolist() == [2.0, 1.0, 2.1]
    assert frame["energy_per_output_token_j.gpu.uncertainty"].tolist() == pytest.approx(
        [0.04, 0.02, 0.042]
    )
    assert frame["engine.max_batch_size"].tolist() == [1, 4, 1]
    assert frame["counted"].all()


def test_standing_of_each_attempt(tmp_path):
    arm = records.arm_name
    later = {"started": records.START.replace(minute=5)}
    records.place(tmp_path, records.record(arm_id=arm(0)))
    records.place(tmp_path, records.record(arm_id=arm(0), attempt=1))
    records.place(tmp_path, records.record(arm_id=arm(1), flags=["throttled"]))
    records.place(tmp_path, records.failure(arm_id=arm(2), kind="timeout"))
    records.place(tmp_path, records.record(arm_id=arm(0), block=1))
    records.place(tmp_path, records.record(arm_id=arm(0), block=1, attempt=1, block_pass=1))
    records.place(tmp_path, records.record(arm_id=arm(0), block=2))
    records.place(tmp_path, records.record(arm_id=arm(1), block=2, boot_id="boot-2", **later))
    (tmp_path / "blocks" / "0003" / arm(0) / "0").mkdir(parents=True)
    damaged = records.place(tmp_path, records.record(arm_id=arm(1), block=3))
    (damaged / "record.json").write_text("{")
    (campaign,) = open_results(tmp_path).campaigns
    found = [s.split(" is not JSON")[0] for s in standing(campaign.rows([])).values()]
    assert found == [
        "superseded",
        "counted",
        "excluded: throttled",
        "failed: timeout",
        "void: its block was begun anew",
        "counted",
        "void: the machine was restarted in the middle",
        "void: the machine was restarted in the middle",
        "not finished",
        f"unusable: blocks/0003/{arm(1)}/0/record.json:",
    ]
