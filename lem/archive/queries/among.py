"""``column IN (…)`` for lists of any length."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

_MOST = 64


def among(column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Whether it is one of these.

    A database plans a statement anew for each number of parameters that it has, and drivers prepare
    what they see often. So the last value is repeated up to the next power of two.
    """
    wanted = list(values)
    if 0 < len(wanted) <= _MOST:
        wanted += wanted[-1:] * ((1 << (len(wanted) - 1).bit_length()) - len(wanted))
    return column.in_(wanted)
