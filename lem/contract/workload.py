"""What is asked of an engine: data sets, arrivals, objectives."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from lem.contract.base import Part, Positive, Sha256, wrong

MAX_REQUEST_TOKENS = 2**24
"""Of a prompt or of an answer; no model's context is as long."""

Tokens = Annotated[int, Field(ge=1, le=MAX_REQUEST_TOKENS)]


class Uniform(Part):
    """Whole numbers from ``low`` to ``high``, all equally likely."""

    distribution: Literal["uniform"] = "uniform"
    low: Tokens
    high: Tokens

    @model_validator(mode="after")
    def _ordered(self) -> "Uniform":
        if self.low > self.high:
            raise wrong(f"low ({self.low}) is above high ({self.high})")
        return self


class LogNormal(Part):
    """Whole numbers whose logarithm is normal, with standard deviation ``sigma``; those outside of
    ``low`` to ``high`` are drawn again."""

    distribution: Literal["lognormal"] = "lognormal"
    median: Tokens
    sigma: Annotated[float, Field(gt=0, le=3)]
    low: Tokens = 1
    high: Tokens

    @model_validator(mode="after")
    def _ordered(self) -> "LogNormal":
        if not self.low <= self.median <= self.high:
            raise wrong(f"median ({self.median}) must lie within low and high")
        return self


def _distribution(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("distribution", "uniform"))
    return value.distribution if isinstance(value, Uniform | LogNormal) else "fixed"


Length = Annotated[
    Annotated[Tokens, Tag("fixed")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[LogNormal, Tag("lognormal")],
    Discriminator(_distribution),
]
"""A number of tokens: always the same, or drawn for each request."""


class RandomDataset(Part):
    """Token ids drawn at random: exact lengths, meaningless text.

    The first ``prefix_tokens`` of a prompt are one of ``prefixes`` that requests share. With
    ``turns``, requests form conversations: each turn's prompt is the one before, ``output_tokens``
    random tokens in place of its answer, and ``input_tokens`` more.
    """

    kind: Literal["random"] = "random"
    input_tokens: Length = 512
    output_tokens: Length = 128
    prefix_tokens: Tokens | None = None
    """Counted in ``input_tokens``; of a conversation, in those of its first turn."""
    prefixes: Positive | None = None
    """How many different ones there are; 1 where it is not given."""
    turns: Positive | None = None

    @model_validator(mode="after")
    def _prefix_fits(self) -> "RandomDataset":
        if self.prefixes is not None and self.prefix_tokens is None:
            raise wrong("prefixes says how many there are; prefix_tokens, how long, is missing")
        tokens = self.input_tokens
        shortest = tokens if isinstance(tokens, int) else tokens.low
        if self.prefix_tokens is not None and self.prefix_tokens > shortest:
            raise wrong(
                f"prefix_tokens ({self.prefix_tokens}) is counted in input_tokens, which may be "
                f"as few as {shortest}"
            )
        return self


class PromptsDataset(Part):
    """Real prompts that come with lem, put through the model's chat template where it has one."""

    kind: Literal["prompts"] = "prompts"
    output_tokens: Tokens = 128
    max_input_tokens: Positive | None = None


class LongContextDataset(Part):
    """A long stretch of English text of exactly so many tokens with a question about it."""

    kind: Literal["long_context"] = "long_context"
    input_tokens: Tokens = 8192
    output_tokens: Tokens = 128


class FromFile(Part):
    """``path`` is the file's name alone once the campaign is read: folders tell whose machine it
    is. ``sha256`` is of its content, and then always there."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    sha256: Sha256 | None = None


class JsonlDataset(FromFile):
    """A line a request: ``{"prompt": "…"}`` or ``{"messages": [{"role", "content"}, …]}``, with
    ``output_tokens`` where lines differ in it."""

    kind: Literal["jsonl"] = "jsonl"
    output_tokens: Tokens | None = None
    """For the lines that do not say."""
    max_input_tokens: Positive | None = None


class ShareGptDataset(FromFile):
    """Conversations in ShareGPT's file format. One request for each (its first question), or, with
    ``turns``, one for each question, after what the file says was answered before.

    Without ``output_tokens`` an answer is as long as the file's.
    """

    kind: Literal["sharegpt"] = "sharegpt"
    output_tokens: Tokens | None = None
    max_input_tokens: Positive | None = None
    max_total_tokens: Positive | None = None
    """Of prompt and answer together."""
    turns: Positive | None = None
    """At most so many questions of a conversation; 1 where it is not given."""


class TraceDataset(FromFile):
    """Random token ids with the lengths that a recorded trace says: Mooncake's JSON lines
    (``input_length``, ``output_length``, ``hash_ids``) or Azure's CSV (``ContextTokens``,
    ``GeneratedTokens``)."""

    kind: Literal["trace"] = "trace"
    max_input_tokens: Positive | None = None


Dataset = Annotated[
    RandomDataset
    | PromptsDataset
    | LongContextDataset
    | JsonlDataset
    | ShareGptDataset
    | TraceDataset,
    Field(discriminator="kind"),
]


class Offline(Part):
    """All requests are there at once; the engine takes them as fast as it can."""

    kind: Literal["offline"] = "offline"


class Concurrency(Part):
    """A closed loop: each of ``concurrency`` clients sends its next request when one returns."""

    kind: Literal["concurrency"] = "concurrency"
    concurrency: Positive = 8


class Search(Part):
    """The highest rate at which at least ``attainment`` of the requests meet every objective."""

    search: Literal["goodput"] = "goodput"
    low: Annotated[float, Field(gt=0)] = 0.1
    high: Annotated[float, Field(gt=0)] = 100.0
    attainment: Annotated[float, Field(gt=0, le=1)] = 0.9
    trial_s: Annotated[float, Field(gt=0)] = 10.0
    """How long each rate is tried."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.low >= self.high:
            raise wrong(f"low ({self.low:g}) must be below high ({self.high:g})")
        return self


PositiveRate = Annotated[float, Field(gt=0, le=1e6)]
Rate = PositiveRate | Search
"""Requests a second."""


class Constant(Part):
    """Open loop: a request every 1 ÷ ``rate`` seconds, however slow the answers are."""

    kind: Literal["constant"] = "constant"
    rate: Rate


class Poisson(Part):
    """Open loop: requests come independently of each other."""

    kind: Literal["poisson"] = "poisson"
    rate: Rate


class Gamma(Part):
    """Open loop: gaps between requests are gamma distributed with shape ``burstiness``: 1 is
    Poisson, less comes in bursts, more is more regular."""

    kind: Literal["gamma"] = "gamma"
    rate: Rate
    burstiness: Annotated[float, Field(gt=0, le=1000)] = 1.0


class TraceArrival(FromFile):
    """Open loop: the time stamps of a recorded trace (Mooncake's ``timestamp`` in milliseconds,
    Azure's ``TIMESTAMP``), ``speed`` times as fast."""

    kind: Literal["trace"] = "trace"
    speed: Annotated[float, Field(gt=0)] = 1.0


Arrival = Annotated[
    Offline | Concurrency | Constant | Poisson | Gamma | TraceArrival,
    Field(discriminator="kind"),
]


class Slo(Part):
    """Service-level objectives: limits that each request must keep.

    ``itl_ms`` and ``tpot_ms`` are the same limit, on a request's mean time per output token after
    the first (its mean gap, no single one), under its two names.
    """

    ttft_ms: Annotated[float, Field(gt=0)] | None = None
    """From when the request was due until its first token."""
    itl_ms: Annotated[float, Field(gt=0)] | None = None
    """On TPOT, a request's mean gap between tokens; single gaps may be longer."""
    tpot_ms: Annotated[float, Field(gt=0)] | None = None
    """The same limit under its other name."""
    e2e_ms: Annotated[float, Field(gt=0)] | None = None
    """From when the request was due until its last token."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if None not in (self.itl_ms, self.tpot_ms) and self.itl_ms != self.tpot_ms:
            raise wrong(
                f"itl_ms ({self.itl_ms:g}) and tpot_ms ({self.tpot_ms:g}) are one limit under two"
                " names; keep one of them"
            )
        return self

    @property
    def tpot_limit_ms(self) -> float | None:
        """On a request's mean time per output token after the first."""
        return self.tpot_ms if self.tpot_ms is not None else self.itl_ms

    @property
    def any(self) -> bool:
        """Whether any limit is set."""
        return any(
            limit is not None for limit in (self.ttft_ms, self.itl_ms, self.tpot_ms, self.e2e_ms)
        )


class Workload(Part):
    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    dataset: Dataset = RandomDataset()
    arrival: Arrival = Offline()
    slo: Slo = Slo()
