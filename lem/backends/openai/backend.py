"""Any OpenAI-compatible server that already runs on the measured machine: Ollama, LM Studio, TGI, a
vLLM started by hand. lem sends the load and reads the machine's meters.

See ``docs/backends.md`` and ``docs/client.md``.
"""

from pathlib import Path
from typing import Any

from lem.backends import prepared
from lem.backends.listener import process_listening
from lem.backends.openai import likelihood, server
from lem.backends.openai.passing_on import is_reached, passes_on
from lem.backends.openai.server import Found, Settings
from lem.backends.protocol import Load
from lem.backends.served import ServedEngine
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec
from lem.errors import RunFailed
from lem.workloads.client import Client
from lem.workloads.requests import Tokenizer

GGUF = "model.gguf"


class OpenAi:
    """The backend; fills :class:`lem.backends.protocol.Backend`."""

    name = "openai"
    loads: tuple[Load, ...] = ("served",)
    distribution = ""
    """The engine is in none of the agent's environments: what version it is, it says itself."""
    libraries: tuple[str, ...] = ("httptools",)

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        """Only the tokenizer: the server has the weights."""
        folder = prepared.once(target, lambda aside: _fetch(model, source, aside))
        return f"{folder.name}/{GGUF}" if (folder / GGUF).exists() else folder.name

    def tokenizer(self, path: Path) -> Tokenizer:
        try:
            if path.name == GGUF:
                from lem.backends.llama_cpp.tokenizer import GgufTokenizer

                return GgufTokenizer(path)
            from lem.backends.huggingface import FastTokenizer, stay_offline

            stay_offline()
            return FastTokenizer(path)
        except ImportError as e:
            raise RunFailed(
                "image",
                f"the model's tokenizer cannot be loaded: {e}",
                hint='pip install "lem-energy[openai]" where the agent runs (xllamacpp for GGUF)',
            ) from e

    def reject(self, job: Job) -> list[Rejection]:
        """Asks the server for one token with the job's settings."""
        try:
            settings = Settings.of(job)
            if settings.key_is_here():
                server.check(job, settings)
        except RunFailed as e:
            return [Rejection(arm_id=job.arm_id, argument=None, message=e.message)]
        return []

    def load(self, job: Job) -> ServedEngine:
        settings = Settings.of(job)
        if not settings.key_is_here():
            raise RunFailed(
                "bad_argument",
                f"args.api_key_env: there is no {settings.key_name} in the environment",
                hint=f"export {settings.key_name}=… before `lem campaign run`",
            )
        found = server.check(job, settings)
        process = _engine(settings, found)
        client = Client(settings.address, found.wire)
        if found.prompt_cache == "unknown":
            client.flags.add("prompts_maybe_known")
        return ServedEngine(
            client,
            server=None,
            process=process,
            facts=lambda: server.facts(settings, found),
            nll=lambda ids: likelihood.nll(settings, found, ids),
            likelihoods=lambda pieces: likelihood.likelihoods(settings, found, pieces),
        )


plugin = OpenAi


def _engine(settings: Settings, found: Found) -> int:
    """The process whose CPU time, and that of all below it, is the engine's. Raises
    :class:`RunFailed` where it cannot be told: a figure without the engine would be a wrong one."""
    port = settings.engine_port or settings.address[1]
    process = process_listening(port)
    if process is None:
        raise RunFailed(
            "unsupported",
            f"the process that listens on port {port} cannot be told, so its "
            "CPU time and its use of GPUs cannot either",
            hint="run lem as the user that runs the server, or as root; a server in a "
            "container needs the host's network (docker run --network host); of an engine behind "
            "a gateway on this machine name its own port: args.engine_port",
        )

    def answer() -> None:
        server.answered(settings, found)

    # Whoever names a port vouches that it is the engine's, but must not have named another one.
    if settings.engine_port not in (None, settings.address[1]) and not is_reached(
        process, port, answer
    ):
        raise RunFailed(
            "unsupported",
            f"nothing was connected to port {port} while port {settings.address[1]} answered: "
            "another process seems to make the answers",
            hint="see which port the gateway passes requests on to: args.engine_port",
        )
    if settings.engine_port is None and passes_on(process, answer):
        raise RunFailed(
            "unsupported",
            f"what listens on port {port} is connected to another process while it answers: it "
            "may be a gateway, whose CPU time is not the engine's",
            hint="name the port on which the engine itself listens: args.engine_port (the same, if "
            "this is the engine)",
        )
    return process


def _fetch(model: ModelSpec, source: Path | None, aside: Path) -> dict[str, Any]:
    if model.synthetic is not None:
        raise RunFailed(
            "unsupported",
            "a running server has its own weights: there is nothing to make a synthetic model for",
            hint="name the model whose tokenizer the server uses",
        )
    if source is None and model.gguf_file is None:
        return {
            "kind": "hub",
            "revision": prepared.tokenizer_from_hub(model.id, model.revision, aside),
        }
    note: dict[str, Any] = {"kind": "gguf"}
    if source is None:
        assert model.gguf_file is not None
        note["revision"] = prepared.file_from_hub(model.id, model.revision, model.gguf_file, aside)
        (aside / model.gguf_file).rename(aside / GGUF)
    elif source.is_file():
        prepared.copy(source, aside, GGUF)
    elif model.gguf_file is not None:
        prepared.copy(source / prepared.plain_name(model.gguf_file), aside, GGUF)
    else:
        note["kind"] = "folder"
        for file in prepared.tokenizer_files(source):
            prepared.copy(file, aside)
    return note
