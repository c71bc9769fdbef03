"""transformers passes the suite, with a tiny synthetic model and with a real one."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends.protocol import Backend
from lem.errors import Interrupted, RunFailed
from lem.workloads import datasets
from lem.workloads.requests import Request

from ..conformance import Conformance, answer, make_job

pytestmark = pytest.mark.engines

PROMPT = "The capital of France is"


def backend() -> Any:
    return plugins.load("backends", "transformers")()


class TestTiny(Conformance):
    name = "transformers"
    bad_argument = ({"attention_speed": 11}, "unexpected keyword argument 'attention_speed'")
    bad_generate = ({"temperature": 0, "loudness": 11}, "loudness")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tiny: Path) -> Path:
        return tiny


class TestTinyContinuous(TestTiny):
    """Continuous batching, what ``generate_batch`` does."""

    arguments = {"continuous_batching": True}
    bad_argument = (
        {"continuous_batching_config": {"attention_speed": 11}},
        "unexpected keyword argument 'attention_speed'",
    )

    def test_the_record_says_how_it_batches(self, engine: Any) -> None:
        facts = engine.facts()
        assert (facts["batching"], facts["kv_cache"]) == ("continuous", "paged")
        assert facts["prefix_caching"] is False and facts["kv_cache_blocks"] > 0

    def test_the_text_is_scored_as_with_static_batches(
        self, engine: Any, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        ids = list(range(5, 395)) * 2
        other = backend.load(make_job(self.name, model, tmp_path, requests))
        assert engine.nll(ids) == pytest.approx(other.nll(ids), rel=1e-4)
        # The engine goes on answering afterwards.
        assert answer(engine, requests[:1]).responses["r0"].status == "done"

    def test_what_the_manager_would_leave_out_is_refused(
        self, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        generate = {"temperature": 0, "repetition_penalty": 1.5}
        job = make_job(self.name, model, tmp_path, requests, args=self.arguments, generate=generate)
        with pytest.raises(RunFailed, match="RepetitionPenaltyLogitsProcessor isn't") as e:
            backend.load(job)
        assert e.value.kind == "bad_argument"


@pytest.mark.slow
class TestReal(Conformance):
    name = "transformers"
    bad_argument = ({"attn_implementation": "nope"}, "is not supported")
    bad_generate = ({"temperature": 1, "top_p": -1.0}, "top_p")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, smollm2_safetensors: Path) -> Path:
        return smollm2_safetensors

    def test_answers_are_readable(self, engine: Any, tokenizer: Any) -> None:
        requests = [Request("r0", tokenizer.encode(PROMPT, False), 3, PROMPT)]
        assert answer(engine, requests).responses["r0"].text.startswith(" Paris")

    def test_padding_does_not_change_an_answer(self, engine: Any, tokenizer: Any) -> None:
        short = Request("short", tokenizer.encode(PROMPT, False), 8, PROMPT)
        long = Request("long", tokenizer.encode(PROMPT + " a" * 40, False), 8, "")
        alone = answer(engine, [short]).responses["short"].text
        beside = answer(engine, [short, long]).responses["short"].text
        assert beside.startswith(" Paris") and alone.startswith(" Paris")

    def test_likelihood_of_english_is_higher_than_of_noise(
        self, engine: Any, tokenizer: Any
    ) -> None:
        text = engine.nll(tokenizer.encode(datasets.nll_text(), False)[:200])
        noise = engine.nll([17 + 7919 * i % 40000 for i in range(200)])
        assert 2.0 < text < 4.5 < noise


@pytest.mark.slow
class TestRealContinuous(Conformance):
    """Continuous batching, what ``generate_batch`` does."""

    name = "transformers"
    arguments = {"continuous_batching": True}
    bad_argument = TestTinyContinuous.bad_argument
    bad_generate = TestReal.bad_generate

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, smollm2_safetensors: Path) -> Path:
        return smollm2_safetensors

    def test_answers_are_those_of_static_batches(
        self, engine: Any, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        other = backend.load(make_job(self.name, model, tmp_path, requests))
        texts = [
            {r.request.id: r.text for r in answer(e, requests).responses.values()}
            for e in (engine, other)
        ]
        assert texts[0] == texts[1]


def test_likelihood_is_that_of_the_definition(tiny: Path, tmp_path: Path) -> None:
    """Against transformers' own loss, piece by piece, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    ids = [2 + 13 * i % 390 for i in range(700)]
    request = Request("r0", [5, 6], 1, "")
    engine = backend().load(
        make_job("transformers", tiny, tmp_path, [request], engine={"dtype": "float32"})
    )
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    total = 0.0
    for piece in (ids[:512], ids[512:]):
        t = torch.tensor([piece])
        with torch.inference_mode():
            total += float(model(input_ids=t, labels=t).loss) * (len(piece) - 1)
    assert engine.nll(ids) == pytest.approx(total / 698, rel=1e-4)
    # Random weights know nothing: near the entropy of 400 equally likely tokens.
    assert engine.nll(ids) == pytest.approx(math.log(400), abs=0.3)


def test_tokens_after_a_requests_own_end_do_not_count(tiny: Path, tmp_path: Path) -> None:
    requests = [Request(f"r{i}", [20 + i, 30], 40, "") for i in range(3)]
    every = backend().load(make_job("transformers", tiny, tmp_path, requests))
    model = every._model
    # Make the token that r0 says second its end of text.
    seen: list[list[int]] = []
    import torch

    out = model.generate(
        input_ids=torch.tensor([[20, 30]]), max_new_tokens=2, do_sample=False, min_new_tokens=2
    )
    seen.append(out[0, 2:].tolist())
    end = seen[0][1]
    engine = backend().load(
        make_job("transformers", tiny, tmp_path, requests, generate={"temperature": 0})
    )
    engine._ends = frozenset({end})
    engine._model.generation_config.eos_token_id = end
    first = 1 if seen[0][0] == end else 2
    counted = {n: len(r.token_ns) for n, r in answer(engine, requests).responses.items()}
    assert counted["r0"] == first
    engine._ends = frozenset()
    engine._ignore_eos = True
    assert {len(r.token_ns) for r in answer(engine, requests).responses.values()} == {40}


@pytest.mark.parametrize(
    ("engine", "args", "kind", "words"),
    [
        ({"dtype": "float32"}, {"dtype": "bfloat16"}, "bad_argument", "twice"),
        ({"quantization": "awq"}, {}, "unsupported", "quantization_config"),
        ({"tensor_parallel_size": 2}, {}, "unsupported", "device_map"),
        ({"max_model_len": 10**6}, {}, "bad_argument", "max_model_len"),
        ({"dtype": "float99"}, {}, "bad_argument", "float99"),
    ],
)
def test_engine_settings_that_cannot_be(
    tiny: Path,
    tmp_path: Path,
    engine: dict[str, Any],
    args: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    job = make_job(
        "transformers", tiny, tmp_path, [Request("r0", [5], 1, "")], engine=engine, args=args
    )
    with pytest.raises(RunFailed) as e:
        backend().load(job)
    assert e.value.kind == kind and words in str(e.value)
    assert backend().reject(job)


@pytest.mark.parametrize(
    "name",
    ["num_beams", "num_return_sequences", "prompt_lookup_num_tokens", "assistant_early_exit"],
)
def test_settings_whose_tokens_cannot_be_counted_are_refused(
    tiny: Path, tmp_path: Path, name: str
) -> None:
    """Several answers to one prompt would cost energy, and one of them be counted; of tokens that
    are guessed ahead several come in a step."""
    generate = {"temperature": 1.0, name: 2}
    requests = [Request("r0", [5], 1, "")]
    job = make_job("transformers", tiny, tmp_path, requests, generate=generate)
    with pytest.raises(RunFailed, match=name) as e:
        backend().load(job)
    assert e.value.kind == "unsupported"
    assert name in backend().reject(job)[0].message


def test_a_request_that_is_too_long_fails_alone(tiny: Path, tmp_path: Path) -> None:
    requests = [Request("long", [5] * 60, 5, ""), Request("short", [5] * 6, 5, "")]
    engine = backend().load(
        make_job(
            "transformers",
            tiny,
            tmp_path,
            requests,
            engine={"max_model_len": 32, "max_batch_size": 2},
        )
    )
    found = {n: r.status for n, r in answer(engine, requests).responses.items()}
    assert found == {"long": "failed", "short": "done"}


@pytest.mark.parametrize(
    "error", ["torch.OutOfMemoryError", "MemoryError", "RuntimeError: can't allocate memory"]
)
def test_out_of_memory_has_its_name(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    import torch

    requests = [Request("r0", [5, 6], 2, "")]
    engine = backend().load(make_job("transformers", tiny, tmp_path, requests))

    def full(**_: Any) -> None:
        if error.startswith("torch"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        if error == "MemoryError":
            raise MemoryError
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate ...")

    monkeypatch.setattr(engine._model, "generate", full)
    with pytest.raises(RunFailed) as e:
        answer(engine, requests)
    assert e.value.kind == "out_of_memory" and e.value.hint


def test_hidden_defaults_of_a_model_are_not_used(tiny: Path, tmp_path: Path) -> None:
    """A generation_config.json with a penalty would make greedy answers other than greedy."""
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": 0, "repetition_penalty": 50.0, "top_k": 3})
    )
    requests = [Request("r0", [5, 6, 7], 12, "")]
    plain = answer(backend().load(make_job("transformers", tiny, tmp_path, requests)), requests)
    with_file = answer(
        backend().load(make_job("transformers", folder, tmp_path, requests)), requests
    )
    assert with_file.responses["r0"].text == plain.responses["r0"].text


def test_being_told_to_stop_is_no_failure_of_the_engine(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [Request("r0", [5, 6], 2, "")]
    engine = backend().load(make_job("transformers", tiny, tmp_path, requests))

    def stopped(**_: Any) -> None:
        raise Interrupted("told to stop")

    monkeypatch.setattr(engine._model, "generate", stopped)
    with pytest.raises(Interrupted):
        answer(engine, requests)


def test_weights_that_cannot_be_read_are_not_the_users_argument(tiny: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(RunFailed) as e:
        backend().load(make_job("transformers", folder, tmp_path, [Request("r0", [5], 1, "")]))
    assert e.value.kind == "engine_error"
