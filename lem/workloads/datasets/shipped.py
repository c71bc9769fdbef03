"""What comes with lem: real prompts, and the text that quality is measured on."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from lem.contract.workload import PromptsDataset
from lem.errors import BadInput
from lem.workloads.datasets.drawing import shuffled
from lem.workloads.requests import Request, Tokenizer

NLL_SHA256 = "4283a75ac3010d44e02f85387f2ad6eb4f8933bceebcaae3ba05c46205aa2804"
"""Of the text that quality is measured on; it must never change."""

NLL_CHUNK_TOKENS = 512
"""Every engine scores the text in pieces of this many tokens, each by itself, so that the context
is the same for all."""


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


def requests(dataset: PromptsDataset, n: int, tokenizer: Tokenizer, seed: int) -> Iterator[Request]:
    """Prompts in shuffled order, all of them before any comes again."""
    draw = random.Random(seed)
    limit = dataset.max_input_tokens
    known: dict[int, list[int]] = {}
    texts = [p["prompt"] for p in prompts()]
    order: list[int] = []
    sent = Counter[int]()
    made = 0
    while made < n:
        if not order:
            order = shuffled(len(texts), draw)
        index = order.pop()
        if index not in known:
            known[index] = tokenizer.encode(texts[index], chat=True)
        ids = known[index]
        if limit is not None and len(ids) > limit:
            if len(known) == len(texts) and all(len(i) > limit for i in known.values()):
                shortest = min(map(len, known.values()))
                raise BadInput(
                    f"no prompt has {limit} tokens or fewer (max_input_tokens)",
                    hint=f"the shortest has {shortest} with this model's tokenizer",
                )
            continue
        sent[index] += 1
        yield Request(f"r{made}", ids, dataset.output_tokens, texts[index], nth=sent[index])
        made += 1


def _shipped(name: str) -> str:
    return (resources.files("lem.workloads") / "data" / name).read_text(encoding="utf-8")
