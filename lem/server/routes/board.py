"""What the archive has, over all configurations: the board, counts, points, comparisons, fronts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from lem.archive.queries.compare import CompareQuestion, Comparison, compare
from lem.archive.queries.configurations import ConfigurationAnswer, configuration
from lem.archive.queries.facets import Facets, FacetsQuestion, facets
from lem.archive.queries.headline import Headline, headline
from lem.archive.queries.leaderboard import Leaderboard, LeaderboardQuestion, leaderboard
from lem.archive.queries.pareto import ParetoFront, ParetoQuestion, pareto
from lem.archive.queries.points import (
    PointRows,
    PointRowsQuestion,
    Points,
    PointsQuestion,
    point_rows,
    points,
)
from lem.archive.queries.scatter import Scatter, ScatterQuestion, scatter
from lem.server.answers import queried
from lem.server.auth import Here
from lem.server.describe import asked, parameters, read

router = APIRouter(tags=["board"])
ConfigurationPath = Annotated[
    str,
    Path(pattern="^[0-9a-f]{16,64}$", description="64 digits, or the first ones, at least 16."),
]


@router.get(
    "/leaderboard",
    response_model=Leaderboard,
    responses=read(410),
    openapi_extra=parameters(LeaderboardQuestion),
)
def get_leaderboard(
    request: Request,
    service: Here,
    question: Annotated[LeaderboardQuestion, Depends(asked(LeaderboardQuestion))],
) -> Response:
    """Configurations from the best to the worst. Ranks are given only where intervals tell
    configurations apart; the answer says which device class and tier it is about."""
    return queried(service, request, question, lambda c: leaderboard(c, question))


@router.get(
    "/facets",
    response_model=Facets,
    responses=read(),
    openapi_extra=parameters(FacetsQuestion),
)
def get_facets(
    request: Request,
    service: Here,
    question: Annotated[FacetsQuestion, Depends(asked(FacetsQuestion))],
) -> Response:
    """How many configurations have which values, under the same filters as the board."""
    return queried(service, request, question, lambda c: facets(c, question))


@router.get(
    "/scatter",
    response_model=Scatter,
    responses=read(),
    openapi_extra=parameters(ScatterQuestion),
)
def get_scatter(
    request: Request,
    service: Here,
    question: Annotated[ScatterQuestion, Depends(asked(ScatterQuestion))],
) -> Response:
    """Two metrics of every configuration that matches, as columns."""
    return queried(service, request, question, lambda c: scatter(c, question), figures=True)


@router.get(
    "/points",
    response_model=Points,
    responses=read(),
    openapi_extra=parameters(PointsQuestion),
)
def get_points(
    request: Request,
    service: Here,
    question: Annotated[PointsQuestion, Depends(asked(PointsQuestion))],
) -> Response:
    """The same configurations as a drawing needs them: quantised, in a tenth of the bytes."""
    return queried(service, request, question, lambda c: points(c, question), figures=True)


@router.get(
    "/points/rows",
    response_model=PointRows,
    responses=read(404, 410),
    openapi_extra=parameters(PointRowsQuestion),
)
def get_point_rows(
    request: Request,
    service: Here,
    question: Annotated[PointRowsQuestion, Depends(asked(PointRowsQuestion))],
) -> Response:
    """Exact figures of single points, by their place among the points or by their id."""
    return queried(service, request, question, lambda c: point_rows(c, question))


@router.get(
    "/compare",
    response_model=Comparison,
    responses=read(404),
    openapi_extra=parameters(CompareQuestion),
)
def get_compare(
    request: Request,
    service: Here,
    question: Annotated[CompareQuestion, Depends(asked(CompareQuestion))],
) -> Response:
    """Configurations beside each other, with intervals of their ratios."""
    return queried(service, request, question, lambda c: compare(c, service.packs, question))


@router.get(
    "/pareto",
    response_model=ParetoFront,
    responses=read(),
    openapi_extra=parameters(ParetoQuestion),
)
def get_pareto(
    request: Request,
    service: Here,
    question: Annotated[ParetoQuestion, Depends(asked(ParetoQuestion))],
) -> Response:
    """Configurations that no other beats in both of two metrics."""
    return queried(service, request, question, lambda c: pareto(c, question))


@router.get("/headline", response_model=Headline, responses=read())
def get_headline(request: Request, service: Here) -> Response:
    """Two configurations of one campaign, one of them as the engine comes, that do the same work
    equally well: what the choice cost."""
    return queried(service, request, None, lambda c: headline(c, service.packs))


@router.get("/configurations/{id}", response_model=ConfigurationAnswer, responses=read(404))
def get_configuration(request: Request, service: Here, id: ConfigurationPath) -> Response:
    """All that is known of one configuration: figures, submitters, replications, history."""
    return queried(service, request, None, lambda c: configuration(c, id))
