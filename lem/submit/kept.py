"""Documents that this machine keeps for itself: nobody else ever reads them."""

import json
from typing import Self

from pydantic import ValidationError

from lem.contract.base import Document
from lem.errors import BadInput, Problem


class Kept(Document):
    """Strict as every document; of one version, which a later lem reads or says what to do."""

    @classmethod
    def parse(cls, data: bytes, source: str = "") -> Self:
        try:
            json.loads(data)
            return cls.model_validate_json(data)
        except (ValidationError, ValueError, RecursionError) as e:
            raise BadInput(
                [Problem("is damaged, or of another version of lem", file=source)]
            ) from e
