"""What everything around Hugging Face's libraries shares: no network, typed errors, a tokenizer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lem.errors import FailureKind, LemError, RunFailed
from lem.workloads.requests import Message, plain_chat

MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


class FastTokenizer:
    """The model's own tokenizer; fills :class:`lem.workloads.requests.Tokenizer`."""

    def __init__(self, path: Path) -> None:
        from transformers import AutoTokenizer

        with named("engine_error"):
            self.inner: Any = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        self.vocabulary = len(self.inner)
        self.special_ids = frozenset(self.inner.all_special_ids) | frozenset(
            i for i, t in self.inner.added_tokens_decoder.items() if t.special
        )

    def encode(self, text: str, chat: bool) -> list[int]:
        if chat:
            return self.chat([{"role": "user", "content": text}])
        return list(self.inner(text)["input_ids"])

    @property
    def prefix_id(self) -> int | None:
        """As lm-evaluation-harness has it: the token for the beginning, else for the end."""
        found = self.inner.bos_token_id
        found = self.inner.eos_token_id if found is None else found
        return None if found is None else int(found)

    def bare(self, text: str) -> list[int]:
        return list(self.inner(text, add_special_tokens=False)["input_ids"])

    def chat(self, messages: list[Message]) -> list[int]:
        if not self.inner.chat_template:
            return self.encode(plain_chat(messages), chat=False)
        text = self.inner.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        # The template writes the special tokens itself.
        return list(self.inner(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: list[int]) -> str:
        return str(self.inner.decode(ids, skip_special_tokens=True))


def stay_offline() -> None:
    """Nothing may be fetched from here on. Must come before the first import of transformers."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@contextmanager
def named(kind: FailureKind) -> Iterator[None]:
    """Turn whatever the engine raises into a failure of that kind, in the engine's own words."""
    try:
        yield
    except LemError:
        # Also the agent's own end (SIGTERM), which is no failure of the engine.
        raise
    except MemoryError as e:
        raise _no_memory(e) from e
    except Exception as e:
        text = f"{type(e).__name__}: {e}"
        if type(e).__name__ == "OutOfMemoryError" or any(w in text.lower() for w in MEMORY_WORDS):
            raise _no_memory(e) from e
        if kind == "bad_argument" and not _about_arguments(e):
            kind = "engine_error"
        raise RunFailed(kind, text[:2000]) from e


def _no_memory(error: BaseException) -> RunFailed:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return RunFailed(
        "out_of_memory",
        first[:500] or type(error).__name__,
        hint="lower engine.max_batch_size or engine.max_model_len, or use a smaller dtype",
    )


def _about_arguments(error: Exception) -> bool:
    """Files that cannot be read and drivers that fail are not what the user wrote."""
    if type(error).__name__.startswith("StrictDataclass"):
        return True
    return isinstance(
        error,
        TypeError | ValueError | AttributeError | LookupError | AssertionError | ImportError,
    )
