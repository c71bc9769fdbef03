"""Where the next page begins: opaque to clients, checked when it comes back."""

import base64
import binascii
import hashlib
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lem.archive.refused import Refused
from lem.contract.base import canonical_json

MAX_CURSOR = 600
CursorText = Annotated[str, Field(max_length=MAX_CURSOR, pattern=r"^[A-Za-z0-9_-]+$")]


def question_key(question: BaseModel) -> str:
    """Stands for a question without its cursor and limit."""
    asked = question.model_dump(mode="json", exclude={"cursor", "limit"})
    return hashlib.sha256(canonical_json(asked)).hexdigest()[:16]


class Cursor(BaseModel):
    """``question``: :func:`question_key` of what was asked; a cursor continues that alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    question: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]

    def text(self) -> str:
        data = self.model_dump_json(exclude_defaults=True).encode()
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, question: BaseModel) -> Self:
        """Raises :class:`Refused` (400) for what is no cursor of this question."""
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found = cls.model_validate_json(data)
        except (ValidationError, binascii.Error, ValueError):
            raise Refused("bad_cursor", "this is no cursor of this archive", 400) from None
        if found.question != question_key(question):
            raise Refused(
                "bad_cursor",
                "this cursor belongs to another question",
                400,
                hint="ask the same question, with the cursor added",
            )
        return found
