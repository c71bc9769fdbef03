"""A fake of SGLang 0.5.23: ``Engine`` as in its ``sglang/srt/entrypoints/engine.py``.

Kept from the original: the keywords and what they default to, that the engine runs on ``loop`` and
``get_server_info`` runs it, that ``async_generate`` with ``stream`` gives an asynchronous iterator
of cumulative pieces, ``meta_info``, the refusal of prompts that are too long (``ValueError``), the
end of an answer that was given up (``finish_reason`` ``abort``) and SIGQUIT from a scheduler that
dies.
"""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from sglang.srt.server_args import ServerArgs
from tests.backends.fakes import answers

__version__ = "0.5.23"
CONTEXT = 1024
DYING = """
import os, signal, sys
sys.stdin.read()
print("RuntimeError: CUDA error: an illegal memory access", file=sys.stderr, flush=True)
os.kill(os.getppid(), signal.SIGQUIT)
"""
deaths: list[int] = []
"""Token counts after which the scheduler dies, one for each engine that shall."""
giving_up: set[str] = set()
"""Beginnings of texts' ids that the scheduler gives up (by prompt, joined by blanks)."""


class _Model:
    dtype = "torch.bfloat16"
    context_len = CONTEXT


class _TokenizerManager:
    def __init__(self, server_args: ServerArgs) -> None:
        self.server_args = server_args
        self.model_config = _Model()
        self.aborted: list[str] = []

    def abort_request(self, rid: str = "", abort_all: bool = False) -> None:
        self.aborted.append(rid)


class Engine:
    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("mem_fraction_static") == 0.001:
            os.write(2, b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB\n")
            raise RuntimeError("Rank 0 scheduler died during initialization (exit code: 1).")
        self.server_args = ServerArgs(**kwargs)
        handler: Callable[..., Any] | None = self.server_args.custom_sigquit_handler
        if handler is not None:
            signal.signal(signal.SIGQUIT, handler)
            # As the record of settings is, on its way to the scheduler's process.
            pickle.loads(pickle.dumps(handler))(signal.SIGQUIT, None)
        self.tokenizer_manager = _TokenizerManager(self.server_args)
        self.loop = asyncio.new_event_loop()
        self.cache = answers.Cache()
        self.salts: list[str | None] = []
        self.down = False
        self._left = deaths.pop() if deaths else None
        self._scheduler = (
            subprocess.Popen([sys.executable, "-c", DYING], stdin=subprocess.PIPE)
            if self._left is not None
            else None
        )

    def get_server_info(self) -> dict[str, Any]:
        return self.loop.run_until_complete(self._info())

    async def _info(self) -> dict[str, Any]:
        resolved = self.server_args.resolved_dict()
        batch = resolved["max_running_requests"] or 48
        state = {
            **resolved,
            "effective_max_running_requests_per_dp": batch,
            "memory_usage": {"weight": 0.3, "kvcache": 1.0, "token_capacity": 65536},
        }
        return {
            **resolved,
            "max_total_num_tokens": 65536,
            "internal_states": [state],
            "version": __version__,
        }

    async def async_generate(
        self,
        prompt: str | None = None,
        sampling_params: dict[str, Any] | None = None,
        input_ids: list[int] | None = None,
        return_logprob: bool = False,
        logprob_start_len: int | None = None,
        top_logprobs_num: int = 0,
        stream: bool = False,
        rid: str | None = None,
        *,
        cache_salt: str | None = None,
    ) -> Any:
        assert input_ids is not None and sampling_params is not None
        if len(input_ids) + sampling_params["max_new_tokens"] > CONTEXT:
            raise ValueError(
                "Requested token count exceeds the model's maximum context length of "
                f"{CONTEXT} tokens."
            )
        self.salts.append(cache_salt)
        pieces = self._pieces(input_ids, sampling_params, return_logprob, rid, cache_salt)
        if stream:
            return pieces
        last = None
        async for piece in pieces:
            last = piece
        return last

    async def _pieces(
        self,
        ids: list[int],
        params: dict[str, Any],
        scored: bool,
        rid: str | None,
        salt: str | None,
    ) -> AsyncIterator[dict[str, Any]]:
        most = params["max_new_tokens"]
        wanted = most if params.get("ignore_eos") else min(most, answers.ends_at(ids))
        cached = 0 if scored else self.cache.hit(salt, ids)
        out: list[int] = []
        while len(out) < wanted:
            await asyncio.sleep(answers.STEP_S)
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    assert self._scheduler is not None and self._scheduler.stdin is not None
                    self._scheduler.stdin.close()
                    await asyncio.sleep(60)
            ended = not params.get("ignore_eos") and len(out) + 1 == answers.ends_at(ids)
            out.append(answers.END if ended else answers.token(ids, len(out)))
            reason: dict[str, Any] | None = None
            if len(out) == wanted:
                reason = {"type": "stop", "matched": 0} if ended else {"type": "length"}
            if " ".join(map(str, ids)) in giving_up:
                reason = {"type": "abort", "message": "out of room", "status_code": None}
            meta: dict[str, Any] = {
                "id": rid,
                "finish_reason": reason,
                "prompt_tokens": len(ids),
                "completion_tokens": len(out),
                "cached_tokens": cached,
            }
            if scored:
                told = [(answers.logprob(ids, i), ids[i], None) for i in range(1, len(ids))]
                meta["input_token_logprobs"] = [(None, ids[0], None), *told]
                tops = [[(*answers.likeliest(ids, i), None)] for i in range(1, len(ids))]
                meta["input_top_logprobs"] = [None, *tops]
            # Cumulative, and the same list each time, as in the original.
            text = " ".join(map(str, (t for t in out if t != answers.END)))
            yield {"text": text, "output_ids": out, "meta_info": meta}
            if reason is not None:
                return

    def shutdown(self) -> None:
        self.down = True
        if self._scheduler is not None:
            self._scheduler.wait(10)
