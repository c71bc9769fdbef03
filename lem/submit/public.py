"""Documents as they may be sent: valid documents still, without what tells whose machine it is."""

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from lem.contract.base import Document, Part
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.errors import BadInput, Problem
from lem.submit.allowed import OF_EXPERIMENTS, RULES, NotPublic, Rule, public
from lem.submit.veil import Veil, device_names

Kind = TypeVar("Kind", bound=Document)

FIX = (
    "an experiment's texts are hashed into its id, so that they are sent as they are or not at all:"
    " run the campaign with names in place of paths, addresses and secrets"
)


def public_record(record: Record, salt: str, owner: str) -> Record:
    """The record as it may be sent. ``owner``: the lock's. Raises :class:`BadInput` where a value
    can neither be sent nor be left out."""
    return _document(record, veil_of(record, salt, owner))


def public_lock(lock: Lock, salt: str) -> Lock:
    """As :func:`public_record`, of a lock."""
    return _document(lock, Veil(salt, lock.owner))


def public_failure(failure: Failure, salt: str, owner: str) -> Failure:
    """As :func:`public_record`, of a failure: what kind it is, and none of its words."""
    return _document(failure, Veil(salt, owner))


def veil_of(record: Record, salt: str, owner: str) -> Veil:
    """What stands in for the names of a record and of the trace beside it."""
    return Veil(salt, owner, device_names(record.meters))


def text_of(document: Document) -> bytes:
    """The bytes that are sent: the same document gives the same ones."""
    return document.model_dump_json().encode()


def _document(document: Kind, veil: Veil) -> Kind:
    name = type(document).__name__.lower()
    try:
        made = public(document, veil)
    except NotPublic as e:
        fix = FIX if "experiment" in e.path or "settings" in e.path else None
        raise BadInput([Problem(f"{name}: {e.path}: {e.why}", path=e.path)], hint=fix) from e
    return type(document).parse(json.dumps(made).encode(), name)


def fields(kind: type[Part]) -> Iterator[tuple[str, Rule | None]]:
    """Every field of a document by its path, with its rule; None: sent with its experiment."""
    yield from _fields(kind, "", ())


def _fields(
    kind: type[Part], path: str, above: tuple[type[Part], ...]
) -> Iterator[tuple[str, Rule | None]]:
    rules = RULES.get(kind)
    for name, info in kind.model_fields.items():
        here = f"{path}{name}"
        if kind in OF_EXPERIMENTS:
            yield here, None
        elif rules is None or name not in rules:
            raise NotPublic("nobody has decided whether this may be sent", here)
        else:
            yield here, rules[name]
        for part in parts_of(info.annotation):
            if part not in above:
                yield from _fields(part, f"{here}.", (*above, kind))


def parts_of(annotation: Any) -> list[type[Part]]:
    """The kinds of parts that a field may hold, in lists and mappings too, each once."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    found: dict[type[Part], None] = {}
    for argument in getattr(annotation, "__args__", ()):
        found |= dict.fromkeys(parts_of(argument))
    return list(found)
