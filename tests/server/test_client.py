"""The typed client against a server: every question, and what it refuses without asking."""

import csv
import gzip
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from archive_submissions import Submitter, campaign
from server.conftest import Served

from lem.archive import checks
from lem.client import Archive
from lem.errors import BadInput
from lem.submit.client import Declined, Unreachable
from lem.trust import traits
from lem.trust.judge import Judgement

YAML = """\
version: 1
name: batching
models: [{id: a/model}]
backends: {transformers: {}}
sweep: {engine.max_batch_size: [1, 2]}
workload:
  requests: 32
  dataset: {kind: random, input_tokens: 8, output_tokens: 8}
"""


@pytest.fixture
def archive(lite: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Of one campaign: two configurations with three runs each."""
    monkeypatch.setattr(
        checks,
        "judge",
        lambda record, trace, *_, **__: Judgement(2, [], {}, traits.unread(record, trace)),
    )
    me = Submitter(lite.service, "Lab")
    me.push(campaign(tmp_path / "campaign", [[0.10, 0.11, 0.12], [0.20, 0.21, 0.22]]))
    while checks.check_next(lite.service.database, lite.service.packs) is not None:
        pass

    def ask(request: httpx.Request) -> httpx.Response:
        answer = lite.client.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    with Archive("http://127.0.0.1:8000", transport=httpx.MockTransport(ask)) as client:
        yield client


def test_the_board_and_its_configurations(archive: Archive) -> None:
    board = archive.leaderboard()
    assert board.configurations == 2 and board.chosen.best_tier == "recomputed"
    assert [p.figure.value for p in board.rows] == pytest.approx([0.11, 0.21])
    assert [p.figure.runs for p in board.rows] == [3, 3]
    first = board.rows[0].configuration
    assert archive.configuration(first.id[:16]).configuration == first
    alone = archive.leaderboard(**{"engine.max_batch_size": [1, 64]}, limit=5)
    assert [p.configuration.max_batch_size for p in alone.rows] == [1]
    assert archive.leaderboard(energy_class="estimated").rows == []
    assert archive.info().runs == 6


def test_runs_page_by_page_and_one_whole(archive: Archive) -> None:
    assert archive.results(limit=2).next is not None
    runs = list(archive.all_results(limit=2, counted=True))
    assert len({r.id for r in runs}) == 6
    assert sorted(r.figures["energy_per_output_token_j"].value for r in runs) == pytest.approx(
        [0.10, 0.11, 0.12, 0.20, 0.21, 0.22]
    )
    one = archive.result(runs[0].id)
    assert one.run == runs[0] and one.provenance.submitter == "Lab"
    assert archive.trace(runs[0].id, points=10).run == runs[0].id
    assert gzip.decompress(archive.file(runs[0].id, "trace")).startswith(b"t_ns,")


def test_overviews_and_comparisons(archive: Archive) -> None:
    better, worse = (p.configuration.id for p in archive.leaderboard().rows)
    compared = archive.compare(better, worse)
    assert compared.baseline == better
    ratio = compared.rows[1].ratio
    assert ratio is not None and ratio.basis == "within campaign"
    assert archive.compare(better, worse, baseline=worse).baseline == worse
    assert archive.facets().configurations == 2
    pair = archive.headline().pair
    # Its likelihoods are of no text.
    assert pair is not None and pair.base.role == "baseline" and not pair.quality.measured
    assert (pair.base.configuration.id, pair.other.configuration.id) == (better, worse)
    assert pair.ratio.ratio == ratio.ratio and pair.ratio.blocks == 3
    both = archive.scatter(x="energy_per_output_token_j", y="nll_per_token")
    assert sorted(both.x) == pytest.approx([0.11, 0.21])
    front = archive.pareto(x="energy_per_output_token_j", y="nll_per_token")
    assert len(front.points) == 2


def test_campaigns(archive: Archive) -> None:
    (only,) = archive.campaigns().rows
    assert archive.campaign(only.id).counted == 6
    with pytest.raises(Declined) as e:
        archive.attribute(only.id, metric="energy_per_output_token_j")
    assert e.value.reason == "not_attributable"
    planned = archive.plan(YAML)
    assert [x.settings for x in planned.experiments] == [
        {"engine.max_batch_size": 1}, {"engine.max_batch_size": 2},
    ]  # fmt: skip
    with pytest.raises(Declined):
        archive.plan("version: 1\nname: [")


def test_exports(archive: Archive) -> None:
    rows = list(csv.DictReader(io.StringIO(archive.export("csv", max_batch_size=1).decode())))
    assert len(rows) == 3 and {r["licence"] for r in rows} == {"CC-BY-4.0"}
    assert len(archive.export("jsonl").splitlines()) == 6
    assert archive.export("parquet")[:4] == b"PAR1"


def test_what_the_archive_would_refuse_is_not_asked() -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with Archive("http://localhost", transport=httpx.MockTransport(never)) as archive:
        with pytest.raises(BadInput, match="there is no such parameter"):
            archive.leaderboard(modell="x")
        with pytest.raises(BadInput, match="tier"):
            archive.leaderboard(tier="best")
        with pytest.raises(BadInput, match="at least 2 items"):
            archive.compare("0" * 16)


@pytest.mark.parametrize("answer", [b"{}", b"<html>", b'{"schema_version": 2}', b"\xff", b"NaN"])
def test_an_answer_of_something_else_is_no_archives(answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=answer))
    with (
        Archive("http://localhost", transport=transport) as archive,
        pytest.raises(Unreachable, match="does not answer"),
    ):
        archive.leaderboard()


def test_it_needs_nothing_of_a_server() -> None:
    """The host's install can ask an archive: none of the extra ``server`` is imported."""
    extra = ("alembic", "fastapi", "limits", "orjson", "prometheus_client", "psycopg", "pyarrow")
    code = f"""
import sys, importlib.abc
class No(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {(*extra, "starlette", "uvicorn")!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, No())
import lem.client
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
