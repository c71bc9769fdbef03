"""The public log: every accept, tier change, retraction and key, each entry bound to the one before."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response

from lem.archive.log import entries, head
from lem.archive.queries.answer import Answer, Shape
from lem.archive.queries.answer import head as answer_head
from lem.archive.queries.filters import Question
from lem.server.answers import queried
from lem.server.auth import Here
from lem.server.describe import read

router = APIRouter(tags=["log"])
