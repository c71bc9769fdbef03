"""llama.cpp's own HTTP server as a process of its own: the real OpenAI-compatible server that is
there wherever the tests run.

``python llama_http.py MODEL SLOTS``: prints its port, then serves until its standard input ends.
"""

import subprocess
import sys
from pathlib import Path


class LlamaHttp:
    def __init__(self, model: Path, slots: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(model), str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def main(model: str, slots: int) -> None:
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = model
    p.n_parallel = slots
    p.n_ctx = 1024 * slots
    p.n_gpu_layers = 0
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    p.warmup = False
    server = xllamacpp.Server(p)
    print(server.listening_address.rpartition(":")[2], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
