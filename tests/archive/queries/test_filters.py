import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.archive.queries.facets import FacetsQuestion, facets
from lem.archive.queries.filters import Filtered, is_filter
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.queries.results import ResultsQuestion, results
from lem.archive.queries.selection import filters
from lem.archive.schema import CONFIG, DIMENSIONS
from lem.errors import BadInput
from tests import archive_queries


def found(archive, *items) -> set[str]:
    with archive.database.reading() as c:
        board = leaderboard(c, LeaderboardQuestion.from_query([*items, ("limit", "500")]))
    return {r.configuration.id for r in board.rows}


def expected(known, test) -> set[str]:
    return {
        h
        for h, c in known.configurations().items()
        if c.energy_class == "gpu" and known.best_tier(h) and test(c)
    }


CASES = [
    ([("backend", "vllm")], lambda c: c.backend == "vllm"),
    ([("backend", "vllm"), ("backend", "transformers")], lambda c: True),
    ([("max_batch_size", "4")], lambda c: c.max_batch_size == 4),
    ([("max_batch_size", "4.0"), ("max_batch_size", "8")], lambda c: c.max_batch_size in (4, 8)),
    ([("load", "")], lambda c: c.load is None),
    ([("load", "2")], lambda c: c.load == 2),
    ([("quantization", "")], lambda c: c.quantization == ""),
    ([("max_batch_size", "four")], lambda c: False),
    ([("engine.max_batch_size", "4")], lambda c: c.max_batch_size == 4),
    (
        [("engine.max_batch_size", "1"), ("engine.max_batch_size", "8"), ("backend", "vllm")],
        lambda c: c.max_batch_size in (1, 8) and c.backend == "vllm",
    ),
    (
        [("args.enable_prefix_caching", "true")],
        lambda c: c.experiment["args"]["enable_prefix_caching"] is True,
    ),
    ([("args.enable_prefix_caching", "1")], lambda c: False),
    ([("args.name", "x1")], lambda c: c.experiment["args"]["name"] == "x1"),
    ([("args.share", "0.25")], lambda c: c.experiment["args"]["share"] == 0.25),
    ([("args.share", "0")], lambda c: c.experiment["args"]["share"] == 0),
    (
        [("vllm.args.enable_prefix_caching", "false"), ("engine.max_batch_size", "1")],
        lambda c: (
            c.backend == "vllm"
            and not c.experiment["args"]["enable_prefix_caching"]
            and c.max_batch_size == 1
        ),
    ),
    ([("args.not_there", "null")], lambda c: True),
    ([("args.name", "null")], lambda c: False),
    ([("device.power_limit_w", "")], lambda c: True),
    ([("model.id", "org/Model-7B")], lambda c: c.model == "org/Model-7B"),
    ([("workload.dataset.output_tokens", "32")], lambda c: True),
    ([("q", "MODEL-7b")], lambda c: c.model == "org/Model-7B"),
    ([("q", "_50%")], lambda c: c.model == "org/model_50%"),
    ([("q", "%")], lambda c: c.model == "org/model_50%"),
    ([("q", "el_")], lambda c: c.model == "org/model_50%"),
    ([("until", "2000-01-01")], lambda c: False),
    ([("since", "2000-01-01")], lambda c: True),
    ([("semantics", "3")], lambda c: False),
]


def test_filters_take_what_they_say(archive) -> None:
    known = archive_queries.filled(archive)
    for items, test in CASES:
        assert found(archive, *items) == expected(known, test), items


def test_times_are_those_of_the_newest_run(archive) -> None:
    known = archive_queries.filled(archive)
    newest = {
        h: max(r.started_at for r in known.of(h) if r.counted)
        for h in expected(known, lambda c: True)
    }
    cut = sorted(newest.values())[len(newest) // 2]
    from datetime import UTC, datetime

    text = datetime.fromtimestamp(cut, UTC).isoformat()
    assert found(archive, ("since", text)) == {h for h, at in newest.items() if at >= cut}
    assert found(archive, ("until", text)) == {h for h, at in newest.items() if at <= cut}


@pytest.mark.parametrize(
    "name",
    [
        "launcher",
        "nothing",
        "engine",
        "engine.nothing",
        "args",
        "args.",
        "args.x y",
        "args.x'--",
        'args."x',
        "model",
        "where",
        "__class__",
        "args." + ".".join("a" * 12),
        "vllm.backend",
        "args.é",
        "config_id",
        "experiment",
        "; DROP TABLE run",
        "args.x\x00",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    if name == "model":
        assert is_filter(name)
        return
    assert not is_filter(name)
    with pytest.raises(BadInput, match="no such parameter"):
        Filtered.from_query([(name, "1")])


@pytest.mark.parametrize(
    "items",
    [
        [("class", "gpu"), ("class", "cpu")],
        [("class", "water")],
        [("tier", "3")],
        [("q", "")],
        [("q", "x" * 301)],
        [("since", "yesterday")],
        [("backend", "a\x00b")],
        [("backend", "\ud800")],
        [("limit", "501")],
        [("limit", "nan")],
        [("args.x", str(n)) for n in range(51)],
        [(f"args.x{n}", "1") for n in range(41)],
        [("cursor", "a b")],
        [("metric", "joy")],
        [("semantics", "0")],
    ],
)
def test_what_is_out_of_bounds_is_refused(items) -> None:
    with pytest.raises(BadInput):
        LeaderboardQuestion.from_query(items)


PATHS = [
    "engine.max_batch_size",
    "args.x",
    "args.name",
    "vllm.args.share",
    "generate.temperature",
    "workload.arrival.concurrency",
    "model.content",
    "device.power_limit_w",
]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "null",
            "true",
            "1e308",
            "1e999",
            "-0",
            "NaN",
            "Infinity",
            "9" * 300,
            "'",
            '"',
            "%",
            "_",
            "\\",
            "{}",
            "[1]",
            "0x1",
            "1_0",
            "\u2028",
            "🙂",
            "99999999999999999999",
            "9223372036854775808",
            "-9223372036854775809",
            "1" + "0" * 200,
        ]
    ),
    st.integers().map(str),
    st.floats().map(json.dumps),
)


def test_no_text_makes_an_error_of_the_database(archive) -> None:
    archive_queries.filled(archive, 6)

    @settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from([*DIMENSIONS, *PATHS, "q", "since", "until"]), TEXTS),
            max_size=4,
        )
    )
    def ask(items) -> None:
        for model, function in (
            (LeaderboardQuestion, leaderboard),
            (FacetsQuestion, facets),
            (ResultsQuestion, results),
        ):
            try:
                question = model.from_query(items)
            except BadInput:
                continue
            with archive.database.reading() as c:
                function(c, question)

    ask()


@given(st.text(max_size=60))
def test_no_name_gets_through_that_is_not_made_of_plain_keys(name: str) -> None:
    if is_filter(name):
        assert set(name) <= set(string.ascii_letters + string.digits + "_-.")


def test_values_are_parameters_and_never_part_of_the_statement(archive) -> None:
    question = Filtered.from_query([("args.x", "secret'"), ("backend", "hidden"), ("q", "covered")])
    with archive.database.reading() as c:
        statement = CONFIG.select().where(*filters(c, question)).compile(dialect=c.dialect)
    assert not any(word in str(statement) for word in ("secret", "hidden", "covered", "args"))
