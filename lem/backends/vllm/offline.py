"""vLLM in the agent's process, driven as ``LLM.generate`` drives it: add requests, step."""

import gc
import os
import resource
import time
from collections.abc import Sequence
from typing import Any

from lem.backends.prefix_cache import hit_rate
from lem.backends.protocol import ScoredBy
from lem.backends.vllm.arguments import IN_PROCESS
from lem.backends.vllm.facts import of_workers, resolved, workers_peak_bytes
from lem.backends.vllm.failures import typed
from lem.contract.base import Scalar
from lem.errors import RunFailed
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored, mean_nll
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request
from lem.workloads.spoken import pieces

ASK_EVERY_S = 0.05


class Offline:
    """A loaded model; fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = False
    scored_by: ScoredBy = "prompt log-probabilities"

    def __init__(self, llm: Any, sampling: dict[str, Any]) -> None:
        self._llm = llm
        self._engine = llm.llm_engine
        self._config = self._engine.vllm_config
        self._sampling = sampling
        self._longest = int(self._config.model_config.max_model_len)
        self._in_process = os.environ.get(IN_PROCESS) == "0"
        slots = int(self._config.scheduler_config.max_num_seqs)
        # In this process a slot that gets free is filled before the next step. An engine core in a
        # process of its own is a step ahead: like LLM.generate, keep its queue from running dry,
        # also when all slots end in the same step.
        self._room = slots if self._in_process else 2 * slots
        self._queries = 0
        self._hits = 0

    def check(self) -> None:
        """Generate two tokens, so that what vLLM refuses late is refused now."""
        request = Request("check", [0, 0], 2, "")
        with typed("bad_argument"):
            found = self._llm.generate(
                [self._prompt(request)], self._parameters(request), use_tqdm=False
            )
        if not found or not found[0].finished:
            raise RunFailed("engine_error", "vLLM did not answer a request of two tokens")

    def serve(self, source: Source, sink: Sink) -> None:
        answers: dict[str, _Answer] = {}
        dry = False
        try:
            while True:
                if not dry:
                    taken = source.take(self._room - len(answers), len(answers))
                    dry = taken is None
                    for request in taken or ():
                        self._add(request, answers, sink)
                if answers:
                    with typed("engine_error"):
                        outputs = self._engine.step()
                    now = time.monotonic_ns()
                    for output in outputs:
                        self._tell(output, answers, sink, now)
                elif dry:
                    return
                else:
                    _wait(source.due_ns())
        finally:
            if answers:
                # Whatever ended this, the next phase must find the engine empty.
                self._engine.abort_request(list(answers))

    def _add(self, request: Request, answers: "dict[str, _Answer]", sink: Sink) -> None:
        needed = len(request.input_ids) + request.output_tokens
        if needed > self._longest:
            # vLLM would cut the answer short without a word.
            sink.failed(
                request.id, f"needs {needed} tokens of context, max_model_len is {self._longest}"
            )
            return
        try:
            self._engine.add_request(request.id, self._prompt(request), self._parameters(request))
        except ValueError as e:
            sink.failed(request.id, f"{type(e).__name__}: {e}"[:500])
            return
        answer = answers[request.id] = _Answer(request)
        sink.answering(request.id, pieces(answer.text))

    def _prompt(self, request: Request) -> dict[str, Any]:
        """A prompt that is sent again must not be found in the prefix cache; what different prompts
        share may."""
        prompt: dict[str, Any] = {"prompt_token_ids": request.input_ids}
        return prompt if request.nth == 1 else {**prompt, "cache_salt": str(request.nth)}

    def _parameters(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            **self._sampling,
            max_tokens=request.output_tokens,
            output_kind=RequestOutputKind.DELTA,
        )

    def _tell(self, output: Any, answers: "dict[str, _Answer]", sink: Sink, now_ns: int) -> None:
        answer = answers.get(output.request_id)
        if answer is None:
            return
        name = answer.request.id
        if not answer.seen and output.num_cached_tokens is not None:
            self._queries += len(answer.request.input_ids)
            self._hits += int(output.num_cached_tokens)
        (delta,) = output.outputs
        if new := len(delta.token_ids):
            answer.seen += new
            sink.token(name, new, now_ns)
        answer.text.append(delta.text)
        if not output.finished:
            return
        del answers[name]
        reason = delta.finish_reason
        if reason not in ("stop", "length"):
            sink.failed(name, f"vLLM ended the request: {reason}", now_ns)
        elif reason == "length" and answer.seen != answer.request.output_tokens:
            wanted = answer.request.output_tokens
            sink.failed(name, f"the answer has {answer.seen} tokens, not {wanted}", now_ns)
        else:
            sink.done(name, "".join(answer.text), now_ns)

    def facts(self) -> dict[str, Scalar]:
        facts = resolved(self._config, os.environ)
        with typed("engine_error"):
            told = self._engine.collective_rpc("lem_facts")
        facts |= of_workers(told)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        facts["peak_memory_bytes.cpu"] = own + workers_peak_bytes(told, besides=os.getpid())
        return facts | hit_rate(self._queries, self._hits)

    def nll(self, token_ids: list[int]) -> float | None:
        if self._longest <= NLL_CHUNK_TOKENS:
            return None
        return mean_nll(self.likelihoods, token_ids)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored] | None:
        from vllm import SamplingParams

        if str(self._config.model_config.logprobs_mode) != "raw_logprobs":
            return None
        prompts = [{"prompt_token_ids": p.ids} for p in pieces]
        parameters = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=1)
        with typed("engine_error"):
            found = self._llm.generate(prompts, parameters, use_tqdm=False)
        return [_scored(p, one) for p, one in zip(pieces, found, strict=True)]

    def close(self) -> None:
        if self._engine is not None:
            # Ends the processes that it may have; collecting it alone would do so at some time.
            self._engine.engine_core.shutdown()
        self._engine = self._llm = self._config = None
        gc.collect()
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        cleanup_dist_env_and_memory()


def _scored(piece: Passage, found: Any) -> Scored:
    """What vLLM says of each token of a prompt: the likeliest one and the prompt's own."""
    if found.prompt_token_ids != piece.ids or len(found.prompt_logprobs) != len(piece.ids):
        raise RunFailed("engine_error", "vLLM scored other tokens than asked")
    total, greedy = 0.0, True
    for token, told in zip(piece.scored, found.prompt_logprobs[piece.start :], strict=True):
        own = float(told[token].logprob)
        total += own
        greedy = greedy and own >= max(float(one.logprob) for one in told.values())
    return Scored(total, greedy)


class _Answer:
    """What came of one request so far."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.seen = 0
        self.text: list[str] = []


def _wait(due_ns: int | None) -> None:
    """Until a request may be due, at most until the source wants to be asked again."""
    if due_ns is None:
        time.sleep(ASK_EVERY_S)
        return
    time.sleep(min(ASK_EVERY_S, max(0.0, (due_ns - time.monotonic_ns()) / 1e9)))
