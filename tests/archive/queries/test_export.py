import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
from referencing import Registry, Resource

from lem.archive.queries.export import COLUMNS, MEDIA_TYPES, ExportQuestion, export
from lem.archive.queries.results import ResultsQuestion, results
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, HEADLINE
from tests import archive_queries, records

SCHEMAS = Path(__file__).parents[2] / "report" / "boamps"


def boamps_validator() -> jsonschema.Draft4Validator:
    found = {p.stem: json.loads(p.read_text()) for p in SCHEMAS.glob("*_schema.json")}
    registry = Registry().with_resources(
        [(s["id"], Resource.from_contents(s)) for s in found.values()]
    )
    return jsonschema.Draft4Validator(found["report_schema"], registry=registry)


def ask(archive, *items) -> bytes:
    question = ExportQuestion.from_query(items)
    with archive.database.reading() as c:
        made = export(c, archive.packs, question)
        assert made.media_type == MEDIA_TYPES[question.format]
        return b"".join(made.chunks)


def expected(known, test):
    return sorted(
        (r.config.hash, r.block, known.names[r.identity_id], r.figures[0])
        for r in known.rows
        if test(r)
    )


def of_gpu(row) -> bool:
    return row.config.energy_class == "gpu"


def test_measured_and_estimated_never_stand_in_one_column(archive) -> None:
    known = archive_queries.filled(archive)
    for items, energy_class in (((), "gpu"), ((("class", "estimated"),), "estimated")):
        rows = list(csv.DictReader(io.StringIO(ask(archive, *items).decode())))
        assert {r["energy_class"] for r in rows} == {energy_class}
        wanted = [r for r in known.rows if r.counted and r.config.energy_class == energy_class]
        assert len(rows) == len(wanted)


def test_an_export_says_the_definitions_that_its_rows_follow(archive) -> None:
    gpus = [{**records.gpu(), "uuid": "board-" + "1" * 32}]
    for n, semantics in enumerate((3, 4)):
        one = records.record(energy={"gpu": 0.5}, gpus=gpus, semantics=semantics)
        archive_queries.submitted(archive, [one], submitter=n)
    with archive.database.reading() as c:
        configs = {r.semantics_version: r.hash for r in c.execute(CONFIG.select())}
    for semantics, of in configs.items():
        (row,) = csv.DictReader(io.StringIO(ask(archive, ("configuration", of)).decode()))
        assert row["semantics_version"] == str(semantics)
        assert f"metric semantics {semantics}" in row["citation"]
        with archive.database.reading() as c:
            found = results(c, ResultsQuestion(configuration=of))
        assert found.metric_semantics_version == semantics and len(found.rows) == 1


def test_csv_reads_back(archive) -> None:
    known = archive_queries.filled(archive)
    text = ask(archive, ("backend", "vllm")).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    found = sorted(
        (r["configuration"], int(r["block"]), r["submitter"], float(r["energy_per_output_token_j"]))
        for r in rows
    )
    assert found == expected(
        known, lambda r: r.counted and of_gpu(r) and r.config.backend == "vllm"
    )
    assert set(rows[0]) == set(COLUMNS)
    assert {r["licence"] for r in rows} == {"CC-BY-4.0"}
    assert {r["semantics_version"] for r in rows} == {"4"}
    assert all(re.match(r"lem archive [0-9a-f]{16}, data version \d+", r["citation"]) for r in rows)


def test_json_lines_read_back(archive) -> None:
    known = archive_queries.filled(archive)
    rows = [json.loads(line) for line in ask(archive, ("format", "jsonl")).splitlines()]
    found = sorted((r["configuration"], r["block"], r["submitter"], r[HEADLINE[0]]) for r in rows)
    assert found == expected(known, lambda r: r.counted and of_gpu(r))
    assert all(list(r) == list(COLUMNS) and r["licence"] == "CC-BY-4.0" for r in rows)


def test_parquet_reads_back(archive) -> None:
    known = archive_queries.filled(archive)
    table = pq.read_table(io.BytesIO(ask(archive, ("format", "parquet"))))
    rows = table.to_pylist()
    found = sorted((r["configuration"], r["block"], r["submitter"], r[HEADLINE[0]]) for r in rows)
    assert found == expected(known, lambda r: r.counted and of_gpu(r))
    said = {k.decode(): v.decode() for k, v in table.schema.metadata.items()}
    assert said["licence"] == "CC-BY-4.0" and said["metric_semantics_version"] == "4"
    assert "data version" in said["citation"]
    assert json.loads(said["units"])["energy_per_output_token_j"] == "J/token"
    assert str(table.schema.field("started_at").type) == "string"
    assert str(table.schema.field("ttft_p50_s").type) == "double"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "boamps"])
def test_nothing_is_a_file_too(archive, kind: str) -> None:
    data = ask(archive, ("format", kind))
    assert {"csv": data.count(b"\n") == 1, "parquet": pq_rows(data, kind) == 0}.get(
        kind, data == b""
    )


def pq_rows(data: bytes, kind: str) -> int:
    return pq.read_metadata(io.BytesIO(data)).num_rows if kind == "parquet" else 0


def test_boamps_reports_are_valid_and_say_the_energy(archive) -> None:
    gpus = [{**records.gpu(), "uuid": "board-" + "1" * 32}]
    made = [
        records.record(energy={"gpu": 0.5, "cpu": 0.1}, gpus=gpus, semantics=4, block=0),
        records.record(energy={"gpu": 0.5, "cpu": 0.1}, gpus=gpus, semantics=4, block=1),
    ]
    archive_queries.submitted(archive, made)
    archive_queries.submitted(archive, [records.record(semantics=4)], submitter=1)
    boamps = ("format", "boamps")
    texts = ask(archive, boamps) + ask(archive, boamps, ("class", "estimated"))
    reports = [json.loads(line) for line in texts.splitlines()]
    assert len(reports) == 3
    validator = boamps_validator()
    for r in reports:
        validator.validate(r)
        assert r["header"]["licensing"] == "CC-BY-4.0"
        assert "data version" in r["task"]["taskDescription"]
    one = reports[0]
    # 0.5 J/token × 1000 tokens
    by = {m["measurementMethod"]: m["powerConsumption"] * 3.6e6 for m in one["measures"]}
    assert by == {"lem: gpu by nvml": pytest.approx(500), "lem: cpu by rapl": pytest.approx(100)}
    assert one["measures"][0]["measurementDuration"] == pytest.approx(25)
    assert one["task"]["nbRequest"] == 32
    assert "estimate, modelled" in reports[2]["measures"][0]["measurementMethod"]
    assert reports[2]["quality"] == "low" and one["quality"] == "high"
    assert len({r["header"]["reportId"] for r in reports}) == 3
    again = [json.loads(line) for line in ask(archive, boamps).splitlines()]
    assert again == reports[:2]


def test_a_formula_is_not_run_by_a_spreadsheet(archive) -> None:
    archive_queries.filled(archive, 3)
    with archive.database.writing() as c:
        c.execute(CONFIG.update().values(model='=HYPERLINK("http://x")'))
    rows = list(csv.DictReader(io.StringIO(ask(archive).decode())))
    assert rows and all(r["model"] == '\'=HYPERLINK("http://x")' for r in rows)


def test_a_part_is_never_given_for_the_whole(archive) -> None:
    archive_queries.filled(archive, 5)
    with pytest.raises(Refused) as refused:
        ask(archive, ("limit", "3"))
    assert refused.value.reason == "too_many"
