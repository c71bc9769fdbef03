import pytest

from lem.archive.schema import HEADLINE
from lem.errors import BadInput
from lem.web import stories
from lem.web.stories import ChartBlock, Prose

FRONT = "---\ntitle: A\nsummary: B\ndate: 2026-11-26\nauthors: C, D\n---\n"
"""Six lines."""


def parsed(body: str) -> stories.Story:
    return stories.parsed("a-story", FRONT + body)


def wrong(body: str, front: str = FRONT) -> list[str]:
    with pytest.raises(BadInput) as refused:
        stories.parsed("a-story", front + body)
    return [str(p) for p in refused.value.problems]


def test_front_matter_paragraphs_and_charts() -> None:
    found = parsed(
        "One {{ archive.runs }}\nline.\n\n## Two\n\n"
        "```chart\nkind: scatter\nquery: model=a%2Fb&backend=vllm\nx: ttft_p50_s\n"
        "caption: Look: here\n```\n\n- three\n- four\n"
    )
    assert (found.title, found.summary, found.date) == ("A", "B", "2026-11-26")
    assert found.authors == ("C", "D")
    one, two, chart, three = found.parts
    assert one == Prose("One {{ archive.runs }}\nline.", ("archive.runs",))
    assert two == Prose("## Two")
    assert chart == ChartBlock(
        id="chart-1",
        kind="scatter",
        caption="Look: here",
        query=(("model", "a/b"), ("backend", "vllm")),
        x="ttft_p50_s",
    )
    assert isinstance(three, Prose) and three.markdown.strip() == "- three\n- four"


def test_a_figure_that_is_not_known_leaves_its_paragraph_out() -> None:
    (one,) = parsed("There are {{ archive.runs }} runs of {{ headline.model }}.").parts
    assert isinstance(one, Prose)
    assert one.filled({"archive.runs": "12"}) is None
    assert one.filled(
        {"archive.runs": "12", "headline.model": "M"}
    ) == "There are 12 runs of M\\.".replace("\\.", ".")


def test_a_figure_is_text_whatever_is_in_it() -> None:
    (one,) = parsed("{{ headline.model }}").parts
    assert isinstance(one, Prose)
    hostile = "*x* [y](javascript:z) <b> `{{ archive.runs }}`\n# h"
    filled = one.filled({"headline.model": hostile})
    assert filled is not None
    from lem.web import prose

    html = prose.html(filled, lambda target: "/")
    assert html.strip() == ("<p>*x* [y](javascript:z) &lt;b&gt; `{{ archive.runs }}` # h</p>")


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("{{ archive.cats }}", 7, "unknown figure 'archive.cats'"),
        ("a\n{{ archive.runs }", 8, "on one line"),
        ("![a](https://b.org/c.png)", 7, "picture"),
        ("[a](http://b.org)", 7, "an address is"),
        ("\n```chart\nkind: pie\n```", 8, "'kind' must be one of"),
        ("```chart\nkind: headline\ncolour: red\n```", 9, "unknown key 'colour'"),
        ("```chart\nkind: headline\nlimit: 3\n```", 7, "a chart of kind 'headline' has no 'limit'"),
        ("```chart\nkind: leaderboard\nlimit: 99\n```", 7, "'limit' must be a whole number"),
        ("```chart\nkind: headline\ncampaign: mine\n```", 7, "'campaign' must be a campaign's id"),
        ("```chart\nkind: scatter\nquery: model\n```", 7, "'query' must be as in an address"),
        ("```chart\nkind: scatter\nx: Energy!\n```", 7, "'x' must be the name of a metric"),
        ("```chart\nkind: scatter\nx\n```", 9, "must be 'key: value'"),
        ("```chart\nkind: scatter\nx: a_b\nx: c_d\n```", 10, "'x' stands there twice"),
        (f"```chart\nkind: headline\ncaption: {'a' * 401}\n```", 7, "'caption' is longer"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(body: str, line: int, what: str) -> None:
    (found,) = wrong(body)
    assert found.startswith(f"a-story.md:{line}: ") and what in found


def test_all_problems_at_once() -> None:
    assert len(wrong("{{ a }}\n\n```chart\nkind: pie\n```\n\n![a](https://b.org)")) == 3


@pytest.mark.parametrize(
    ("front", "what"),
    [
        ("", "must begin with title"),
        ("---\ntitle: A\nsummary: B\nauthors: C\n---\n", "'date' is missing"),
        (FRONT.replace("2026-11-26", "today"), "must be a day"),
        (FRONT.replace("summary", "colour"), "unknown key 'colour'"),
    ],
)
def test_front_matter_is_strict(front: str, what: str) -> None:
    assert any(what in one for one in wrong("text", front))


def test_a_name_is_a_place_in_an_address() -> None:
    with pytest.raises(BadInput, match="small letters"):
        stories.parsed("../A story", FRONT + "text")


@pytest.mark.parametrize("name", stories.names())
def test_stories_that_come_with_lem_are_sound(name: str) -> None:
    found = stories.story(name)
    assert found is not None
    charts = [part for part in found.parts if isinstance(part, ChartBlock)]
    assert charts and all(chart.caption for chart in charts)
    for chart in charts:
        assert {chart.x, chart.y, chart.metric} <= {*HEADLINE, ""}


@pytest.mark.parametrize("name", stories.names())
def test_no_figure_of_a_story_is_typed_by_hand(name: str) -> None:
    found = stories.story(name)
    assert found is not None
    for part in found.parts:
        if isinstance(part, Prose):
            assert not any(c.isdigit() for c in part.markdown), part.markdown


def test_there_is_no_other_story() -> None:
    assert stories.story("../strings") is None
