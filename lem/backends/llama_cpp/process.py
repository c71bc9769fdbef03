"""llama.cpp's own server as a process: ``python -m lem.backends.llama_cpp.process FOLDER PORT``.

The binding brings the server as a library, not as a command. FOLDER holds ``job.json`` and receives
``facts.json`` once the model is loaded; the server listens on 127.0.0.1:PORT until SIGTERM. What
keeps it from starting is said in the last line of stderr, in llama.cpp's words.
"""

import json
import os
import signal
import sys
from pathlib import Path

from lem.backends import gguf_metadata
from lem.backends.llama_cpp import binding
from lem.backends.llama_cpp import parameters as llama_parameters
from lem.contract.base import write_atomic
from lem.contract.job import Job
from lem.errors import RunFailed

JOB = "job.json"
FACTS = "facts.json"
REFUSED = 64
"""Exit status after a failure that is typed in stderr's last line."""


def main(folder: Path, port: int) -> int:
    """Serve until SIGTERM; the exit status."""
    import xllamacpp

    # Waited for below, also where it comes while the model is still loading.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        job = Job.read(folder / JOB)
        metadata = gguf_metadata.read(Path(job.model))
        longest = llama_parameters.slot_context(job, metadata)
        parameters = llama_parameters.parameters(job, longest)
        parameters.port = port
        with binding.speaking_only_on_failure():
            server = xllamacpp.Server(parameters)
    except RunFailed as e:
        print(json.dumps({"kind": e.kind, "message": e.message, "hint": e.hint}), file=sys.stderr)
        return REFUSED
    facts = llama_parameters.facts(parameters)
    write_atomic(folder / FACTS, json.dumps(facts).encode())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server
    return 0


if __name__ == "__main__":
    status = main(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stderr.flush()
    # The server's own threads may still answer somebody: nothing is left to wait for.
    os._exit(status)
