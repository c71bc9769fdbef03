"""Asks an archive from Python: every answer as the type that the server makes it of.

    with Archive("https://lem.example.org") as archive:
        for place in archive.leaderboard(device_model="NVIDIA H200", limit=5).rows:
            print(place.rank, place.configuration.model, place.figure.value, place.figure.unit)

What is asked is checked here as the server checks it, before anything is sent: a filter that is
misspelt is a :class:`~lem.errors.BadInput`. Submitting has a client of its own
(``lem/submit/client.py``), which this one speaks through.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self, TypeVar

import httpx
from pydantic import ValidationError

from lem.archive.queries.answer import Answer
from lem.archive.queries.attribute import Answered as Attribution
from lem.archive.queries.attribute import AttributeQuestion
from lem.archive.queries.compare import CompareQuestion, Comparison
from lem.archive.queries.configurations import ConfigurationAnswer
from lem.archive.queries.export import ExportQuestion, Format
from lem.archive.queries.facets import Facets, FacetsQuestion
from lem.archive.queries.filters import Question
from lem.archive.queries.headline import Headline
from lem.archive.queries.leaderboard import Leaderboard, LeaderboardQuestion
from lem.archive.queries.pareto import ParetoFront, ParetoQuestion
from lem.archive.queries.plan import Plan
from lem.archive.queries.results import Result, ResultsQuestion, Run, Runs, Trace
from lem.archive.queries.scatter import Scatter, ScatterQuestion
from lem.archive.queries.submitted import CampaignAnswer, Campaigns, CampaignsQuestion
from lem.contract.submission import ArchiveInfo
from lem.submit.client import ArchiveClient, Unreachable

A = TypeVar("A", bound=Answer)
One = str | int | float | bool | None
Asked = One | Sequence[One]
"""A parameter's value, or several: any of them. None, alone: not asked."""


class Archive:
    """An archive, for reading. Use as a context manager, or :meth:`close` it.

    Keyword arguments of its methods are the parameters in ``docs/api.md``; names with dots are
    given as ``**{"engine.max_batch_size": [8, 16]}``, and ``class`` is called ``energy_class``.
    Every method may raise :class:`~lem.errors.BadInput` (the question),
    :class:`~lem.submit.client.Declined` (the archive's no) and
    :class:`~lem.submit.client.Unreachable`.
    """

    def __init__(
        self, url: str, *, plain_http: bool = False, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._client = ArchiveClient(url, plain_http=plain_http, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def info(self) -> ArchiveInfo:
        """Which archive this is, and what it takes."""
        return self._client.info()

    def leaderboard(self, **asked: Asked) -> Leaderboard:
        """Configurations from the best to the worst, with ranks where intervals tell them apart."""
        return self._ask(Leaderboard, "/leaderboard", LeaderboardQuestion, asked)

    def configuration(self, id: str) -> ConfigurationAnswer:
        """All that is known of one configuration; the first 16 digits of its id are enough."""
        return self._get(ConfigurationAnswer, f"/configurations/{id}")

    def results(self, **asked: Asked) -> Runs:
        """One page of runs, the newest arrival first."""
        return self._ask(Runs, "/results", ResultsQuestion, asked)

    def all_results(self, **asked: Asked) -> Iterator[Run]:
        """The runs of every page; those that arrive meanwhile are not among them."""
        cursor: str | None = None
        while True:
            page = self.results(**{"limit": 500, **asked, "cursor": cursor})
            yield from page.rows
            cursor = page.next
            if cursor is None:
                return

    def result(self, id: str) -> Result:
        """One run: its whole public record, who sent it, what the archive found."""
        return self._get(Result, f"/results/{id}")

    def trace(self, id: str, points: int = 2000) -> Trace:
        """A run's readings; at most so many of each series."""
        return self._get(Trace, f"/results/{id}/trace", {"points": points})

    def file(self, id: str, kind: Literal["trace", "responses"]) -> bytes:
        """A run's file as it was sent: CSV, gzip."""
        return self._client.download(f"/results/{id}/files/{kind}")

    def facets(self, **asked: Asked) -> Facets:
        """How many configurations have which values."""
        return self._ask(Facets, "/facets", FacetsQuestion, asked)

    def scatter(self, **asked: Asked) -> Scatter:
        """Two metrics (``x``, ``y``) of every configuration that matches, as columns."""
        return self._ask(Scatter, "/scatter", ScatterQuestion, asked)

    def pareto(self, **asked: Asked) -> ParetoFront:
        """Configurations that no other beats in both of two metrics (``x``, ``y``)."""
        return self._ask(ParetoFront, "/pareto", ParetoQuestion, asked)

    def headline(self) -> Headline:
        """Two configurations of one campaign that do the same work equally well, one of them as the
        engine comes."""
        return self._get(Headline, "/headline")

    def compare(self, *ids: str, **asked: Asked) -> Comparison:
        """2 to 20 configurations beside each other; the first is the baseline."""
        return self._ask(Comparison, "/compare", CompareQuestion, {"id": ids, **asked})

    def campaigns(self, **asked: Asked) -> Campaigns:
        """One page of campaigns, the newest first."""
        return self._ask(Campaigns, "/campaigns", CampaignsQuestion, asked)

    def campaign(self, id: str) -> CampaignAnswer:
        """What is there of one campaign, and what the checks found."""
        return self._get(CampaignAnswer, f"/campaigns/{id}")

    def attribute(self, campaign: str, **asked: Asked) -> Attribution:
        """How much of the spread within a campaign each swept parameter explains."""
        path = f"/campaigns/{campaign}/attribute"
        return self._ask(Attribution, path, AttributeQuestion, asked)

    def plan(self, campaign: str) -> Plan:
        """Which experiments of a campaign (the text of its file, or of its lock) are measured
        already, and on what."""
        return self._parsed(Plan, self._client.post_text("/campaigns/plan", campaign.encode()))

    def export(self, format: Format, **asked: Asked) -> bytes:
        """All runs that match, as a file of at most 64 MiB. Of more, take the archive's dump or
        ``GET /export`` itself."""
        given = {"format": format, **asked}
        return self._client.download("/export", _parameters(ExportQuestion, given))

    def _ask(
        self, kind: type[A], path: str, question: type[Question], asked: Mapping[str, Asked]
    ) -> A:
        return self._get(kind, path, _parameters(question, asked))

    def _get(self, kind: type[A], path: str, given: Mapping[str, Asked] | None = None) -> A:
        return self._parsed(kind, self._client.download(path, given))

    def _parsed(self, kind: type[A], answer: bytes) -> A:
        try:
            return kind.model_validate_json(answer)
        except ValidationError as e:
            where = ".".join(map(str, e.errors()[0]["loc"]))
            raise Unreachable(
                f"{self._client.url} does not answer as this lem reads it: {where[:200]}",
                hint="is it an archive, and of this lem's version?",
            ) from e


def _parameters(question: type[Question], asked: Mapping[str, Asked]) -> dict[str, Asked]:
    """As the query string has them. Raises :class:`BadInput` for what the server would refuse."""
    items: list[tuple[str, str]] = []
    for name, value in asked.items():
        if value is None:
            continue
        several = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
        called = "class" if name == "energy_class" else name
        items += [(called, _text(v)) for v in several]
    question.from_query(items)
    found: dict[str, list[One]] = {}
    for name, text in items:
        found.setdefault(name, []).append(text)
    return dict(found)


def _text(value: One) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
