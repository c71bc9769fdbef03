from pathlib import Path

import pytest

import lem
from lem.charts.model import Target
from lem.web import prose
from lem.web.addresses import PATHS, path_of

TEXTS = sorted(p.stem for p in (Path(lem.__file__).parent / "web/texts").glob("*.md"))


def address(target: Target) -> str:
    return f"/{path_of(target)}"


def problems(markdown: str) -> list[str]:
    return [str(p) for p in prose.problems_of(markdown, "a.md")]


def test_html_in_a_text_is_shown_as_text() -> None:
    found = prose.html("Hello <script>alert(1)</script> <b onclick='x'>you</b>", address)
    assert "<script" not in found and "<b" not in found and "&lt;script&gt;" in found


def test_headings_can_be_linked_to() -> None:
    found = prose.html("## Rank group\n\n### CO₂e & more", address)
    assert '<h2 id="rank-group">' in found and '<h3 id="co2e-more">' in found


def test_pages_are_named_and_become_addresses() -> None:
    found = prose.html("[a](page:glossary#tier) [b](page:story/the-same-answer)", address)
    assert 'href="/glossary#tier"' in found and 'href="/stories/the-same-answer"' in found


@pytest.mark.parametrize(
    "markdown",
    [
        "![a](https://example.org/a.png)",
        "[a](http://example.org)",
        "[a](page:nowhere)",
        "[a](page:stories/one)",
        "[a](page:story/one/two)",
        "[a](page:method/one)",
        "[a](page:story)",
        "[a](/explore)",
        "[a](javascript:alert(1))[b](//example.org)",
    ],
)
def test_what_may_not_be_in_a_text(markdown: str) -> None:
    assert len(problems(markdown)) == 1


def test_a_problem_has_its_line() -> None:
    assert problems("one\n\ntwo [a](page:nowhere)") == [
        "a.md:3: 'page:nowhere': there is no such page"
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_sound(name: str) -> None:
    found = prose.text(name)
    assert found.title and found.description and name in PATHS
    ids = [h.id for h in found.headings]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_places_that_are_there(name: str) -> None:
    """``page:data#how-to-cite``: the text of that page has such a heading."""
    whole = prose.text(name)
    body = whole.lead + whole.body
    for target in [t.split(")")[0] for t in body.split("](page:")[1:]]:
        page, _, place = target.partition("#")
        if place:
            assert f'id="{place}"' in prose.html(prose.text(page).body, address), target
