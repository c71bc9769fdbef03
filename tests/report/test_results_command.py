"""``lem results`` as it is typed."""

import csv
import io
import json

import pytest

from lem.cli.main import main
from tests import records

VALUES = {1: [0.02, 0.021], 4: [0.009, None]}


@pytest.fixture
def lem(capsys):
    """Runs the command line; gives exit status, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["results", *map(str, arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path):
    records.campaign(tmp_path / "c", VALUES)
    return tmp_path / "c"


def test_list_of_one_campaign_shows_its_runs(lem, folder):
    code, out, _ = lem("list", folder)
    assert code == 0
    text = " ".join(out.split())
    assert text.count("counted") == 3 and "20.0 ms CPU" in text
    assert "failed:" in text and "out_of_memory" in text


def test_list_shows_measured_energy_with_its_uncertainty(lem, tmp_path):
    records.campaign(tmp_path, {1: [2.0]}, measured=("gpu",), relative_u=0.07)
    _, out, _ = lem("list", tmp_path)
    assert "2.00 ± 0.14 J (gpu)" in out


def test_list_limit(lem, folder):
    _, out, err = lem("list", folder, "--limit", 1)
    assert "20.0 ms CPU" not in out and "last 1 of 4" in err


def test_list_of_several_campaigns(lem, tmp_path, folder):
    records.campaign(tmp_path / "d", {1: [0.02]}, blocks=3, name="other")
    _, out, _ = lem("list", tmp_path)
    assert "other" in out and "1 of 3" in out
    _, out, _ = lem("list", tmp_path, "--json")
    found = json.loads(out)["campaigns"]
    assert [(c["name"], c["counted"], c["failed"]) for c in found] == [
        ("test", 3, 1),
        ("other", 1, 0),
    ]
    stands = [a["stands"] for a in found[0]["attempts"]]
    assert sorted(stands) == ["counted"] * 3 + ["failed: out_of_memory"]


def test_the_default_is_the_results_folder_here(lem, tmp_path, monkeypatch):
    records.campaign(tmp_path / "results" / "a", VALUES)
    monkeypatch.chdir(tmp_path)
    code, out, _ = lem("compare", "--json")
    assert code == 0 and json.loads(out)["campaign"] == "test"


@pytest.mark.parametrize("command", ["list", "compare", "export"])
def test_a_missing_folder_is_bad_input_with_a_fix(lem, command):
    code, out, err = lem(command, "/nonexistent/results")
    assert (code, out) == (2, "")
    assert "there is no folder" in err and "fix:" in err and "Traceback" not in err


def test_compare(lem, folder):
    code, out, _ = lem("compare", folder)
    assert code == 0
    assert out.startswith("CPU time per token (no energy meter here)")
    assert f"Records: {folder}" in out


def test_compare_json_is_all_of_stdout(lem, folder):
    code, out, _ = lem("compare", folder, "--json", "--gate", "5%")
    document = json.loads(out)
    assert code == 0 and document["estimated"] is True
    four = next(a for a in document["arms"] if a["name"] == "batch size 4")
    assert four["ratios"]["cpu_time_per_output_token_s"]["ratio"] == pytest.approx(0.45)
    assert document["gate"]["results"][0]["outcome"] == "cannot_tell"


def test_several_campaigns_are_compared_one_by_one(lem, tmp_path, folder):
    records.campaign(tmp_path / "d", {1: [None]}, name="empty")
    code, out, err = lem("compare", tmp_path)
    assert code == 0
    assert out.count("Records:") == 1 and "no run to compare yet" in err
    assert lem("compare", tmp_path, "--json")[0] == 2
    assert lem("compare", tmp_path / "d")[0] == 2


@pytest.mark.parametrize(
    ("limit", "code", "word"),
    [("5%", 1, "worse by more than 5 %"), ("900 %", 0, "no arm is shown")],
)
def test_gate(lem, tmp_path, limit, code, word):
    records.campaign(tmp_path, {1: [1.0, 1.01, 1.0], 4: [1.3, 1.31, 1.32]}, measured=("gpu",))
    status, _, err = lem("compare", tmp_path, "--gate", limit)
    assert status == code and word in err


@pytest.mark.parametrize("limit", ["5", "x%", "-5%", "nan%", "", "1e9%"])
def test_a_gate_that_is_no_percentage(lem, folder, limit):
    code, _, err = lem("compare", folder, "--gate", limit)
    assert code == 2 and "--gate 5%" in err


@pytest.mark.parametrize(
    ("margin", "fix"), [("2", "--margin 2%"), ("0.02", "--margin 2%"), ("300", "--margin 5%")]
)
def test_a_margin_without_its_sign_is_told_how_to_write_it(lem, folder, margin, fix):
    code, _, err = lem("compare", folder, "--margin", margin)
    assert code == 2 and fix in err


def test_show_a_run_in_full(lem, folder):
    arm = records.arm_name(0)
    code, out, _ = lem("show", folder / "blocks" / "0000" / arm / "0" / "record.json")
    assert code == 0
    text = " ".join(out.split())
    # 0.02 s of CPU time a token × 1,000 tokens × 10 W, ± 50 %.
    for part in ("window 0", "estimated0", "200 ± 100", "Test CPU", "modelled from CPU time"):
        assert part in text


def test_show_json_is_the_record_itself(lem, folder):
    at = folder / "blocks" / "0000" / records.arm_name(0) / "0"
    _, out, _ = lem("show", at, "--json")
    assert json.loads(out) == json.loads((at / "record.json").read_text())


def test_show_a_failure(lem, folder):
    code, out, _ = lem("show", folder / "blocks" / "0001" / records.arm_name(1) / "0")
    assert code == 0 and "out_of_memory" in out and "the engine ran out of memory" in out


def test_show_by_the_beginning_of_an_id(lem, folder):
    code, out, _ = lem("show", "00000002-0", folder, "--json")
    assert code == 0 and json.loads(out)["run_id"] == "00000002-0-0-0"
    _, out, _ = lem("show", records.arm_name(0), folder)
    assert out.count("counted") == 2


def test_show_by_the_name_in_the_tables(lem, folder):
    """The same selectors as in ``compare --baseline``."""
    for name in ("batch size 1", "engine.max_batch_size=1"):
        code, out, _ = lem("show", name, folder)
        assert code == 0 and out.count("batch size 1") == 2 and "batch size 4" not in out


def test_show_what_is_not_there(lem, folder):
    code, _, err = lem("show", "ffffffff", folder)
    assert code == 2 and "goes by 'ffffffff'" in err and "lem results list" in err
    code, _, err = lem("show", "Size 4", folder)
    assert code == 2 and "perhaps 'batch size 4'" in err
    assert "perhaps" not in lem("show", "size 41", folder)[2]
    code, _, err = lem("show", folder / "blocks" / "0000" / records.arm_name(0) / "7", folder)
    assert code == 2


def test_an_error_that_quotes_a_file_is_only_text(lem, folder):
    at = folder / "blocks" / "0000" / records.arm_name(0) / "0"
    raw = json.loads((at / "record.json").read_text())
    (at / "record.json").write_text(json.dumps({**raw, "\x1b[2Jevil\u202e": 1}))
    code, _, err = lem("show", at)
    assert code == 2 and "\\x1b[2Jevil" in err and "\x1b" not in err and "\u202e" not in err


def test_export_jsonl(lem, folder):
    code, out, _ = lem("export", folder)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(found) == 3 and all(r["schema_version"] == 1 for r in found)


def test_export_csv(lem, folder, tmp_path):
    file = tmp_path / "out.csv"
    code, out, err = lem("export", folder, "--format", "csv", "-o", file)
    assert (code, out) == (0, "") and "3 records" in err
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [r["engine.max_batch_size"] for r in rows] == ["1", "4", "1"]
    assert [float(r["cpu_time_per_output_token_s"]) for r in rows] == [0.02, 0.009, 0.021]
    assert {r["counted"] for r in rows} == {"True"}


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_a_spreadsheet_runs_nothing(lem, tmp_path, text):
    raw = records.experiment()
    raw["model"]["id"] = text
    raw["args"] = {"=evil()": 1.5}
    records.place(tmp_path, records.record(raw_experiment=raw, cpu_time_s=0.02))
    _, out, _ = lem("export", tmp_path, "--format", "csv")
    header, row = list(csv.reader(io.StringIO(out, newline="")))
    cells = dict(zip(header, row, strict=True))
    assert cells["model.id"] == f"'{text}"
    assert cells["args.=evil()"] == "1.5"
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in header + row)


def test_export_where_nothing_can_be_written(lem, folder, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = lem("export", folder, "-o", tmp_path / "file" / "x.jsonl")
    assert code == 2 and "cannot be written" in err


@pytest.mark.parametrize("margin", ["5", "x%", "-1%", "0%", "100%", "200%"])
def test_a_margin_that_is_none(lem, folder, margin):
    code, _, err = lem("compare", folder, "--margin", margin)
    assert code == 2 and "--margin" in err


def test_a_margin(lem, tmp_path):
    values = {1: [1.0] * 5, 4: [1.0, 1.01, 0.99, 1.005, 0.995]}
    records.campaign(tmp_path, values, measured=("gpu",))
    assert "the same GPU energy" in " ".join(lem("compare", tmp_path)[1].split())
    assert "Can't tell yet" in lem("compare", tmp_path, "--margin", "0.1%")[1]


def test_all_tables_of_a_gate_hold_together(lem, tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu", "cpu"))
    assert "Intervals of each table" in lem("compare", tmp_path)[1]
    assert "Intervals of all tables" in lem("compare", tmp_path, "--gate", "5%")[1]
    document = json.loads(lem("compare", tmp_path, "--gate", "5%", "--json")[1])
    assert document["level_across_quantities"] is True
