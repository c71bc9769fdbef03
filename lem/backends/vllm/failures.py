"""What vLLM's errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager

from lem.backends.huggingface import named
from lem.backends.overheard import Overheard
from lem.errors import FailureKind, RunFailed

MEMORY_WORDS = (
    "out of memory",
    "outofmemoryerror",
    "can't allocate memory",
    "no available memory for the cache blocks",
    "larger than the available kv cache memory",
    "is less than desired gpu memory utilization",
    "is less than desired cpu memory utilization",
    "is less than requested memory for kv",
    "kv cache is needed, which is larger",
    "the kv cache size is too small",
)
ABOVE = ("root cause", "engine core initialization failed", "workerproc initialization failed")
"""In messages that only point to what another process printed."""
ARGUMENT_WORDS = (
    "unrecognized arguments",
    "invalid choice",
    "error: argument",
    "validation error",
    "valueerror:",
    "typeerror:",
    "notimplementederror:",
)
LESS_MEMORY = (
    "lower engine.max_model_len or engine.max_batch_size, or give vLLM more memory "
    "(args.kv_cache_memory_bytes, args.gpu_memory_utilization)"
)


def is_memory(text: str) -> bool:
    """Whether an error says that memory was too small, for weights or for the KV cache."""
    found = text.lower()
    return any(words in found for words in MEMORY_WORDS)


def last_error(text: str) -> str | None:
    """The first error that a Python traceback in a log ends with: ``ValueError: …``; later ones
    follow from it."""
    for line in text.splitlines():
        # vLLM's processes put their name before each line: (EngineCore pid=12) ERROR 11-26 …
        words = line.rpartition("] ")[2].strip()
        name, colon, rest = words.partition(": ")
        if colon and rest and name.endswith(("Error", "Exception")) and " " not in name:
            return words[:2000]
    return None


def from_log(text: str, fallback: str) -> RunFailed:
    """The failure of a process that is known by what it printed."""
    words = last_error(text) or usage_error(text)
    if is_memory(text):
        return RunFailed("out_of_memory", words or fallback, hint=LESS_MEMORY)
    kind: FailureKind = "engine_error"
    if words is not None and any(w in words.lower() for w in ARGUMENT_WORDS):
        kind = "bad_argument"
    return RunFailed(kind, words or fallback)


def usage_error(text: str) -> str | None:
    """What the argument parser of a command line said."""
    for line in text.splitlines():
        _, found, words = line.partition(": error: ")
        if found:
            return f"error: {words.strip()}"[:2000]
    return None


@contextmanager
def typed(kind: FailureKind, heard: Overheard | None = None) -> Iterator[None]:
    """Turn what vLLM raises into a typed failure, in its own words."""
    try:
        with named(kind):
            yield
    except RunFailed as e:
        if heard is not None and any(w in e.message.lower() for w in ABOVE):
            raise from_log(heard.text, e.message) from e
        if e.kind in ("bad_argument", "engine_error") and is_memory(e.message):
            raise RunFailed("out_of_memory", e.message, hint=LESS_MEMORY) from e
        raise
