"""Of what a run's negative log-likelihood per token is."""

from typing import NamedTuple

from lem.contract.record import Record


class Scored(NamedTuple):
    """What has to be the same of two runs for their NLL per token to be of the same tokens."""

    text: str | None
    """Its SHA-256 …"""
    tokens: int | None
    """… and into how many tokens the model's tokenizer cut it."""


def scored_of(record: Record) -> Scored | None:
    """None where no text was scored."""
    quality = record.quality
    if quality.nll_per_token is None:
        return None
    return Scored(quality.text_sha256, quality.tokens)
