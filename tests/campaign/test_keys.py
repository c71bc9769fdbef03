"""A server's key gets from the host's environment to the agent, and nowhere else."""

from typing import Any

import pytest
from records import experiment

from lem.campaign.keys import keys
from lem.contract.spec import Experiment


def of(backend: str, args: dict[str, Any]) -> Experiment:
    return Experiment.model_validate({**experiment(), "backend": backend, "args": args})


def test_only_what_is_named_and_there_is_handed_over() -> None:
    environ = {"LEM_API_KEY_TGI": "hunter2", "OTHER": "no", "PATH": "/bin"}
    named = of("openai", {"api_key_env": "LEM_API_KEY_TGI"})
    assert keys([named, of("openai", {})], environ) == {"LEM_API_KEY_TGI": "hunter2"}
    assert keys([of("openai", {"api_key_env": "LEM_API_KEY_NOT_SET"})], environ) == {}
    assert keys([of("vllm", {"api_key_env": "LEM_API_KEY_TGI"})], environ) == {}
    assert keys([of("openai", {"api_key_env": 5})], environ) == {}
    assert keys([of("openai", {"api_key_env": "A=B\nC"})], {"A=B\nC": "x"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "LEM_API_KEYS",
        "lem_api_key",
        "LEM_API_KEY_\n",
    ],
)
def test_a_campaign_gets_no_other_secret_of_the_environment(name: str) -> None:
    """It could name the port of somebody who waits for it."""
    assert keys([of("openai", {"api_key_env": name})], {name: "hunter2"}) == {}


def test_the_usual_key() -> None:
    found = keys([of("openai", {"api_key_env": "LEM_API_KEY"})], {"LEM_API_KEY": "hunter2"})
    assert found == {"LEM_API_KEY": "hunter2"}
