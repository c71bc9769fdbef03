"""How routes describe themselves in OpenAPI: questions as parameters, problems as answers."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel

from lem.archive.queries import sizes
from lem.archive.queries.filters import Filtered, Question
from lem.archive.schema import DIMENSIONS
from lem.server.problems import MEDIA_TYPE, TITLES, Problem

Q = TypeVar("Q", bound=Question)
Responses = dict[int | str, dict[str, Any]]
ALWAYS = (400, 408, 413, 414, 421, 422, 429, 500, 503)
"""What any route may answer."""
_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {
        "schema": {"type": "string"},
        "description": "Of the archive's state and the question.",
    },
    "Lem-Data-Version": {"schema": {"type": "string"}},
}
_RETRY = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}


def problems(*statuses: int) -> Responses:
    """The problem documents of a route: those given, and what any route may answer."""
    described: Responses = {}
    for status in sorted({*statuses, *ALWAYS}):
        described[status] = {
            "description": TITLES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in (429, 503):
            described[status]["headers"] = _RETRY
    return described


def read(*statuses: int) -> Responses:
    """Of a GET that goes through :func:`lem.server.answers.queried`."""
    return {
        200: {"headers": _HEADERS},
        304: {"description": "Not changed since the given ETag", "headers": _HEADERS},
        **problems(*statuses),
    }


def parameters(model: type[Question]) -> dict[str, Any]:
    """A question's fields as parameters of the query string, for ``openapi_extra``."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    found = [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(part, definitions),
            **({"description": part["description"]} if "description" in part else {}),
        }
        for name, part in schema["properties"].items()
        if name != "where"
    ]
    if issubclass(model, Filtered):
        found += [_filter(name) for name in (*DIMENSIONS, sizes.NAME)]
    return {"parameters": found}


def _filter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {
            "type": "array",
            "items": {"type": "string", "maxLength": 300},
            "maxItems": 50,
        },
        "description": "One of these values. Experiment paths (engine.max_batch_size, "
        "args.enforce_eager, workload.arrival.concurrency) filter in the same way.",
    }


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(p, definitions) for p in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
    kept = {k: _inlined(v, definitions) for k, v in part.items() if k not in ("title", "default")}
    options = kept.get("anyOf")
    if options and {"type": "null"} in options:
        # A parameter is left out; there is no way to write null.
        rest = [o for o in options if o != {"type": "null"}]
        kept.pop("anyOf")
        kept = {**kept, **rest[0]} if len(rest) == 1 else {**kept, "anyOf": rest}
    return kept


def asked(model: type[Q]) -> Callable[[Request], Q]:
    """A dependency that reads the question from the query string, and refuses what is unknown."""

    def read_question(request: Request) -> Q:
        return model.from_query(request.query_params.multi_items())

    return read_question


def complete(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """OpenAPI with what FastAPI leaves out: the problem document, and tokens."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = make()
            parts = schema.setdefault("components", {}).setdefault("schemas", {})
            parts.update(_schemas([Problem]))
            schema["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
            for path, methods in schema["paths"].items():
                if path.startswith("/api/v1/admin/"):
                    for operation in methods.values():
                        operation["security"] = [{"token": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    return openapi


def _schemas(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found
