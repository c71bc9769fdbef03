"""Arrivals and objectives in a campaign file: what they become, and who can be driven by them."""

import pytest

from lem.config import CampaignFile, check_available, parse, select
from lem.config.identity import meaning
from lem.config.objectives import SLO_PRESETS
from lem.contract.base import Scalar, canonical_json
from lem.contract.workload import Poisson, Search, Slo
from lem.errors import BadInput

HEAD = """\
version: 1
name: x
models: [{id: a/b}]
backends: {llama_cpp: {}}
"""


def file(text: str, backends: str = "llama_cpp: {}") -> CampaignFile:
    return parse(HEAD.replace("llama_cpp: {}", backends) + text, "c.yaml")


def identities(text: str) -> list[bytes]:
    return [canonical_json(meaning(d.workload)) for d in file(text).drafts]


def test_a_rate_may_be_a_number_or_a_search() -> None:
    (draft,) = file("workload: {arrival: {kind: poisson, rate: 2}}\n").drafts
    assert draft.workload.arrival == Poisson(rate=2.0)
    slo = "workload: {slo: {ttft_ms: 1}, arrival: {kind: poisson, rate: {search: goodput, low: 1}}}"
    (draft,) = file(slo).drafts
    assert draft.workload.arrival == Poisson(rate=Search(low=1.0))


def test_a_rate_and_its_inner_keys_are_paths() -> None:
    swept = file(
        "workload: {arrival: {kind: poisson, rate: 2}}\nsweep: {workload.arrival.rate: [1, 2.5]}\n"
    )
    assert [d.label for d in swept.drafts] == ["rate 1", "rate 2.5"]
    assert select({"workload.arrival.rate": 2.5}, swept.drafts) == [1]
    inner = file(
        "workload: {slo: {ttft_ms: 9}, arrival: {kind: poisson, rate: {search: goodput}}}\n"
        "sweep: {workload.arrival.rate.attainment: [0.9, 0.99]}\n"
    )
    attained = [d.workload.arrival.rate.attainment for d in inner.drafts]  # type: ignore[union-attr]
    assert attained == [0.9, 0.99]
    # A number of tokens has the same two forms.
    tokens = file("sweep: {workload.dataset.input_tokens: [16, 32]}\n")
    assert [d.workload.dataset.input_tokens for d in tokens.drafts] == [16, 32]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", SLO_PRESETS)
def test_a_preset_is_the_same_experiment_as_its_limits(name: str) -> None:
    limits = SLO_PRESETS[name]
    spelled = f"{{ttft_ms: {limits['ttft_ms']}, tpot_ms: {limits['itl_ms']}.0}}"
    (by_name,), (by_limits,) = (identities(f"workload: {{slo: {s}}}\n") for s in (name, spelled))
    assert by_name == by_limits


def test_mlperfs_limits() -> None:
    """As its rules have them (TTFT/TPOT in ms)."""
    assert {n: (s["ttft_ms"], s["itl_ms"]) for n, s in SLO_PRESETS.items()} == {
        "llama-3.1-8b": (2000, 100),
        "llama-3.1-8b-interactive": (500, 30),
        "llama-2-70b": (2000, 200),
        "llama-2-70b-interactive": (450, 40),
        "deepseek-r1": (2000, 80),
        "gpt-oss-120b": (3000, 80),
    }


def test_two_names_of_one_limit_make_one_experiment() -> None:
    spellings = ["{itl_ms: 50}", "{tpot_ms: 50}", "{itl_ms: 50, tpot_ms: 50}"]
    found = {tuple(identities(f"workload: {{slo: {s}}}\n")) for s in spellings}
    assert len(found) == 1
    # Campaigns from before tpot_ms keep their ids.
    assert b'"slo":{"itl_ms":50}' in next(iter(found))[0]
    swept = file("workload: {slo: {itl_ms: 50}}\nsweep: {workload.slo.tpot_ms: [10, 20]}\n")
    assert [d.workload.slo for d in swept.drafts] == [Slo(itl_ms=10.0), Slo(itl_ms=20.0)]
    assert [d.label for d in swept.drafts] == ["itl_ms 10", "itl_ms 20"]
    assert select({"workload.slo.tpot_ms": 20}, swept.drafts) == [1]


def problems(found: CampaignFile) -> list[tuple[int | None, str]]:
    with pytest.raises(BadInput) as refused:
        check_available(found)
    return [(p.line, p.message) for p in refused.value.problems]


class Offline:
    loads = ("offline",)


class Served:
    loads = ("served",)


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = {"transformers": Offline, "llama_cpp": Served}
    monkeypatch.setattr("lem.plugins.load", lambda family, name: loads[name])


@pytest.mark.usefixtures("driven")
def test_a_backend_that_cannot_be_driven_so_is_refused_at_its_line() -> None:
    both = "llama_cpp: {}, transformers: {}"
    text = "workload:\n  arrival:\n    kind: poisson\n    rate: 2\n"
    ((line, said),) = problems(file(text, both))
    assert line == 7
    assert said.startswith(
        "workload.arrival.kind: transformers cannot be driven by the arrival 'poisson'; use offline"
    )
    assert "exclude: [{backend: transformers, workload.arrival.kind: poisson}]" in said
    # The fix that is named works.
    fixed = text + "exclude: [{backend: transformers, workload.arrival.kind: poisson}]\n"
    check_available(file(fixed, both))
    ((line, said),) = problems(file("workload: {requests: 3}\n", both))
    assert line == 5 and "llama_cpp cannot be driven by the arrival 'offline'" in said
    assert "use concurrency, constant" in said


@pytest.mark.usefixtures("driven")
def test_presets_are_swept_named_and_selected() -> None:
    names = ["llama-3.1-8b", "llama-3.1-8b-interactive", "llama-2-70b"]
    swept = file(
        f"workload: {{slo: {{e2e_ms: 9}}}}\nsweep: {{workload.slo: [null, {', '.join(names)}]}}\n"
        "exclude: [{workload.slo: llama-2-70b}]\n"
        "experiments: [{workload.slo: deepseek-r1}]\n"
        "baseline: {workload.slo: llama-3.1-8b-interactive}\n"
    )
    assert [d.workload.slo for d in swept.drafts] == [
        Slo(),
        Slo(ttft_ms=2000, itl_ms=100),
        Slo(ttft_ms=500, itl_ms=30),
        Slo(ttft_ms=2000, itl_ms=80),
    ]
    assert [d.label for d in swept.drafts] == [
        *("slo default", f"slo {names[0]}", f"slo {names[1]}", "slo deepseek-r1"),
    ]
    assert swept.baseline == 2
    one = file("sweep: {workload.slo: [llama-3.1-8b-interactive]}\n")
    (spelled,) = file("workload: {slo: {ttft_ms: 500, tpot_ms: 30}}\n").drafts
    assert one.drafts[0].workload == spelled.workload
    # An experiment with these limits is found however its file spells them.
    assert select({"workload.slo": "llama-3.1-8b-interactive"}, [spelled]) == [0]
    assert select({"workload.slo": "llama-3.1-8b"}, [spelled]) == []
    assert select({"workload.slo": None}, swept.drafts) == [0]


@pytest.mark.parametrize("slo", ["", ", slo: {}"])
def test_a_search_needs_objectives(slo: str) -> None:
    text = f"\nworkload: {{arrival: {{kind: poisson, rate: {{search: goodput}}}}{slo}}}\n"
    ((line, said),) = problems(file(text))
    assert line == 6 and "set workload.slo" in said
    wanted: dict[str, Scalar] = {"workload.slo.e2e_ms": 900}
    swept = file(text + "sweep: {workload.slo.e2e_ms: [900]}\n")
    check_available(swept)
    assert select(wanted, swept.drafts) == [0]
