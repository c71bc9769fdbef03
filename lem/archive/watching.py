"""Whether a public log is still the one that it was: for whoever reads one from elsewhere.

A chain shows that nothing within it was changed. That the whole of it was not made anew, only
someone who kept a hash can tell: the newest that this machine saw, and those in its receipts.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lem.archive.log import EMPTY, Head, LogEntry, verify
from lem.contract.submission import Receipt
from lem.errors import BadInput

Page = Callable[[int], Sequence[LogEntry]]
"""Entries after a number, the oldest first; none where it ends."""
MAX_ENTRIES = 50_000_000


class Watched(NamedTuple):
    head: Head
    """The last entry up to which the chain holds."""
    problems: list[str]
    """Empty where all holds."""
    receipts: int
    """Own receipts that are in the log as they say."""


def watch(page: Page, remembered: Head | None, receipts: Sequence[Receipt]) -> Watched:
    """Read the whole log and hold it against what was kept of it."""
    wanted: dict[int, list[Receipt]] = {}
    for receipt in receipts:
        wanted.setdefault(receipt.log_seq, []).append(receipt)
    problems: list[str] = []
    found = 0
    last = EMPTY

    def entries() -> Iterator[LogEntry]:
        nonlocal found, last
        for entry in _entries(page):
            yield entry
            # Only what verify() has taken comes to here.
            last = Head(entry.seq, entry.hash)
            if remembered and entry.seq == remembered.seq and entry.hash != remembered.hash:
                problems.append(
                    f"the log was rewritten: entry {entry.seq} had the hash {remembered.hash} when"
                    f" it was last verified from here, and has {entry.hash} now"
                )
            for receipt in wanted.pop(entry.seq, ()):
                if wrong := _differs(receipt, entry):
                    problems.append(wrong)
                else:
                    found += 1

    try:
        verify(entries())
    except BadInput as e:
        problems.append(f"the chain is broken: {e}")
    if remembered and last.seq < remembered.seq:
        problems.append(
            f"the log was shortened: it holds to entry {last.seq}, and reached {remembered.seq}"
            " when it was last verified from here"
        )
    for left in wanted.values():
        problems += [
            f"submission {r.submission}: its receipt is of entry {r.log_seq}, which is not there"
            for r in left
        ]
    return Watched(last, problems, found)


def _entries(page: Page) -> Iterator[LogEntry]:
    after = 0
    while after < MAX_ENTRIES:
        some = page(after)
        if not some:
            return
        yield from some
        if some[-1].seq <= after:
            raise BadInput("the server sends the same page again and again")
        after = some[-1].seq
    raise BadInput(f"it has more than {MAX_ENTRIES} entries")


def _differs(receipt: Receipt, entry: LogEntry) -> str:
    if entry.hash != receipt.log_hash:
        what = "has another hash than its receipt"
    elif entry.kind != "accepted" or entry.payload.get("submission") != receipt.submission:
        what = "does not accept it"
    else:
        return ""
    return f"submission {receipt.submission}: entry {entry.seq} of the log {what}"
