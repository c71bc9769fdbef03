"""What is known of GPU boards: ``boards.json``, each entry with its source."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from lem.contract.base import Part


class Board(Part):
    names: Annotated[list[str], Field(min_length=1)]
    """As NVML or AMD SMI tells them."""
    architecture: int | None
    """NVML's number; null where another vendor's."""
    memory_gib: tuple[float, float]
    """What such boards tell of their memory lies between."""
    limit_w: float
    most_w: float
    """The highest power limit that one may have."""
    bandwidth_gb_s: float
    floor_w: float
    """Less than one needs to be on with a model loaded."""
    source: str
    url: str


class _File(Part):
    about: str
    boards: list[Board]


class Known(NamedTuple):
    by_name: dict[str, Board]
    """By its name's letters and digits: another spelling of it is no other board."""

    @classmethod
    def of(cls, boards: Iterable[Board]) -> "Known":
        return cls({_letters(name): b for b in boards for name in b.names})

    def find(self, name: str) -> Board | None:
        return self.by_name.get(_letters(name))


def _letters(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


@cache
def known() -> Known:
    """All boards that come with this version."""
    text = Path(__file__).with_name("boards.json").read_text()
    file = _File.model_validate_json(text, strict=False)
    return Known.of(file.boards)


def parse(text: str) -> Known:
    """Of another file. Raises ``ValidationError`` for what is none."""
    file = _File.model_validate(json.loads(text), strict=False)
    return Known.of(file.boards)
