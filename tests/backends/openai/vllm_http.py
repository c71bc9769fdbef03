"""vLLM's own OpenAI-compatible server, started as its users start it by hand: none of lem's vLLM
backend is in between."""

import sys
from pathlib import Path

from lem.backends.served import LOOPBACK, Server, ServerCommand, ask, free_port

from ..conformance import BATCH

NAME = "smollm2"
COUNTERS = ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total")


class VllmHttp:
    """Answers once it is made; ``BATCH`` requests at a time, as the suite expects."""

    def __init__(self, model: Path) -> None:
        port = free_port()
        options = {
            "model": str(model),
            "served-model-name": NAME,
            "host": LOOPBACK,
            "port": str(port),
            "dtype": "bfloat16",
            "max-num-seqs": str(BATCH),
        }
        self.url = f"http://{LOOPBACK}:{port}/v1"
        self._server = Server(
            ServerCommand(
                argv=[
                    *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
                    # Compiling takes a minute; it is vLLM's to test.
                    "--enforce-eager",
                    *(word for k, v in options.items() for word in (f"--{k}", v)),
                ],
                port=port,
                environment={
                    "VLLM_CPU_KVCACHE_SPACE": "1",
                    "VLLM_NO_USAGE_STATS": "1",
                    "HF_HUB_OFFLINE": "1",
                },
            )
        )
        try:
            self._server.wait_ready()
        except BaseException:
            self._server.stop()
            raise
        self.pid = self._server.pid

    def lookups(self) -> tuple[int, int]:
        """Tokens of prompts looked up in its cache so far, and found there."""
        status, _, text = ask(self._server.address, "/metrics")
        assert status == 200
        values = []
        for name in COUNTERS:
            lines = [x for x in text.splitlines() if x.startswith(f"{name}{{")]
            assert len(lines) == 1, lines
            values.append(int(float(lines[0].rpartition(" ")[2])))
        return values[0], values[1]

    def stop(self) -> None:
        self._server.stop()
