"""transformers with continuous batching, as a backend that the GPU check brings along.

Same model and arguments as the ``transformers`` backend; requests join and leave the batch at every
step (``ContinuousBatchingManager``, transformers 5), at most ``engine.max_batch_size`` at once.
"""

import time
from typing import Any

from lem.backends.transformers.backend import Transformers
from lem.backends.transformers.static import StaticBatches
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request

WAIT_S = 0.05
STOP_S = 30.0


class Continuous(Transformers):
    """Fills :class:`lem.backends.protocol.Backend`."""

    name = "transformers_continuous"

    def load(self, job: Job) -> "ContinuousBatches":
        engine = super().load(job)
        engine.__class__ = ContinuousBatches
        assert isinstance(engine, ContinuousBatches)
        engine.begin()
        return engine


class ContinuousBatches(StaticBatches):
    """Fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = False
    _manager: Any

    def begin(self) -> None:
        from transformers import GenerationConfig

        # The manager refuses what it cannot do; sampling is not asked for.
        config = GenerationConfig(
            do_sample=False,
            eos_token_id=-1 if self._ignore_eos else sorted(self._ends),
            pad_token_id=self._pad,
        )
        try:
            self._manager = self._model.init_continuous_batching(generation_config=config)
            self._manager.start()
        except (AttributeError, ValueError, RuntimeError, ImportError) as e:
            raise RunFailed("unsupported", f"continuous batching: {e}") from e

    def serve(self, source: Source, sink: Sink) -> None:
        seen: dict[str, int] = {}
        over = False
        while True:
            if not over:
                taken = source.take(self._batch - len(seen), len(seen))
                over = taken is None
                for request in taken or ():
                    self._add(request)
                    seen[request.id] = 0
            if not seen:
                if over:
                    return
                time.sleep(WAIT_S / 10)
                continue
            self._deliver(seen, sink)

    def _add(self, request: Request) -> None:
        self._manager.add_request(
            request.input_ids,
            request_id=request.id,
            max_new_tokens=request.output_tokens,
            streaming=True,
            eos_token_id=-1 if self._ignore_eos else sorted(self._ends),
        )

    def _deliver(self, seen: dict[str, int], sink: Sink) -> None:
        """Wait for one result, then hand on all that are there."""
        result = self._manager.get_result(timeout=WAIT_S)
        if result is None and not self._manager.is_running():
            fatal = self._manager.background_thread_status.fatal_error
            raise RunFailed("engine_error", f"continuous batching ended: {fatal}"[:2000])
        while result is not None:
            if result.request_id in seen:
                self._hand_on(result, seen, sink)
            result = self._manager.get_result(timeout=0)

    def _hand_on(self, result: Any, seen: dict[str, int], sink: Sink) -> None:
        fresh = len(result.generated_tokens) - seen[result.request_id]
        if fresh > 0:
            sink.token(result.request_id, fresh)
            seen[result.request_id] += fresh
        if result.error:
            del seen[result.request_id]
            sink.failed(result.request_id, str(result.error)[:500])
        elif result.is_finished():
            del seen[result.request_id]
            sink.done(result.request_id, self._tokenizer.decode(list(result.generated_tokens)))

    def facts(self) -> dict[str, Scalar]:
        return super().facts() | {"batching": "continuous"}

    def close(self) -> None:
        self._manager.stop(block=True, timeout=STOP_S, hard_stop=True)
        super().close()


plugin = Continuous
