"""Flags of runs that make a figure of energy per output token doubtful."""

from collections.abc import Sequence

from lem.analysis.text import plain
from lem.archive.queries.answer import CampaignId
from lem.archive.queries.flagged import flagged
from lem.contract.flags import FLAGS
from lem.contract.metrics import DEVICE_CLASSES
from lem.contract.record import Record
from lem.pages.page import Reader
from lem.web.strings import text

MOST = 8
NOT_OF_ENERGY = frozenset(
    (
        "estimated",
        "synthetic",
        "weights_random",
        "power_integrated",
        "not_attributed",
        "idle_untrusted",
        "idle_drift",
        "client_late",
        "tokens_spread",
        "input_tokens_differ",
        "questions_failed",
        "likelihood_by_steps",
        "rate_search_capped",
        "objectives_missed",
    )
)
"""Flags that say nothing against the energy of an output token, or what stands beside it anyhow."""


def of_campaign(
    reader: Reader, campaign: CampaignId, configurations: Sequence[str] = ()
) -> tuple[str, ...]:
    """``throughput had not settled … (11 of 12 runs)``, the most frequent first: of the counted
    runs of these configurations, or of all. By the flags' names alone: a flag of another device's
    meter is among them, which on the page of a run it is not."""
    found = flagged(reader.connection, campaign, configurations)
    doubts = [(n, name) for name, n in found.flags.items() if name not in NOT_OF_ENERGY]
    return tuple(
        text("doubts.runs", meaning=_meaning(name), n=n, runs=found.runs)
        for n, name in sorted(doubts, key=lambda d: (-d[0], d[1]))[:MOST]
    )


def is_doubt(name: str, record: Record, energy_class: str) -> bool:
    """Whether a flag is about the headline figure: not where only readings of other devices, or
    outside of the windows, have it."""
    if name in NOT_OF_ENERGY:
        return False
    if name in ("meters_disagree", "meters_contradict"):
        between = {r.what for r in record.reconciliation if r.agrees is False}
        return not between or not between <= set(DEVICE_CLASSES) - {energy_class}
    of_figure = [r for w in record.windows for r in w.energy if r.device_class == energy_class]
    stretches = (*record.windows, *record.idle, record.prefill, record.answering)
    every = [r for s in stretches if s is not None for r in s.energy]
    return any(name in r.flags for r in of_figure) or not any(name in r.flags for r in every)


def _meaning(name: str) -> str:
    if name in FLAGS:
        return FLAGS[name].meaning
    return f"{plain(name)}: {text('result.unknown_flag')}"
