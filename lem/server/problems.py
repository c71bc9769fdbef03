"""Errors as RFC 9457 problem documents: one shape for all of them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lem.contract.metrics import METRIC_SEMANTICS_VERSION

MEDIA_TYPE = "application/problem+json"
API_SCHEMA_VERSION = 1
"""Of the answers of /api/v1. Fields are added without raising it."""
MAX_ERRORS = 20
MAX_TEXT = 500

TITLES = {
    400: "Bad request",
    401: "Not authorised",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request timed out",
    409: "Conflict",
    410: "Gone",
    411: "Length required",
    413: "Too large",
    414: "Address too long",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Refused",
    429: "Too many requests",
    431: "Headers too large",
    500: "Internal error",
    501: "Not implemented",
    503: "Not available now",
    507: "No room",
}


class FieldError(BaseModel):
    """One value that is wrong; the value itself is not repeated."""

    where: str = Field(description="Place in the request.", examples=["query.limit"])
    message: str = Field(examples=["Input should be less than or equal to 1000"])
    line: int | None = Field(default=None, description="From 1, of a file that was sent.")
    column: int | None = Field(default=None, description="From 1.")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:lem:problem:no_such_result",
                    "title": "Not found",
                    "status": 404,
                    "detail": "no result has the id 7",
                    "reason": "no_such_result",
                    "request_id": "6f1f64e9f1bd4a5e",
                    "errors": [],
                    "schema_version": 1,
                    "metric_semantics_version": METRIC_SEMANTICS_VERSION,
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    reason: str = Field(description="A code for programs; it keeps its meaning.")
    hint: str | None = None
    request_id: str | None = Field(default=None, description="Stands in the server's log.")
    errors: list[FieldError] = []
    schema_version: int = API_SCHEMA_VERSION
    metric_semantics_version: int = METRIC_SEMANTICS_VERSION


class HttpProblem(Exception):
    """Raised by a route or a dependency; becomes a problem document."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
        errors: list[FieldError] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.hint = hint
        self.headers = headers or {}
        self.errors = errors or []


def plain(text: str) -> str:
    """Text that may quote a request: bounded, on one line, and whole characters only."""
    text = text.encode("utf-8", "replace").decode()
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"


def document(problem: HttpProblem, request_id: str | None = None) -> bytes:
    return (
        Problem(
            type=f"urn:lem:problem:{problem.reason}",
            title=TITLES.get(problem.status, "Error"),
            status=problem.status,
            detail=plain(problem.detail),
            reason=problem.reason,
            hint=None if problem.hint is None else plain(problem.hint),
            request_id=request_id,
            errors=problem.errors,
        )
        .model_dump_json(exclude_none=True)
        .encode()
    )


def field_errors(errors: list[dict[str, Any]]) -> list[FieldError]:
    """Of pydantic's errors: where and what, without what was sent."""
    return [
        FieldError(
            where=plain(".".join(str(part) for part in error.get("loc", ()))),
            message=plain(str(error.get("msg", "is wrong"))),
        )
        for error in errors[:MAX_ERRORS]
    ]


def not_as_described(error: ValidationError, reason: str, detail: str) -> HttpProblem:
    """The problem of a body that was read as JSON. Errors are made into Python's objects only where
    they are few: a body can be wrong in as many places as it has bytes."""
    many = error.error_count()
    if many > MAX_ERRORS:
        return HttpProblem(422, reason, f"{detail}, in {many:,} places")
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in errors):
        reason, detail = "not_json", "the body is not JSON"
    return HttpProblem(
        400 if reason == "not_json" else 422,
        reason,
        detail,
        errors=field_errors([dict(one) for one in errors]),
    )
