"""A server's key gets from the host's environment to the agent, and nowhere else."""

from typing import Any

from records import experiment

from lem.campaign.keys import keys
from lem.contract.spec import Experiment


def of(backend: str, args: dict[str, Any]) -> Experiment:
    return Experiment.model_validate({**experiment(), "backend": backend, "args": args})


def test_only_what_is_named_and_there_is_handed_over() -> None:
    environ = {"SERVER_KEY": "hunter2", "OTHER": "no", "PATH": "/bin"}
    named = of("openai", {"api_key_env": "SERVER_KEY"})
    assert keys([named, of("openai", {})], environ) == {"SERVER_KEY": "hunter2"}
    assert keys([of("openai", {"api_key_env": "NOT_SET"})], environ) == {}
    assert keys([of("vllm", {"api_key_env": "OTHER"})], environ) == {}
    assert keys([of("openai", {"api_key_env": 5})], environ) == {}
    assert keys([of("openai", {"api_key_env": "A=B\nC"})], {"A=B\nC": "x"}) == {}
