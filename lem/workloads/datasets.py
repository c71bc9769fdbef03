"""Makes request lists. The same workload, tokenizer and seed give the same list everywhere."""

import hashlib
import json
import random
from functools import cache
from importlib import resources
from typing import Any

from lem.contract.spec import PromptsDataset, RandomDataset, Workload
from lem.errors import BadInput
from lem.workloads.requests import Request, Tokenizer

NLL_SHA256 = "4283a75ac3010d44e02f85387f2ad6eb4f8933bceebcaae3ba05c46205aa2804"
"""Of the text that quality is measured on; it must never change."""

NLL_CHUNK_TOKENS = 512
"""Every engine scores the text in pieces of this many tokens, each by itself, so that the context
is the same for all."""


def make(workload: Workload, tokenizer: Tokenizer, seed: int) -> list[Request]:
    """The request list of a workload: ``workload.requests`` of them, with ids ``r0``, ``r1``, …"""
    # CPython documents that random.Random seeded with an int, and its random(), give the same
    # numbers in every version; everything below draws by random() alone.
    draw = random.Random(seed)
    dataset = workload.dataset
    if isinstance(dataset, RandomDataset):
        return _random(dataset, workload.requests, tokenizer, draw)
    if isinstance(dataset, PromptsDataset):
        return _prompts(dataset, workload.requests, tokenizer, draw)
    raise NotImplementedError(dataset.kind)


def prompts() -> list[dict[str, Any]]:
    """The prompts that come with lem: ``prompt``, ``task`` and ``source`` of each."""
    return [json.loads(line) for line in _shipped("prompts.jsonl").splitlines()]


@cache
def nll_text() -> str:
    """The text of public domain that quality is measured on."""
    text = _shipped("text_nll.txt")
    if hashlib.sha256(text.encode()).hexdigest() != NLL_SHA256:
        raise AssertionError("lem/workloads/data/text_nll.txt was changed: figures would differ")
    return text


def chunks(ids: list[int], tokens: int = NLL_CHUNK_TOKENS) -> list[list[int]]:
    """``ids`` cut into pieces of ``tokens``; a last one of a single token scores nothing and is
    left out."""
    pieces = [ids[i : i + tokens] for i in range(0, len(ids), tokens)]
    return [p for p in pieces if len(p) > 1]


def _random(
    dataset: RandomDataset, n: int, tokenizer: Tokenizer, draw: random.Random
) -> list[Request]:
    plain = [i for i in range(tokenizer.vocabulary) if i not in tokenizer.special_ids]
    requests = []
    if not isinstance(dataset.input_tokens, int) or not isinstance(dataset.output_tokens, int):
        raise NotImplementedError("lengths that differ")
    for index in range(n):
        ids = [plain[_below(len(plain), draw)] for _ in range(dataset.input_tokens)]
        requests.append(Request(f"r{index}", ids, dataset.output_tokens, tokenizer.decode(ids)))
    return requests


def _prompts(
    dataset: PromptsDataset, n: int, tokenizer: Tokenizer, draw: random.Random
) -> list[Request]:
    """Prompts in shuffled order, all of them before any comes again."""
    limit = dataset.max_input_tokens
    known: dict[int, list[int]] = {}
    shipped = prompts()
    order: list[int] = []
    requests: list[Request] = []
    while len(requests) < n:
        if not order:
            order = _shuffled(len(shipped), draw)
        index = order.pop()
        if index not in known:
            known[index] = tokenizer.encode(shipped[index]["prompt"], chat=True)
        ids = known[index]
        if limit is not None and len(ids) > limit:
            if len(known) == len(shipped) and all(len(i) > limit for i in known.values()):
                shortest = min(map(len, known.values()))
                raise BadInput(
                    f"no prompt has {limit} tokens or fewer (max_input_tokens)",
                    hint=f"the shortest has {shortest} with this model's tokenizer",
                )
            continue
        requests.append(
            Request(f"r{len(requests)}", ids, dataset.output_tokens, shipped[index]["prompt"])
        )
    return requests


def _below(n: int, draw: random.Random) -> int:
    return int(draw.random() * n)


def _shuffled(n: int, draw: random.Random) -> list[int]:
    """A permutation of 0 … n − 1 (Fisher–Yates)."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = _below(i + 1, draw)
        order[i], order[j] = order[j], order[i]
    return order


def _shipped(name: str) -> str:
    return (resources.files("lem.workloads") / "data" / name).read_text(encoding="utf-8")
