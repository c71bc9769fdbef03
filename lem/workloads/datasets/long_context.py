"""Long prompts of exactly so many tokens: a made-up ledger, and a question about one entry of it.

The sentences are put together from words, so that each request's text is another one and an engine
that keeps prompts finds none of it again (but for what the chat template begins with).
"""

import math
import random
from collections.abc import Iterator
from itertools import takewhile

from lem.contract.workload import LongContextDataset
from lem.errors import BadInput
from lem.workloads.datasets.drawing import below, stream
from lem.workloads.requests import Request, Tokenizer

_NAMES = (
    "Agnes", "Bertram", "Clara", "Dorothy", "Edmund", "Florence", "Gilbert", "Harriet", "Isaac",
    "Josephine", "Kenneth", "Louisa", "Matilda", "Nathaniel", "Octavia", "Percival", "Quentin",
    "Rosalind", "Stephen", "Theodora", "Ursula", "Victor", "Winifred", "Xavier", "Yvonne",
    "Zachary",
)  # fmt: skip
_TRADES = (
    "baker", "blacksmith", "bookbinder", "carpenter", "clockmaker", "farmer", "ferryman",
    "gardener", "glassblower", "innkeeper", "miller", "musician", "painter", "schoolteacher",
    "shepherd", "surveyor", "tailor", "weaver",
)  # fmt: skip
_GOODS = (
    "baskets of apples", "barrels of cider", "bolts of linen", "boxes of candles",
    "bundles of firewood", "crates of oranges", "jars of honey", "loaves of bread",
    "pairs of boots", "reams of paper", "sacks of flour", "tins of tea", "wheels of cheese",
)  # fmt: skip
_PLACES = (
    "Ashbourne", "Birchwood", "Coldwater", "Dunmore", "Eastfield", "Foxley", "Greystone",
    "Highmoor", "Ironbridge", "Kingsport", "Lindale", "Millbrook", "Northgate", "Oakham",
    "Pinehurst", "Redcliff", "Southwick", "Thornbury", "Westhaven",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEATHER = ("bright", "cold", "foggy", "quiet", "rainy", "snowy", "stormy", "warm", "windy")
_DEEDS = (
    "brought {goods} to the market at {place}",
    "bought {goods} from a stranger in {place}",
    "sold {goods} to a merchant of {place}",
    "lost {goods} on the road to {place}",
    "sent {goods} by cart to {place}",
    "stored {goods} in a barn near {place}",
)
SENTENCE_TOKENS = 12
"""No tokenizer makes fewer of a sentence, which has more words than that."""


def requests(
    dataset: LongContextDataset, n: int, tokenizer: Tokenizer, seed: int
) -> Iterator[Request]:
    """``n`` prompts of exactly ``input_tokens`` ids: template, entries, question, template."""
    for index in range(n):
        draw = stream(seed, "long context", index)
        question, entries = _ledger(dataset.input_tokens, draw)
        head, tail = _frame(question, tokenizer)
        room = dataset.input_tokens - len(head) - len(tail)
        least = 2 * (SENTENCE_TOKENS + 20)
        if room < least:
            raise BadInput(
                f"input_tokens ({dataset.input_tokens}) is too short for a question about a text",
                hint=f"at least {dataset.input_tokens - room + least} with this model's template",
            )
        body = [i for i in tokenizer.encode(entries, chat=False) if i not in tokenizer.special_ids]
        if len(body) < room:
            raise BadInput("the model's tokenizer makes too few tokens of plain English")
        text = tokenizer.decode(body[:room])
        yield Request(
            f"r{index}",
            [*head, *body[:room], *tail],
            dataset.output_tokens,
            f"{text}\n\n{question}",
        )


def _ledger(tokens: int, draw: random.Random) -> tuple[str, str]:
    """A question, and entries that are longer than ``tokens``; the one that is asked about is the
    first, where it is in the prompt whatever the tokenizer."""
    first = 1000 + below(9_000_000, draw)
    sentences = []
    question = ""
    for i in range(math.ceil(tokens / SENTENCE_TOKENS)):
        number, goods = first + i, _one_of(_GOODS, draw)
        who = f"{_one_of(_NAMES, draw)} the {_one_of(_TRADES, draw)} of {_one_of(_PLACES, draw)}"
        deed = _one_of(_DEEDS, draw).format(
            goods=f"{2 + below(98, draw)} {goods}", place=_one_of(_PLACES, draw)
        )
        day = f"On a {_one_of(_WEATHER, draw)} {_one_of(_DAYS, draw)}"
        sentences.append(f"Entry {number}. {day}, {who} {deed}.")
        if i == 0:
            question = (
                f"Question: according to entry {number}, who is it about, and how many {goods} "
                "does it name? Answer in one sentence, then sum up what the entries have in common."
            )
    return question, " ".join(sentences)


def _frame(question: str, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What stands before and after the entries: what two prompts with other entries share."""
    one, other = (
        tokenizer.encode(f"{body}\n\n{question}", chat=True) for body in ("apple", "Rivers")
    )
    head = _shared(one, other)
    tail = _shared(one[len(head) :][::-1], other[len(head) :][::-1])
    return head, tail[::-1]


def _shared(one: list[int], other: list[int]) -> list[int]:
    pairs = zip(one, other, strict=False)
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]


def _one_of(words: tuple[str, ...], draw: random.Random) -> str:
    return words[below(len(words), draw)]
