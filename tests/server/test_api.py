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
import yaml
from archive_submissions import Submitter, campaign
from hypothesis import HealthCheck, Phase, given, settings, strategies
from postgres import TEMPLATE, free_port
from server.conftest import UNLIMITED
from server.signing import enrolled

from lem.archive import checks
from lem.archive.identities import issue_token
from lem.server.app import create_app
from lem.server.protocol import patient
from lem.server.settings import Bounds, ServerSettings
from lem.trust import traits
from lem.trust.judge import Judgement

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
    me = Submitter(app.state.service)
    me.push(campaign(tmp_path_factory.mktemp("campaign"), [[0.1, 0.11, 0.12], [0.2, 0.21, 0.22]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            checks,
            "judge",
            lambda record, trace, *_, **__: Judgement(2, [], {}, traits.unread(record, trace)),
        )
        while checks.check_next(app.state.service.database, app.state.service.packs):
            pass
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


def takes_a_document(operation: dict[str, Any]) -> bool:
    """Of a tar, every string of bytes fits the description."""
    return "application/x-tar" not in operation.get("requestBody", {}).get(
        "content", {"application/x-tar": 0}
    )


def operations(taking: bool = False) -> list[tuple[str, str]]:
    """Those that take anything, or all."""
    paths = create_app(ServerSettings(Path("unused"))).openapi()["paths"]
    return [
        (path, method)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if not taking or "parameters" in operation or takes_a_document(operation)
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


def test_so_are_answers_about_what_is_there(live: Any, description: Any) -> None:
    """Chance finds no id; these are of the campaign that was submitted."""
    base, admin = live
    run = httpx.get(f"{base}/api/v1/results").json()["rows"][0]
    a, b = (
        r["configuration"]["id"] for r in httpx.get(f"{base}/api/v1/leaderboard").json()["rows"]
    )
    state = httpx.get(f"{base}/api/v1/points").json()["state"]
    of_run, of_campaign = {"id": run["id"]}, {"id": run["campaign"]}
    body = httpx.get(f"{base}/api/v1/openapi.json").json()["paths"]["/api/v1/campaigns/plan"]
    example = body["post"]["requestBody"]["content"]["application/yaml"]["example"]
    plan = yaml.safe_load(example)
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/results/{id}", {"path_parameters": of_run}),
        ("GET", "/results/{id}/trace", {"path_parameters": of_run}),
        ("GET", "/results/{id}/files/{kind}", {"path_parameters": {**of_run, "kind": "trace"}}),
        ("GET", "/configurations/{id}", {"path_parameters": {"id": a}}),
        ("GET", "/compare", {"query": {"id": [a, b]}}),
        ("GET", "/pareto", {"query": {"x": "mean_power_w"}}),
        ("GET", "/scatter", {"query": {"x": "mean_power_w"}}),
        ("GET", "/points", {"query": {"x": "mean_power_w", "column": ["tier", "y_uncertainty"]}}),
        ("GET", "/points/rows", {"query": {"state": state, "row": [0, 1], "id": [a]}}),
        ("GET", "/leaderboard", {"query": {"limit": 1}}),
        ("GET", "/facets", {}),
        ("GET", "/headline", {}),
        ("GET", "/campaigns/{id}", {"path_parameters": of_campaign}),
        ("GET", "/submissions/{sha256}", {"path_parameters": {"sha256": run["id"][:64]}}),
        ("GET", "/export", {"query": {"format": "csv"}}),
        ("POST", "/campaigns/plan", {"body": plan, "media_type": "application/yaml"}),
        ("GET", "/admin/keys", {"headers": admin}),
    ]
    for method, path, parts in asked:
        case = description[f"/api/v1{path}"][method].Case(**parts)
        answer = case.call()
        assert answer.status_code == 200, (path, answer.text)
        case.validate_response(answer)


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
