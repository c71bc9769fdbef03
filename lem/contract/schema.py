"""JSON Schemas of the wire documents: ``python -m lem.contract.schema FOLDER`` writes them.

They describe what the agent and the host exchange, for readers in other languages. The models in
this package stay authoritative: a schema cannot say everything that they check.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import lem.contract
from lem.contract.base import Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, type[Document]]:
    """Every kind of document that the contract defines, by its name in lower case."""
    found: dict[str, type[Document]] = {}
    for module in pkgutil.iter_modules(lem.contract.__path__):
        members = vars(importlib.import_module(f"lem.contract.{module.name}")).values()
        for member in members:
            if isinstance(member, type) and issubclass(member, Document) and member is not Document:
                found[member.__name__.lower()] = member
    return dict(sorted(found.items()))


def schema(kind: type[Document]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of document, as it is written."""
    return {"$schema": DIALECT, **kind.model_json_schema(mode="serialization")}


def export() -> dict[str, str]:
    """File name → text of every schema, the same on every machine."""
    return {
        f"{name}.json": json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"
        for name, kind in documents().items()
    }


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m lem.contract.schema FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    files = export()
    for old in folder.glob("*.json"):
        if old.name not in files:
            old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
