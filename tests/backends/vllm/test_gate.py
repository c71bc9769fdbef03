"""Only lem speaks to the vLLM server that it started."""

import asyncio
from typing import Any

import pytest

from lem.backends.vllm.gate import HEADER, VARIABLE, Gate

KEY = "k" * 32


def asked(gate: Gate, seen: list[str], **scope: Any) -> list[dict[str, Any]]:
    """What comes back for one request."""
    said: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError("what is refused is not read")

    asyncio.run(gate({"type": "http", "path": "/x", "headers": [], **scope}, receive, send))
    return said


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def gate(seen: list[str], monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setenv(VARIABLE, KEY)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    return Gate(app)


@pytest.mark.parametrize("path", ["/collective_rpc", "/v1/completions", "/health/", "//health"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(HEADER.encode().lower(), b"")],
        [(HEADER.encode().lower(), b"wrong")],
        [(HEADER.encode().lower(), KEY.encode()), (HEADER.encode().lower(), b"other")],
        [(b"authorization", KEY.encode())],
    ],
)
def test_without_the_key_nothing_is_reached(
    gate: Gate, seen: list[str], path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    said = asked(gate, seen, path=path, headers=headers)
    assert said[0]["status"] == 403 and seen == []
    closed = asked(gate, seen, type="websocket", path=path, headers=headers)
    assert closed == [{"type": "websocket.close", "code": 1008}] and seen == []


def test_with_the_key_all_is(gate: Gate, seen: list[str]) -> None:
    headers = [(b"host", b"x"), (HEADER.encode().lower(), KEY.encode())]
    assert asked(gate, seen, path="/collective_rpc", headers=headers) == []
    assert asked(gate, seen, path="/health") == []
    assert asked(gate, seen, type="lifespan", path="-") == []
    assert seen == ["/collective_rpc", "/health", "-"]


def test_a_gate_without_a_key_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, ""):
        monkeypatch.delenv(VARIABLE, raising=False)
        if value is not None:
            monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(ValueError, match="not set"):
            Gate(None)  # type: ignore[arg-type]
