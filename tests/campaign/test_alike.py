"""One backend under several launchers: the same engine or a refusal; what else differs is said."""

from typing import Any

import pytest

from lem.campaign.alike import check_alike, unlike
from lem.contract.base import CONTRACT_VERSION
from lem.contract.stage import Described
from lem.errors import EnvironmentFault
from lem.launchers.protocol import BackendSetup, Prepared


def found(version: str, digest: str | None = None, **changes: Any) -> Prepared:
    described = {"lem_version": "0.1.0", "libraries": {"torch": "2.13.0", "Python": "3.11.2"}}
    return Prepared(
        BackendSetup("vllm"),
        Described(
            contract_version=CONTRACT_VERSION,
            backend="vllm",
            engine_version=version,
            **described | changes,
        ),
        image=digest,
        digest=digest,
    )


def test_two_versions_of_an_engine_are_refused_with_both_and_the_fix() -> None:
    prepared = {("process", "vllm"): found("0.19.0"), ("docker", "vllm"): found("0.19.1", "sha")}
    with pytest.raises(EnvironmentFault) as caught:
        check_alike(prepared)
    assert "0.19.1 under docker, 0.19.0 under process" in caught.value.message
    assert "backends.vllm.python" in (caught.value.hint or "")


def test_one_version_everywhere_passes_and_other_backends_have_their_own() -> None:
    prepared = {
        ("process", "vllm"): found("0.19.0"),
        ("docker", "vllm"): found("0.19.0", "sha"),
        ("process", "transformers"): found("5.23.0"),
    }
    check_alike(prepared)
    assert unlike(prepared) == []


def test_what_else_differs_is_said_in_words() -> None:
    other = {"libraries": {"torch": "2.13.0+cpu"}, "lem_version": "0.0.9"}
    prepared = {("process", "vllm"): found("1", **other), ("docker", "vllm"): found("1", "sha")}
    assert unlike(prepared) == [
        "vllm: Python is 3.11.2 under docker, missing under process",
        "vllm: lem is 0.1.0 under docker, 0.0.9 under process",
        "vllm: torch is 2.13.0 under docker, 2.13.0+cpu under process",
    ]
