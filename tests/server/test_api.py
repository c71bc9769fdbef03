"""The whole API against its own description: no 5xx, no answer that is not described."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings, strategies
from postgres import TEMPLATE, free_port
from server.conftest import UNLIMITED
from server.signing import enrolled

from lem.archive.identities import issue_token
from lem.server.app import create_app
from lem.server.protocol import patient
from lem.server.settings import Bounds, ServerSettings

EXAMPLES = 25
schemathesis.openapi.media_type("application/x-tar", strategies.binary(max_size=4096))
THOROUGH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Address and admin's headers of a server that listens."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database(TEMPLATE)
    chosen = ServerSettings(
        data=tmp_path_factory.mktemp("live"),
        database_url=url,
        checkers=0,
        rates=UNLIMITED,
        bounds=Bounds(document_bytes=200_000, submission_bytes=1_000_000),
    )
    app = create_app(chosen)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=port, http=patient(10), log_config=None, access_log=False, lifespan="on"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    with app.state.service.database.writing() as connection:
        token = issue_token(connection, "admin", "schemathesis")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        enrolled(client)
    yield f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}
    server.should_exit = True
    thread.join(60)


@pytest.fixture(scope="module")
def description(live: Any) -> Any:
    # Too long an address or body is an answer to what does not fit, too.
    refusals = ["400", "401", "403", "404", "405", "409", "413", "414", "415", "422"]
    config = schemathesis.Config.from_dict(
        {
            "checks": {
                "negative_data_rejection": {"expected-statuses": refusals},
                # No chance finds a signature, a cursor, a campaign.
                "positive_data_acceptance": {"enabled": False},
            }
        }
    )
    return schemathesis.openapi.from_url(f"{live[0]}/api/v1/openapi.json", config=config)


def operations(taking: bool = False) -> list[tuple[str, str]]:
    """Those that take anything, or all."""
    paths = create_app(ServerSettings(Path("unused"))).openapi()["paths"]
    return [
        (path, method)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if not taking or "parameters" in operation or "requestBody" in operation
    ]


@pytest.mark.parametrize(("path", "method"), operations())
def test_every_answer_is_as_described(live: Any, description: Any, path: str, method: str) -> None:
    """Anonymous, except where only admins come in: there with an admin's token, so that more than
    the refusal is tried (that one, tests/server/test_roles.py tries)."""
    headers = live[1] if "/admin/" in path else {}

    @THOROUGH
    @given(case=description[path][method].as_strategy())
    def answers_as_described(case: Any) -> None:
        case.call_and_validate(headers=headers)

    answers_as_described()


@pytest.mark.parametrize(("path", "method"), operations(taking=True))
def test_so_is_every_answer_to_what_does_not_fit(
    live: Any, description: Any, path: str, method: str
) -> None:
    from schemathesis import GenerationMode

    headers = live[1] if "/admin/" in path else {}
    strategy = description[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @THOROUGH
    @given(case=strategy)
    def answers_as_described(case: Any) -> None:
        case.call_and_validate(headers=headers)

    answers_as_described()


def test_every_operation_says_what_can_go_wrong(live: Any) -> None:
    found = httpx.get(f"{live[0]}/api/v1/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation.get("description"), where
            answers = operation["responses"]
            assert {"400", "413", "422", "429", "500", "503"} <= set(answers), where
            for status, answer in answers.items():
                if int(status) >= 400:
                    content = answer["content"]["application/problem+json"]
                    assert content["schema"]["$ref"].endswith("/Problem"), where
    assert found["components"]["schemas"]["Problem"]["examples"]


def test_examples_of_bodies_fit_their_schemas(live: Any) -> None:
    """What a reader copies from the description works, as far as a signature can."""
    found = httpx.get(f"{live[0]}/api/v1/openapi.json").json()
    bodies = 0
    for name, schema in found["components"]["schemas"].items():
        properties = schema.get("properties", {})
        examples = {k: v["examples"][0] for k, v in properties.items() if "examples" in v}
        bodies += bool(examples)
        assert all(isinstance(k, str) for k in examples), name
    assert bodies >= 8
