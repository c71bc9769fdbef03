"""How both ways of batching in transformers score texts: forward passes, nothing generated."""

import inspect
from collections.abc import Sequence
from typing import Any

from lem.backends.huggingface import named
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored, mean_nll

KEEP = "logits_to_keep"


def nll_of(model: Any, token_ids: list[int], device: str, longest: int | None) -> float | None:
    """As :meth:`lem.backends.protocol.Engine.nll`: one forward pass for each piece of the text."""
    if longest is not None and longest < NLL_CHUNK_TOKENS:
        return None
    return mean_nll(lambda pieces: likelihoods_of(model, pieces, device, 1), token_ids)


def likelihoods_of(
    model: Any, pieces: Sequence[Passage], device: str, batch_size: int
) -> list[Scored]:
    """As :meth:`lem.backends.protocol.Scoring.likelihoods`: batches of like length."""
    order = sorted(range(len(pieces)), key=lambda i: (len(pieces[i].ids), pieces[i].ids))
    found: dict[int, Scored] = {}
    for at in range(0, len(order), batch_size):
        batch = order[at : at + batch_size]
        with named("engine_error"):
            found |= zip(batch, _batch(model, [pieces[i] for i in batch], device), strict=True)
    return [found[i] for i in range(len(pieces))]


def _batch(model: Any, batch: list[Passage], device: str) -> list[Scored]:
    """Padded at the end, where a causal model's other tokens do not look. Logits are made from the
    first place on that any piece needs: those of whole prompts would take gigabytes."""
    import torch

    width = max(len(p.ids) for p in batch) - 1
    rows = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, piece in enumerate(batch):
        # Nothing follows the last token that would have to be predicted.
        read = len(piece.ids) - 1
        rows[row, :read] = torch.tensor(piece.ids[:-1])
        mask[row, :read] = 1
    first = min(p.start for p in batch) - 1
    more: dict[str, Any] = {}
    if KEEP in inspect.signature(model.forward).parameters:
        more[KEEP] = width - first
    with torch.inference_mode():
        logits = model(
            input_ids=rows.to(device), attention_mask=mask.to(device), use_cache=False, **more
        ).logits
        skipped = width - logits.shape[1]
        return [
            _scored(logits[row, p.start - 1 - skipped : len(p.ids) - 1 - skipped], p.scored)
            for row, p in enumerate(batch)
        ]


def _scored(logits: Any, tokens: list[int]) -> Scored:
    import torch

    wanted = torch.tensor(tokens, device=logits.device)
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    total = logprobs.gather(-1, wanted.unsqueeze(-1)).double().sum()
    return Scored(float(total.item()), bool((logprobs.argmax(dim=-1) == wanted).all().item()))
