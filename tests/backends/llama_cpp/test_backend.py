"""llama.cpp passes the suite with the real small model."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends.llama_cpp import parameters as llama_parameters
from lem.backends.protocol import Backend
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.workload import LongContextDataset, PromptsDataset, RandomDataset, Workload
from lem.errors import RunFailed
from lem.workloads import datasets
from lem.workloads.likelihood import Passage
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog
from lem.workloads.stock import Stock

from ..conformance import Conformance, answer, make_job
from ..conformance_served import Served

pytestmark = pytest.mark.engines

PROMPT = "The capital of France is"
ONE_THREAD = {"n_threads": 1}
REQUEST = Request("r0", [504, 3575, 282, 4649, 314], 3, PROMPT)


def backend() -> Any:
    return plugins.load("backends", "llama_cpp")()


def test_a_mistyped_parameter_is_answered_with_the_one_that_is_there() -> None:
    import xllamacpp

    p = xllamacpp.CommonParams()
    for typed, meant in (("n_thread", "n_threads"), ("n_bach", "n_batch")):
        with pytest.raises(RunFailed, match=f"did you mean '{meant}'"):
            llama_parameters._set(p, typed, 2, {})
    with pytest.raises(RunFailed) as caught:
        llama_parameters._set(p, "loudness", 2, {})
    assert "did you mean" not in str(caught.value)


@pytest.mark.slow
class TestReal(Conformance):
    name = "llama_cpp"
    arguments = ONE_THREAD
    bad_argument = ({"attention_speed": 11}, "no attribute 'attention_speed'")
    bad_generate = ({"temperature": 0, "loudness": 11}, "loudness")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, smollm2_gguf: Path) -> Path:
        return smollm2_gguf

    def test_answers_are_readable(self, engine: Any, tokenizer: Any) -> None:
        requests = [Request("r0", tokenizer.encode(PROMPT, False), 3, PROMPT)]
        assert answer(engine, requests).responses["r0"].text.startswith(" Paris")

    def test_no_prompt_is_kept_from_one_request_to_the_next(self, engine: Any) -> None:
        seen: list[Any] = []
        for _ in range(2):
            engine._server.handle_completions(
                {"prompt": REQUEST.input_ids * 20, "n_predict": 1, "cache_prompt": False},
                seen.append,
            )
        assert [s["timings"]["cache_n"] for s in seen] == [0, 0]
        assert seen[1]["timings"]["prompt_n"] == 100

    def test_each_answer_s_context_is_read_anew(self, engine: Any) -> None:
        """Though it is that of the answer before; the answer's own tokens are cached."""
        scorer, seen = engine._scorer(), []
        complete = scorer._complete

        def heard(what: dict[str, Any]) -> Any:
            seen.append(complete(what))
            return seen[-1]

        scorer._complete = heard
        context = REQUEST.input_ids * 20
        scorer.likelihoods([Passage([*context, *more], 100) for more in ([504, 3575], [282])], 1)
        read = [(s["timings"]["prompt_n"], s["timings"]["cache_n"]) for s in seen]
        assert [sum(r) for r in read] == [100, 101, 100]
        assert read[0] == read[2] == (100, 0)
        assert read[1][1] >= 99

    def test_tokens_that_are_part_of_a_character_are_counted(
        self, engine: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The grammar leaves nothing but these three characters, which take six tokens.
        monkeypatch.setitem(engine._sampling, "grammar", 'root ::= "日本🎉"+')
        log = answer(engine, [REQUEST._replace(output_tokens=6)])
        assert len(log.responses["r0"].token_ns) == 6
        assert log.responses["r0"].text == "日本🎉"

    def test_an_answer_may_end_by_itself(
        self, engine: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(engine._sampling, "ignore_eos", False)
        ids = tokenizer.encode("Say yes.", True)
        response = answer(engine, [Request("r0", ids, 200, "")]).responses["r0"]
        assert response.status == "done" and 1 <= len(response.token_ns) < 200

    def test_likelihood_of_english_is_higher_than_of_noise(
        self, engine: Any, tokenizer: Any
    ) -> None:
        text = engine.nll(tokenizer.encode(datasets.nll_text(), False)[:80])
        noise = engine.nll([17 + 7919 * i % 40000 for i in range(40)])
        assert 2.0 < text < 4.5 < noise


@pytest.mark.slow
class TestRealServed(Served):
    """Behind llama.cpp's own server."""

    name = "llama_cpp"
    arguments = ONE_THREAD
    bad_argument = TestReal.bad_argument
    bad_generate = TestReal.bad_generate

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, smollm2_gguf: Path) -> Path:
        return smollm2_gguf

    def test_the_text_is_scored_as_in_this_process(
        self, engine: Any, model: Path, requests: list[Request], tokenizer: Any, tmp_path: Path
    ) -> None:
        ids = tokenizer.encode(datasets.nll_text(), False)[:40]
        here = backend().load(make_job(self.name, model, tmp_path, requests, args=ONE_THREAD))
        try:
            assert engine.nll(ids) == pytest.approx(here.nll(ids), abs=0.01)
        finally:
            here.close()

    def test_what_only_the_server_refuses_is_a_failure_in_its_words(
        self, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        args = {**ONE_THREAD, "n_ctx": 2**31 - 1}
        job = make_job(self.name, model, tmp_path, requests, args=args, arrival=self.arrival)
        with pytest.raises(RunFailed) as e:
            backend.load(job)
        assert e.value.kind in ("out_of_memory", "engine_error")
        assert "exit status" not in e.value.message


@pytest.mark.slow
def test_both_engines_agree_on_tokens_and_likelihood(
    smollm2_gguf: Path, smollm2_safetensors: Path, tmp_path: Path
) -> None:
    """Two implementations of the same weights: the reference for each other."""
    other = plugins.load("backends", "transformers")()
    ours, theirs = backend().tokenizer(smollm2_gguf), other.tokenizer(smollm2_safetensors)
    assert ours.vocabulary == theirs.vocabulary and ours.special_ids == theirs.special_ids
    for text in (PROMPT, "naïve — “日本” 🎉\n\n\tx  y", "<|im_start|>user"):
        assert ours.encode(text, True) == theirs.encode(text, True)
    talk = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": "It is 4."},
        {"role": "user", "content": "Why?"},
    ]
    assert ours.chat(talk) == theirs.chat(talk)
    for dataset in (LongContextDataset(input_tokens=700), PromptsDataset(), RandomDataset(turns=2)):
        workload = Workload(requests=5, dataset=dataset)
        made = [datasets.make(workload, t, 1) for t in (ours, theirs)]
        assert [r.input_ids for r in made[0]] == [r.input_ids for r in made[1]]
    ids = ours.encode(datasets.nll_text(), False)
    assert ids == theirs.encode(datasets.nll_text(), False)
    here = backend().load(make_job("llama_cpp", smollm2_gguf, tmp_path, [REQUEST], args=ONE_THREAD))
    there = other.load(
        make_job(
            "transformers", smollm2_safetensors, tmp_path, [REQUEST], engine={"dtype": "float32"}
        )
    )
    assert here.nll(ids[:100]) == pytest.approx(there.nll(ids[:100]), abs=0.05)
    # Characters in several tokens each: llama.cpp hides the probability of all but the last.
    parts = ours.encode("日本語 🎉 ő", False)
    assert here.nll(parts) == pytest.approx(there.nll(parts), rel=0.05)


@pytest.mark.parametrize(
    ("engine", "args", "kind", "words"),
    [
        ({"dtype": "bfloat16"}, {}, "unsupported", "keep the type"),
        ({"tensor_parallel_size": 2}, {}, "unsupported", "split_mode"),
        ({"max_batch_size": 2}, {"n_parallel": 4}, "bad_argument", "twice"),
        ({}, {"n_batch": "many"}, "bad_argument", "expected int"),
        ({}, {"kv_unified": "yes"}, "bad_argument", "expected bool"),
        ({}, {"cache_type_k": "q99"}, "bad_argument", "GGML_TYPE_Q8_0"),
        ({}, {"model": "/etc/passwd"}, "bad_argument", "not for campaigns"),
        ({}, {"hostnames": ["0.0.0.0"]}, "bad_argument", "not for campaigns"),
    ],
)
def test_settings_that_cannot_be(
    smollm2_gguf: Path,
    tmp_path: Path,
    engine: dict[str, Any],
    args: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    job = make_job("llama_cpp", smollm2_gguf, tmp_path, [REQUEST], engine=engine, args=args)
    with pytest.raises(RunFailed) as e:
        backend().load(job)
    assert e.value.kind == kind and words in str(e.value)
    assert backend().reject(job)


def test_arguments_reach_the_engine_under_its_names(smollm2_gguf: Path, tmp_path: Path) -> None:
    job = make_job(
        "llama_cpp",
        smollm2_gguf,
        tmp_path,
        [REQUEST],
        engine={"max_batch_size": 2, "max_model_len": 512, "quantization": "q4_1"},
        args={"n_threads": 1, "n_batch": 64, "cache_type_k": "q8_0", "poll": 0},
    )
    engine = backend().load(job)
    facts = engine.facts()
    assert facts["n_batch"] == 64 and facts["kv_cache"] == "q8_0/f16" and facts["poll"] == 0
    assert (facts["max_batch_size"], facts["max_model_len"]) == (2, 512)
    assert facts["n_threads"] == facts["n_threads_batch"] == 1
    assert facts["dtype"] == "Q4_1"
    engine.close()


def test_threads_are_all_that_may_be_used_unless_said(smollm2_gguf: Path, tmp_path: Path) -> None:
    from lem.backends.llama_cpp import parameters as llama_parameters

    job = make_job("llama_cpp", smollm2_gguf, tmp_path, [REQUEST])
    p = llama_parameters.parameters(job, 256)
    assert p.cpuparams.n_threads == len(os.sched_getaffinity(0))


def test_the_wrong_quantization_is_noticed(smollm2_gguf: Path, tmp_path: Path) -> None:
    job = make_job(
        "llama_cpp",
        smollm2_gguf,
        tmp_path,
        [REQUEST],
        engine={"quantization": "q8_0"},
        args=ONE_THREAD,
    )
    with pytest.raises(RunFailed, match="Q4_1"):
        backend().load(job)


def test_out_of_memory_has_its_name(smollm2_gguf: Path, tmp_path: Path) -> None:
    """In a process of its own whose memory really is too small, so that the machine's stays."""
    job = make_job(
        "llama_cpp", smollm2_gguf, tmp_path, [REQUEST], args={"n_threads": 1, "n_ctx": 2**20}
    )
    job.write(tmp_path / "job.json")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "out_of_memory", done.stderr[-2000:]


LIMITED = """
import resource, sys
from pathlib import Path
from lem import plugins
from lem.contract.job import Job
from lem.errors import RunFailed

resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
try:
    plugins.load("backends", "llama_cpp")().load(Job.read(Path(sys.argv[1])))
except RunFailed as e:
    print(e.kind)
"""


@pytest.mark.parametrize(("args", "gpus"), [({"n_gpu_layers": -1}, []), ({}, [0])])
def test_layers_do_not_stay_on_the_processor_where_a_gpu_was_asked_for(
    smollm2_gguf: Path, tmp_path: Path, args: dict[str, int], gpus: list[int]
) -> None:
    job = make_job("llama_cpp", smollm2_gguf, tmp_path, [REQUEST], args=ONE_THREAD | args)
    with pytest.raises(RunFailed, match="this build of llama") as e:
        backend().load(job.model_copy(update={"gpus": gpus}))
    assert e.value.kind == "unsupported"


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(RunFailed, match="not a readable GGUF file"):
        backend().load(make_job("llama_cpp", file, tmp_path, [REQUEST]))


def test_models_without_a_gguf_file_are_unsupported(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for model, source in (
        (ModelSpec(id="x", synthetic=Synthetic()), None),
        (ModelSpec(id="some/model"), None),
        (ModelSpec(id=str(folder)), folder),
    ):
        with pytest.raises(RunFailed) as e:
            backend().prepare(model, source, tmp_path / "target", False)
        assert e.value.kind == "unsupported" and e.value.hint
    assert not (tmp_path / "target" / "model").exists()


def test_serving_can_be_broken_off(smollm2_gguf: Path, tmp_path: Path) -> None:
    """Whatever ends the thread that serves ends the answers too, soon."""

    class Gone(Exception):
        pass

    engine = backend().load(
        make_job("llama_cpp", smollm2_gguf, tmp_path, [REQUEST], args=ONE_THREAD)
    )
    log = Log()
    source = Backlog(Stock([REQUEST._replace(output_tokens=250)]), log)

    class Breaking:
        def take(self, room: int, busy: int) -> list[Request] | None:
            if log.tokens > 5:
                raise Gone
            return source.take(room, busy)

    with pytest.raises(Gone):
        engine.serve(Breaking(), log)
    assert {r.status for r in log.responses.values()} == {"failed"}
    assert answer(engine, [REQUEST._replace(id="after")]).responses["after"].status == "done"


def test_no_field_that_names_a_place_is_a_campaign_s_to_set() -> None:
    import xllamacpp

    words = {"path", "paths", "dir", "file", "files", "url", "hf", "repo", "key", "keys", "tools"}
    fields = {n for n in dir(xllamacpp.CommonParams()) if not n.startswith("_")}
    named = {n for n in fields if words & set(n.split("_"))}
    assert {"video_ffmpeg_bin_dir", "media_path", "models_dir", "prompt_file"} <= named
    assert named <= llama_parameters.NOT_ARGUMENTS
