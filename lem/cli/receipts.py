"""What an archive says of submissions, in words: one campaign after the other."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lem.contract.submission import Receipt


def lines(receipts: "Iterable[tuple[str, Receipt]]") -> Iterator[str]:
    """Of each campaign (its name is beside each receipt) how it stands, by its newest receipt, and
    what the checks found in all of its submissions."""
    campaigns: dict[str, list[Receipt]] = {}
    names: dict[str, str] = {}
    for name, receipt in receipts:
        campaigns.setdefault(receipt.campaign, []).append(receipt)
        names[receipt.campaign] = name
    for campaign, found in campaigns.items():
        newest = found[-1]
        if newest.campaign_state == "retracted":
            name = names[campaign]
            yield f"{name}: campaign {campaign[:12]} was taken back; nothing of it is there"
            continue
        runs = sum(r.runs for r in found)
        yield (
            f"{names[campaign]}: {runs} runs are there; campaign {campaign[:12]} is"
            f" {newest.campaign_state}"
        )
        if newest.missing:
            yield f"  not on the board yet: {newest.missing}"
        entries = ", ".join(str(r.log_seq) for r in found)
        yield f"  checks: {_checks(found)}; log entry {entries}"
        yield from _findings(found)


def _checks(receipts: "list[Receipt]") -> str:
    states = Counter(r.checks for r in receipts)
    if len(states) == 1:
        return next(iter(states))
    return ", ".join(f"{n} {state}" for state, n in states.items())


def _findings(receipts: "list[Receipt]") -> Iterator[str]:
    """The same of many runs is said once."""
    alike: dict[tuple[str, str, str], list[int | None]] = {}
    for receipt in receipts:
        for f in receipt.findings:
            alike.setdefault((f.consequence, f.rule, f.detail), []).append(f.block)
    for (consequence, rule, detail), blocks in alike.items():
        place = f" ({len(blocks)} runs)" if len(blocks) > 1 else ""
        if len(blocks) == 1 and blocks[0] is not None:
            place = f" (block {blocks[0] + 1})"
        yield f"  {consequence}: {rule}: {detail}{place}"
