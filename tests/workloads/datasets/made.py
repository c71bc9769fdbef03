"""A tokenizer that can be counted by hand, and files for it."""

import hashlib
from pathlib import Path
from typing import Any

from lem.contract.workload import Workload
from lem.workloads import datasets
from lem.workloads.requests import Message, Request

ROLES = {"system": 10, "user": 11, "assistant": 12}


class Words:
    """A token a word, of 1,000 ids. Id 0 begins a plain text. A message of a chat is its role's id
    (10 to 12) and its words, and 1 waits for the answer: 0 11 words 1 for a single question."""

    vocabulary = 1000
    special_ids = frozenset({0, 1, 10, 11, 12})

    def encode(self, text: str, chat: bool) -> list[int]:
        return self.chat([{"role": "user", "content": text}]) if chat else [0, *self._ids(text)]

    def chat(self, messages: list[Message]) -> list[int]:
        if [m["role"] for m in messages] == ["system", "user"] and "fail" in messages[0]["content"]:
            raise RuntimeError("System role not supported")
        said = [i for m in messages for i in (ROLES[m["role"]], *self._ids(m["content"]))]
        return [0, *said, 1]

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"w{i}" for i in ids)

    @staticmethod
    def _ids(text: str) -> list[int]:
        return [20 + sum(word.encode()) % 980 for word in text.split()]


def kept(folder: Path, content: str | bytes, name: str = "data.jsonl") -> dict[str, Any]:
    """Put a file where the agent looks for it; what a dataset says of it."""
    data = content.encode() if isinstance(content, str) else content
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / sha256).write_bytes(data)
    return {"path": name, "sha256": sha256}


def made(
    dataset: dict[str, Any],
    n: int,
    folder: Path | None = None,
    seed: int = 1,
    arrival: dict[str, Any] | None = None,
) -> list[Request]:
    """The list of a workload in the campaign file's words."""
    what = {"requests": n, "dataset": dataset, "arrival": arrival or {"kind": "offline"}}
    return datasets.make(Workload.model_validate(what), Words(), seed, folder)
