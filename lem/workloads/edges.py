"""What an engine was in the middle of at a window's edges, and how uncertain that makes the counts.

A window's energy holds part of the work that was under way at its edges; its counts hold each token
and answer whole or not at all. Where windows are whole batches nothing is under way. Elsewhere the
share that was done at an edge is taken as anything between 0 and 1, equally likely: a rectangular
distribution with the standard deviation 1 ÷ √12 (GUM 4.3.7). Engines make a token for every slot in
one step, so the tokens of one edge are one cause; answers end independently of each other.

Under an open load there may be more under way at one edge than at the other. Half of the difference
is then work that was done and not counted, or counted and not done. It is not corrected, since
counts are counts, but stated: the uncertainty is the root of the mean square, not the standard
deviation, of what the counts are off by.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from lem.workloads.latency import within
from lem.workloads.load import Response
from lem.workloads.steady import Counts

TURNS = 3
"""A window of a continuous engine should hold this many answers of each slot."""


class Underway(NamedTuple):
    """At one moment."""

    decoding: int
    """Requests between their first token and their end: a token of each was being made."""
    prefilling: int
    """Requests whose prefill may have been under way."""
    input_tokens: int
    """Of those in prefill."""


class CountUncertainty(NamedTuple):
    """Expanded (k = 2) uncertainties of a window's counts as a measure of the work done in it."""

    input_tokens: float
    output_tokens: float
    requests: float


EXACT = CountUncertainty(0.0, 0.0, 0.0)


def underway(responses: Sequence[Response], moments_ns: Sequence[int]) -> list[Underway]:
    """What was under way in a continuous engine at each of these moments.

    A request that waits for its first token may be in prefill or in a queue. As many are taken to
    be in prefill, those sent first, as slots are left: there are as many slots as requests were
    ever decoded at once (at least one).
    """
    live = [r for r in responses if r.token_ns]
    starts = sorted(r.token_ns[0] for r in live)
    ends = sorted(r.end_ns for r in live if r.end_ns is not None)
    slots = max((i + 1 - bisect_right(ends, t) for i, t in enumerate(starts)), default=0)
    found = []
    for t_ns in moments_ns:
        decoding = bisect_right(starts, t_ns) - bisect_right(ends, t_ns)
        waiting = sorted(
            (r for r in responses if r.sent_ns <= t_ns and not _answering(r, t_ns)),
            key=lambda r: r.sent_ns,
        )
        prefilling = waiting[: max(0, max(1, slots) - decoding)]
        inputs = sum(len(r.request.input_ids) for r in prefilling)
        found.append(Underway(decoding, len(prefilling), inputs))
    return found


def _answering(response: Response, t_ns: int) -> bool:
    """Whether its first token had come, or it had ended, by then."""
    if response.token_ns:
        return response.token_ns[0] <= t_ns
    return response.end_ns is not None and response.end_ns <= t_ns


def uncertainties(
    responses: Sequence[Response], windows: Sequence[Counts], whole_batches: bool
) -> list[CountUncertainty]:
    """Of each window's counts; ``responses`` are all that the engine gave from the first window
    on."""
    if whole_batches:
        return [EXACT for _ in windows]
    edges = underway(responses, [t for w in windows for t in (w.start_ns, w.end_ns)])
    found = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        at_start, at_end = a.decoding + a.prefilling, b.decoding + b.prefilling
        found.append(
            CountUncertainty(
                input_tokens=_one_cause(a.input_tokens, b.input_tokens),
                output_tokens=_one_cause(a.decoding, b.decoding),
                requests=2 * math.sqrt((at_start + at_end) / 12 + ((at_end - at_start) / 2) ** 2),
            )
        )
    return found


def _one_cause(at_start: int, at_end: int) -> float:
    """Expanded, of ``at_end`` × what was done − ``at_start`` × what was done, where each share is
    anything between 0 and 1."""
    scatter = (at_start**2 + at_end**2) / 12
    return 2 * math.sqrt(scatter + ((at_end - at_start) / 2) ** 2)


def mean_open(responses: Sequence[Response], start_ns: int, end_ns: int) -> float | None:
    """How many requests were open on average in a stretch of time; None for one without length."""
    if end_ns <= start_ns:
        return None
    inside = 0
    for r in responses:
        end = end_ns if r.end_ns is None else min(r.end_ns, end_ns)
        inside += max(0, end - max(r.sent_ns, start_ns))
    return inside / (end_ns - start_ns)


def most_open(responses: Sequence[Response]) -> int:
    """How many requests were ever open at once."""
    moments = sorted(
        [(r.sent_ns, 1) for r in responses]
        + [(r.end_ns, -1) for r in responses if r.end_ns is not None]
    )
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


def few_turns(responses: Sequence[Response], window: Counts) -> bool:
    """Whether a continuous engine's window holds less than three answers of each slot, of unequal
    lengths: slots that began together are then not out of step yet, and prefill is a smaller part
    of the window than of the work."""
    (start,) = underway(responses, [window.start_ns])
    ended = within(responses, window.start_ns, window.end_ns)
    lengths = {len(r.token_ns) for r in ended}
    return start.decoding > 1 and len(lengths) > 1 and window.requests < TURNS * start.decoding
