"""vLLM's own server on the loopback, driven by lem's client."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lem.backends.prefix_cache import hit_rate
from lem.backends.served import LOOPBACK, ServedEngine, Server, ServerCommand, ask, free_port
from lem.backends.vllm import arguments as vllm_arguments
from lem.backends.vllm import gate
from lem.backends.vllm.facts import of_workers
from lem.backends.vllm.failures import from_log
from lem.backends.vllm.gate import Gate
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads.client import Client
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored, mean_nll
from lem.workloads.requests import Request
from lem.workloads.wire import Wire

MODULE = "vllm.entrypoints.openai.api_server"
"""``vllm serve`` looks for a distribution named vllm, which builds for CPUs are not."""
NAME = "model"
PATH = "/v1/completions"
SCHEMA = "CompletionRequest"
QUERIES, HITS = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"
ANSWER_S = 600.0
AT_A_TIME = 64
"""Texts that are scored at once: each has a connection and a thread of its own."""


def command(job: Job, arguments: dict[str, Any], port: int, key: str) -> ServerCommand:
    """How the server is started for this job. ``key``: what a request must come with."""
    own: dict[str, Any] = {
        "host": LOOPBACK,
        "port": port,
        "served_model_name": NAME,
        # A line in the log for each request would be work that is not the engine's.
        "enable_log_requests": False,
        "disable_uvicorn_access_log": True,
        "middleware": f"{Gate.__module__}.{Gate.__qualname__}",
    }
    return ServerCommand(
        argv=[sys.executable, "-m", MODULE, *vllm_arguments.flags({**own, **arguments})],
        port=port,
        environment={
            **vllm_arguments.environment(job, os.environ),
            # Opens /collective_rpc, by which the workers are asked for facts.
            "VLLM_SERVER_DEV_MODE": "1",
            gate.VARIABLE: key,
        },
    )


def start(job: Job, arguments: dict[str, Any]) -> ServedEngine:
    """The running server as an engine. Raises :class:`RunFailed` in vLLM's own words."""
    sampling = vllm_arguments.sampling(job)
    key = secrets.token_urlsafe(24)
    headers = {gate.HEADER: key}
    server = Server(command(job, arguments, free_port(), key))
    try:
        try:
            server.wait_ready()
        except RunFailed as e:
            raise from_log("\n".join(server.last_lines()), e.message) from e
        _check_names(server.address, sampling, headers)
        _check_values(server.address, sampling, headers)
        asked = Asked(server.address, headers, job.args.get("logprobs_mode"))
        asked.check(bool(job.gpus))
        client = Client(server.address, wire(sampling, headers), died=server.died)
        return ServedEngine(
            client,
            server=server,
            facts=asked.facts,
            nll=asked.nll,
            likelihoods=asked.likelihoods,
        )
    except BaseException:
        server.stop()
        raise


def wire(sampling: dict[str, Any], headers: Mapping[str, str]) -> Wire:
    """How requests look."""
    return Wire(path=PATH, body=body(sampling), headers=headers)


def body(sampling: dict[str, Any]) -> Callable[[Request], dict[str, Any]]:
    """The JSON of a request: prompts as ids, and with each chunk how many tokens there are."""

    def make(request: Request) -> dict[str, Any]:
        found: dict[str, Any] = {
            **sampling,
            "model": NAME,
            "prompt": request.input_ids,
            "max_tokens": request.output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
        # A prompt that is sent again must not be found in the prefix cache.
        if request.nth > 1:
            found["cache_salt"] = str(request.nth)
        return found

    return make


def _check_names(
    address: tuple[str, int], sampling: dict[str, Any], headers: Mapping[str, str]
) -> None:
    """vLLM's server passes over names it does not know, so compare with its own list first."""
    status, _, schema = ask(address, "/openapi.json", headers=headers)
    try:
        known = schema["components"]["schemas"][SCHEMA]["properties"]
    except (KeyError, TypeError) as e:
        raise RunFailed(
            "engine_error", f"vLLM's server does not describe its requests (HTTP {status})"
        ) from e
    _refuse_unknown(sampling, set(known))


def _refuse_unknown(sampling: dict[str, Any], known: set[str]) -> None:
    for name in sampling:
        if name not in known:
            raise RunFailed(
                "bad_argument",
                f"generate.{name}: vLLM's server has no such setting; it has "
                + ", ".join(sorted(known - {"model", "prompt", *vllm_arguments.NOT_GENERATE})),
            )


def _check_values(
    address: tuple[str, int], sampling: dict[str, Any], headers: Mapping[str, str]
) -> None:
    """Answer one request, so that what vLLM refuses is refused now."""
    asked = {**sampling, "model": NAME, "prompt": [0, 0], "max_tokens": 2}
    status, _, answer = ask(address, PATH, asked, headers, ANSWER_S)
    if status != 200:
        raise RunFailed("bad_argument" if status in (400, 422) else "engine_error", _words(answer))


def _words(answer: Any) -> str:
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    return str(error.get("message", error) if isinstance(error, dict) else error)[:2000]


class Asked:
    """What the server is asked for besides answers."""

    def __init__(
        self, address: tuple[str, int], headers: Mapping[str, str], logprobs_mode: Any
    ) -> None:
        self._address = address
        self._headers = headers
        self._raw = logprobs_mode in (None, "raw_logprobs")
        self._before = self._lookups()
        self._longest = 0
        self._slots = 1

    def check(self, gpus: bool) -> None:
        """That the server runs where it was meant to."""
        found = self.facts()
        longest = found.get("max_model_len")
        self._longest = longest if isinstance(longest, int) else 0
        slots = found.get("max_batch_size")
        self._slots = slots if isinstance(slots, int) else 1
        if gpus != (found.get("device") != "cpu"):
            raise RunFailed(
                "unsupported",
                f"{'GPUs were' if gpus else 'no GPU was'} asked for, but this is vLLM's build "
                f"for {found.get('device')}",
            )

    def facts(self) -> dict[str, Scalar]:
        status, _, answer = ask(
            self._address, "/collective_rpc", {"method": "lem_facts"}, self._headers, ANSWER_S
        )
        told = answer.get("results") if status == 200 and isinstance(answer, dict) else None
        if not isinstance(told, list) or not told or not isinstance(told[0], dict):
            raise RunFailed("engine_error", f"vLLM's workers tell nothing: {_words(answer)}")
        facts = _scalars(told[0].get("resolved")) | of_workers(told)
        lookups = [now - then for now, then in zip(self._lookups(), self._before, strict=True)]
        return facts | hit_rate(*lookups)

    def _lookups(self) -> tuple[int, int]:
        """Tokens looked up in the prefix cache, and found, since the server started; zeros where
        its statistics are switched off."""
        status, _, text = ask(self._address, "/metrics", headers=self._headers)
        if status != 200 or not isinstance(text, str):
            return 0, 0
        return counter(text, QUERIES), counter(text, HITS)

    def nll(self, token_ids: list[int]) -> float | None:
        if self._longest <= NLL_CHUNK_TOKENS:
            return None
        return mean_nll(self.likelihoods, token_ids)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored] | None:
        if not self._raw:
            return None
        with ThreadPoolExecutor(max(1, min(self._slots, len(pieces), AT_A_TIME))) as pool:
            return list(pool.map(self._piece, pieces))

    def _piece(self, piece: Passage) -> Scored:
        what = {
            "model": NAME,
            "prompt": piece.ids,
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 1,
        }
        try:
            status, _, answer = ask(self._address, PATH, what, self._headers, ANSWER_S)
        except OSError as e:
            raise RunFailed("engine_error", f"vLLM's server does not answer: {e}") from e
        if status != 200:
            raise RunFailed("engine_error", _words(answer))
        try:
            found = answer["choices"][0]["prompt_logprobs"]
            if len(found) != len(piece.ids):
                raise ValueError("another number of tokens than asked")
            pairs = list(zip(piece.scored, found[piece.start :], strict=True))
            own = [float(told[str(token)]["logprob"]) for token, told in pairs]
            best = [max(float(t["logprob"]) for t in told.values()) for _, told in pairs]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as e:
            raise RunFailed(
                "engine_error", f"vLLM's log-probabilities of a prompt cannot be read: {e!r}"
            ) from e
        return Scored(sum(own), all(o >= b for o, b in zip(own, best, strict=True)))


def counter(text: str, name: str) -> int:
    """The sum over labels of a counter in Prometheus' text format."""
    total = 0.0
    for line in text.splitlines():
        if line.startswith((name + "{", name + " ")):
            try:
                total += float(line.rpartition(" ")[2])
            except ValueError:
                continue
    return int(total)


def _scalars(found: Any) -> dict[str, Scalar]:
    if not isinstance(found, dict):
        return {}
    return {
        str(k)[:100]: v
        for k, v in found.items()
        if v is None or isinstance(v, str | int | float | bool)
    }


def check(job: Job, arguments: dict[str, Any]) -> None:
    """Let the server's own parser and configuration judge, without a server.

    Raises whatever vLLM raises, and :class:`RunFailed` for what its parser refuses.
    """
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest
    from vllm.usage.usage_lib import UsageContext

    parser = _parser()
    words = command(job, arguments, port=1, key="").argv[3:]
    known = parser.parse_args(words)
    AsyncEngineArgs.from_cli_args(known).create_engine_config(UsageContext.OPENAI_API_SERVER)
    sampling = vllm_arguments.sampling(job)
    _refuse_unknown(sampling, set(CompletionRequest.model_fields))
    request = CompletionRequest(model=NAME, prompt=[0, 0], **sampling)
    request.to_sampling_params(2, {})


def _parser() -> Any:
    """The server's command line, whose errors are raised instead of ending this process."""
    try:
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
    except ImportError:
        # Where it was in earlier versions.
        from vllm.entrypoints.openai.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    class Parser(FlexibleArgumentParser):  # type: ignore[misc, unused-ignore]
        def error(self, message: str) -> Any:
            raise RunFailed("bad_argument", f"error: {message}")

    return make_arg_parser(Parser())
