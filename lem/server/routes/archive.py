"""What a client has to know before it sends anything."""

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from lem import __version__
from lem.archive.database import setting
from lem.archive.demo import is_demo
from lem.archive.schema import CONFIG, RUN
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.submission import ArchiveInfo
from lem.server.answers import queried
from lem.server.auth import Here
from lem.server.describe import read

router = APIRouter(tags=["archive"])


@router.get("/archive", response_model=ArchiveInfo, responses=read())
def get_archive(request: Request, service: Here) -> Response:
    """This archive's name, the salt for boards' identifiers, how keys are enrolled, its size."""

    def ask(connection: sa.Connection) -> ArchiveInfo:
        return ArchiveInfo(
            metric_semantics_version=METRIC_SEMANTICS_VERSION,
            archive=setting(connection, "archive"),
            board_salt=setting(connection, "board_salt"),
            enrolment=service.settings.enrolment,
            licence="CC-BY-4.0",
            lem_version=__version__,
            max_submission_bytes=service.settings.bounds.submission_bytes,
            runs=_count(connection, RUN),
            configurations=_count(connection, CONFIG),
            data_version=int(setting(connection, "data_version")),
            demo=is_demo(connection),
        )

    def settings(_: sa.Connection) -> str:
        return f"{service.settings.enrolment} {service.settings.bounds.submission_bytes}"

    return queried(service, request, None, ask, settings)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
