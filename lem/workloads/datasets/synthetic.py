"""Token ids drawn at random: exact lengths, shared prefixes, conversations.

Engines are given the ids. Drawn ids decoded to text and encoded again give another number of
tokens, so ``text`` is for people, and for servers that take nothing else.
"""

import random
from collections.abc import Iterator

from lem.contract.workload import RandomDataset
from lem.errors import BadInput
from lem.workloads.datasets.drawing import below, length, stream
from lem.workloads.requests import Request, Tokenizer


class PlainIds:
    """The ids of a vocabulary that are no special tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._ids = [i for i in range(tokenizer.vocabulary) if i not in tokenizer.special_ids]
        if not self._ids:
            raise BadInput("the model's vocabulary has special tokens only: nothing can be drawn")

    def drawn(self, n: int, draw: random.Random) -> list[int]:
        """``n`` of them, all equally likely."""
        ids, count = self._ids, len(self._ids)
        return [ids[below(count, draw)] for _ in range(n)]


def requests(dataset: RandomDataset, n: int, tokenizer: Tokenizer, seed: int) -> Iterator[Request]:
    """``n`` requests; with ``turns``, each conversation's one after another, the last one cut where
    they are enough."""
    plain = PlainIds(tokenizer)
    # The ids of lists without prefixes and turns have always come from this source.
    ids = random.Random(seed)
    lengths, answers = stream(seed, "lengths"), stream(seed, "answers")
    prefixes = _Prefixes(dataset, plain, seed)
    made = 0
    while made < n:
        prompt = prefixes.next()
        shared = len(prompt)
        after = None
        for _ in range(min(dataset.turns or 1, n - made)):
            input_tokens = length(dataset.input_tokens, lengths)
            output_tokens = length(dataset.output_tokens, lengths)
            prompt = prompt + plain.drawn(input_tokens - shared, ids)
            name = f"r{made}"
            yield Request(name, prompt, output_tokens, tokenizer.decode(prompt), after)
            prompt = prompt + plain.drawn(output_tokens, answers)
            shared, after, made = 0, name, made + 1


class _Prefixes:
    def __init__(self, dataset: RandomDataset, plain: PlainIds, seed: int) -> None:
        self._tokens = dataset.prefix_tokens or 0
        self._count = dataset.prefixes or 1
        self._plain = plain
        self._seed = seed
        self._which = stream(seed, "which prefix")
        self._known: dict[int, list[int]] = {}

    def next(self) -> list[int]:
        """One of the prefixes, all equally likely; without ids where there are none."""
        if not self._tokens:
            return []
        which = below(self._count, self._which)
        if which not in self._known:
            source = stream(self._seed, "prefix", which)
            self._known[which] = self._plain.drawn(self._tokens, source)
        return self._known[which]
