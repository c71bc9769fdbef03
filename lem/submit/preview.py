"""What a submission holds, for whoever looks at it before it is sent."""

import json
from typing import Any, NamedTuple

from lem.contract.base import Part
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.submit.bundle import Bundle
from lem.submit.pack import order, unpacked
from lem.submit.public import fields
from lem.submit.veil import Veil

MAX_DOCUMENT_TEXT = 64 * 2**20
KINDS: dict[str, type[Part]] = {
    "campaign.lock.json": Lock,
    "record.json": Record,
    "failure.json": Failure,
}


class Shown(NamedTuple):
    """A file of a submission."""

    name: str
    """Where in the campaign's folder it comes from."""
    sha256: str
    sent_bytes: int
    document: Any
    """Its JSON; None for traces and responses, which are rows."""


class Field(NamedTuple):
    """A field of a document and what becomes of it."""

    path: str
    fate: str
    words: str


def documents(bundle: Bundle) -> list[Shown]:
    """The files of a submission in the order in which they are sent."""
    found = []
    for sha in order(bundle.content):
        name, data = bundle.names[sha], bundle.files[sha]
        is_document = name.rpartition("/")[2] in KINDS
        document = json.loads(unpacked(data, MAX_DOCUMENT_TEXT)) if is_document else None
        found.append(Shown(name, sha, len(data), document))
    return found


def field_list(kind: type[Part]) -> list[Field]:
    """Every field of a kind of document by name, with what is sent of it, each once."""
    found: dict[str, Field] = {}
    for path, rule in fields(kind):
        if rule is None:
            found.setdefault(path, Field(path, "sent", "with its experiment"))
        else:
            found.setdefault(path, Field(path, rule.fate, rule.words))
    return list(found.values())


def together(listed: list[Field]) -> list[str]:
    """Names of what is sent, where a field is sent with all that is in it by the field's alone:
    ``arms.experiment.*``."""
    sent = [f.path for f in listed if f.fate == "sent"]
    kept_back = [f.path for f in listed if f.fate != "sent"]
    names = []
    whole = ""
    for path in sent:
        if whole and path.startswith(whole):
            continue
        whole = ""
        inside = f"{path}."
        if any(p.startswith(inside) for p in sent):
            if any(p.startswith(inside) for p in kept_back):
                continue
            whole = inside
        names.append(f"{path}.*" if whole else path)
    return names


def board_names(lock: Lock, records: list[Record], salt: str) -> dict[str, str]:
    """UUID of each board → what is told instead."""
    veil = Veil(salt, lock.owner)
    every = [*lock.device_set]
    for record in records:
        every += [*record.environment.device_set, *(g.uuid for g in record.environment.gpus)]
    return {uuid: veil.board(uuid) for uuid in dict.fromkeys(every) if uuid != "cpu"}


def meter_names(shown: list[Shown]) -> list[str]:
    """What external meters are called in what is sent: names that their owner chose."""
    names: dict[str, None] = {}
    for file in shown:
        for info in (file.document or {}).get("meters", ()):
            if info["meter"] == "external":
                names[info["device"]] = None
    return list(names)
