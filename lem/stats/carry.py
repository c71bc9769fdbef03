"""What a run hands on to the next: the effect of the predecessor, estimated over a campaign.

A board that is still warm, or a cache that is still full, shifts the next run's figure towards the
previous one's. Random order makes that neither noise that averages out nor a difference that
cancels, but a bias of every ratio towards 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lem.stats.layout import Array
from lem.stats.quantiles import t_quantile


@dataclass(frozen=True)
class Carry:
    """(…) each, and ``bias`` (…, arms − 1). NaN where the arms do not tell."""

    share: Array
    bound: Array
    standard_error: Array
    bias: Array
    """Bound on the bias of each log-ratio to the baseline."""


def carry_over(
    logs: Array, predecessor: NDArray[np.int64], baseline: int = 0, level: float = 0.95
) -> Carry:
    """The share λ of the previous run's difference that a run still shows.

    ``logs`` (…, blocks, arms) without gaps; ``predecessor`` of the same shape: the column of the
    arm that ran before, −1 where none did. The model: x = block + arm + λ·(αᵖ − αᵒʷⁿ) + noise, with
    the arms' estimated effects α; λ is by least squares after blocks and arms are taken out, on
    (blocks − 1)(arms − 1) − 1 degrees of freedom. The bound is |λ̂| + t·(standard error).
    """
    blocks, arms = logs.shape[-2:]
    seen = logs.mean(axis=-2) - logs.mean(axis=(-1, -2))[..., None]
    rest = _without_blocks_and_arms(logs)
    df = (blocks - 1) * (arms - 1) - 1
    effect = seen
    # What is handed on also pulls the estimated effects together: correct them, and go round again.
    for _ in range(3):
        pull = _pull(effect, predecessor)
        lever = _without_blocks_and_arms(pull)
        weight = np.sum(lever**2, axis=(-1, -2))
        # Rounding alone leaves a little where every block has the same order: that tells nothing.
        weight = np.where(weight > 1e-12 * np.sum(pull**2, axis=(-1, -2)), weight, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.sum(lever * rest, axis=(-1, -2)) / weight
        effect = seen - np.nan_to_num(share)[..., None] * pull.mean(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sum((rest - share[..., None, None] * lever) ** 2, axis=(-1, -2))
        error = np.sqrt(left / df / weight) if df > 0 else np.full(share.shape, np.nan)
    bound = np.abs(share) + t_quantile(0.5 + level / 2, max(df, 1)) * error
    pulled = pull.mean(axis=-2)
    others = [a for a in range(arms) if a != baseline]
    bias = bound[..., None] * np.abs(pulled[..., others] - pulled[..., [baseline]])
    return Carry(share, bound, error, bias)


def all_handed_on(logs: Array, predecessor: NDArray[np.int64], baseline: int = 0) -> Array:
    """(arms − 1): how far each log-ratio to the baseline would have been drawn if a run showed all
    of the difference, as it is seen, of the one before it. Needs no estimate of the share: among
    arms that hardly differ it is hardly anything, whatever the share.

    ``logs`` (blocks, arms), NaN where a run does not count. What is seen is itself drawn together:
    with every run's predecessor another arm it covers shares up to about a third.
    """
    effect = np.nanmean(logs - logs[:, [baseline]], axis=0)
    pull = np.where(np.isfinite(logs), _pull(effect, predecessor), np.nan)
    pulled = np.nanmean(pull, axis=0)
    drawn: Array = np.delete(pulled - pulled[baseline], baseline)
    return drawn


def _pull(effect: Array, predecessor: NDArray[np.int64]) -> Array:
    """How far the predecessor's effect lies from the run's own; 0 without a predecessor."""
    each = np.broadcast_to(effect[..., None, :], predecessor.shape)
    before = np.take_along_axis(each, np.maximum(predecessor, 0), axis=-1)
    return np.where(predecessor >= 0, before - each, 0.0)


def _without_blocks_and_arms(values: Array) -> Array:
    rest: Array = (
        values
        - values.mean(axis=-1, keepdims=True)
        - values.mean(axis=-2, keepdims=True)
        + values.mean(axis=(-1, -2), keepdims=True)
    )
    return rest
