"""Models by their size, as their names say it."""

import pytest
import sqlalchemy as sa

from lem.archive.queries.facets import FacetsQuestion, facets
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.queries.results import ResultsQuestion, results
from lem.archive.queries.sizes import SIZES, size_of
from lem.archive.schema import CONFIG
from tests import archive_queries


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "below 1B"),
        ("Qwen/Qwen3-0.6B", "below 1B"),
        ("meta-llama/Llama-3.2-1B", "1B to 4B"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "1B to 4B"),
        ("google/gemma-3-4b-it", "4B to 15B"),
        ("meta-llama/Llama-3.1-8B-Instruct", "4B to 15B"),
        ("Qwen/Qwen2.5-14B-Instruct-1M", "4B to 15B"),
        ("someone/Llama-3-8B-4bit", "4B to 15B"),
        ("Qwen/Qwen3-30B-A3B", "15B to 40B"),
        ("mistralai/Mixtral-8x7B-v0.1", "40B to 100B"),
        ("openai/gpt-oss-120b", "100B and more"),
        ("TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T", "1B to 4B"),
        ("TinyLlama/TinyLlama-1.1B-intermediate-step-240k-503b", "1B to 4B"),
        ("someone/Llama-1M-context-8B", "4B to 15B"),
        ("moonshotai/Kimi-K2-1T", "100B and more"),
        ("stabilityai/stablelm-2-1_6b", "not said"),
        ("someone/model_7b", "4B to 15B"),
        ("microsoft/phi-4", "not said"),
        ("microsoft/Phi-3-mini-4k-instruct", "not said"),
        ("BAAI/bge-m3", "not said"),
        ("70B/none", "not said"),
        ("x/0B", "not said"),
        ("x/" + "9" * 400 + "B", "not said"),
        ("", "not said"),
        (None, "not said"),
    ],
)
def test_the_size_is_what_the_name_says(model: str | None, size: str) -> None:
    assert size_of(model) == size


def test_configurations_are_found_and_counted_by_size(archive) -> None:
    archive_queries.filled(archive)
    with archive.database.reading() as c:
        every = facets(c, FacetsQuestion())
        sizes = every.dimensions["model_size"]
        assert [s.value for s in sizes] == [s for s in SIZES if s in {x.value for x in sizes}]
        assert sum(s.configurations for s in sizes) == every.configurations
        assert len(sizes) > 1
        for size in sizes:
            asked = {"where": {"model_size": [size.value]}}
            found = facets(c, FacetsQuestion.model_validate(asked))
            assert found.configurations == size.configurations
            # Its own filter does not narrow its own counts.
            assert found.dimensions["model_size"] == sizes
            assert {size_of(m.value) for m in found.dimensions["model"]} == {size.value}
            board = leaderboard(c, LeaderboardQuestion.model_validate(asked))
            assert {size_of(p.configuration.model) for p in board.rows} == {size.value}
            runs = results(c, ResultsQuestion.model_validate(asked | {"limit": 500}))
            models = dict(c.execute(sa.select(CONFIG.c.hash, CONFIG.c.model)).all())
            assert {size_of(models[r.configuration]) for r in runs.rows} == {size.value}
