"""A calibration file: what single boards' energy counters read, beside what they should.

    {"schema_version": 1,
     "boards": {"GPU-2c8d…": {"gain": 1.021, "uncertainty": 0.004, "date": "2026-03-02",
                              "against": "Yokogawa WT5000, 12 V and PCIe rails"}}}

``gain`` is the counter's energy ÷ the true energy, ``uncertainty`` its standard uncertainty
(k = 1).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lem.errors import BadInput, Problem

if TYPE_CHECKING:
    from lem.contract.spec import Calibration

MOST_BYTES = 2**20
VERSION = 1


def load(path: Path) -> Calibration:
    """The file's content, checked. Raises :class:`BadInput` with all that is wrong in it."""
    import hashlib  # some megabytes, which the sampler's process does without

    from pydantic import ValidationError

    from lem.contract.spec import Calibration

    data = _read(path)
    raw = _parsed(path, data)
    if not isinstance(raw, dict):
        raise _bad(path, "is not a JSON object")
    version = raw.pop("schema_version", None)
    if version != VERSION or isinstance(version, bool):
        raise _bad(path, f"schema_version is {version!r:.40}, and this lem reads {VERSION}")
    if not raw.get("boards"):
        raise _bad(path, "boards: no board is in it")
    try:
        return Calibration.model_validate_json(
            json.dumps({**raw, "sha256": hashlib.sha256(data).hexdigest()})
        )
    except ValidationError as e:
        raise BadInput(
            [
                Problem(
                    f"{'.'.join(str(p) for p in one['loc'])[:120]}: {one['msg']}", file=str(path)
                )
                for one in e.errors(include_url=False, include_input=False)
            ][:50]
        ) from None


def applied(calibrations: Mapping[str, Any] | None, uuid: str | None) -> dict[str, Any] | None:
    """What a device of this UUID is corrected by, from :attr:`MeterSettings.calibration`."""
    if calibrations is None or uuid is None:
        return None
    one = calibrations["boards"].get(uuid)
    return None if one is None else {**one, "sha256": calibrations["sha256"]}


def _read(path: Path) -> bytes:
    try:
        # A pipe or a device would never end.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as f:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _bad(path, "is not a file")
            data = f.read(MOST_BYTES + 1)
    except OSError as e:
        raise _bad(path, f"cannot be read: {e.strerror}") from e
    except ValueError:
        raise _bad(path, "is no path") from None
    if len(data) > MOST_BYTES:
        raise _bad(path, "is larger than 1 MiB")
    return data


def _parsed(path: Path, data: bytes) -> Any:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = sorted({k for k, _ in pairs if [p for p, _ in pairs].count(k) > 1})
            raise _bad(path, f"{twice[0][:60]!r} is given twice")
        return found

    def no_number(text: str) -> Any:
        raise _bad(path, f"{text} is no number")

    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=distinct, parse_constant=no_number
        )
    except UnicodeDecodeError:
        raise _bad(path, "is not UTF-8 text") from None
    except json.JSONDecodeError as e:
        raise BadInput(
            [Problem(f"is no JSON: {e.msg}", file=str(path), line=e.lineno, column=e.colno)]
        ) from None
    except RecursionError:
        raise _bad(path, "is nested too deeply") from None
    except ValueError:
        # Python refuses whole numbers of thousands of digits.
        raise _bad(path, "has a number that is too long") from None


def _bad(path: Path, message: str) -> BadInput:
    return BadInput([Problem(message, file=str(path))])
