"""Where the blocks of a campaign ran: on which boards, of which node. Pure.

Boards go by the UUIDs of a block's device set, and a node by the boots that its blocks ran in:
boots that saw a board in common are of one node. Without a board one boot is one node where boots
overlap; where no scheduler placed the runs, boots that followed each other are taken for restarts
of one machine; and where one did, boots are all that is known.
"""

import hashlib
import itertools
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lem.analysis.gains import has_gain
from lem.stores.outcomes import Outcome
from lem.stores.rows import Row

ON_BOARDS = ("gpu", "module")
"""Device classes that are read by the boards themselves; all else is read by the node's meters."""
CPU = ("cpu",)
"""The device set of a block without a board."""
Kind = Literal["board", "node", "boot"]
"""``boot``: of blocks without a board where a scheduler chose the nodes: whether another boot is
another node, or the same one restarted, is not known."""


@dataclass(frozen=True)
class Place:
    """One board, one set of boards, or one node."""

    name: str
    """Short, made of its identity and the campaign's name: told apart here, of no use elsewhere."""
    node: str
    """The name of its node; for a node its own."""
    boards: int
    """How many boards; 0 of a node without any."""
    blocks: tuple[int, ...]
    """Those that ran on it, in which a run counts."""


@dataclass(frozen=True)
class Spread:
    """Blocks on several boards, or several nodes."""

    kind: Kind
    places: tuple[Place, ...]
    """In the order of their first blocks. One alone where ``overlap``."""
    overlap: bool = False
    """Whether blocks ran on different sets of boards that hang together by boards in common: then
    no two of them are independent."""

    @property
    def told(self) -> bool:
        """Whether they are known to be apart from each other, so that a ratio on others like these
        can be asked for."""
        return not self.overlap and self.kind != "boot"

    @property
    def of_block(self) -> dict[int, str]:
        """Block → name of the place."""
        return {b: p.name for p in self.places for b in p.blocks}


@dataclass(frozen=True)
class Places:
    """What blocks ran on."""

    boards: Spread | None = None
    """None where all ran on one set of boards, or on none."""
    nodes: Spread | None = None
    """None where all ran on one node."""
    boots: int = 1
    """Boots that were taken for restarts of one machine."""

    def of(self, metric: str, part: str) -> Spread | None:
        """What makes figures of a metric and its part (a device class) resemble each other: the
        boards whose counter was read; of all else the nodes, or the boards of one node."""
        if part in ON_BOARDS and has_gain(metric):
            return self.boards
        if self.nodes is not None or self.boards is None or self.boards.overlap:
            return self.nodes
        return self.boards


def of_these(spreads: Iterable[Spread | None], what: str) -> list[str]:
    """That ``what`` (*the front is*) is of the places that were used alone, where these are
    several: one sentence, of the first that is spread."""
    for spread in spreads:
        if spread is not None:
            kinds = "sets of boards that overlap" if spread.overlap else f"{spread.kind}s"
            count = "several" if spread.overlap else str(len(spread.places))
            return [
                f"Blocks ran on {count} {kinds}: {what} of these, whether or not they agree;"
                " lem results compare says how far they do."
            ]
    return []


def places_of(campaign: str, rows: Sequence[Row], placed: bool = False) -> Places:
    """``rows``: the runs that count. ``placed``: whether a scheduler chose their nodes."""
    found: dict[int, Outcome] = {}
    for row in rows:
        found.setdefault(row.outcome.block, row.outcome)
    sets = {b: tuple(sorted(set(o.device_set))) for b, o in sorted(found.items())}
    boards: Joined = Joined()
    nodes: Joined = Joined()
    for block, own in sets.items():
        boot = ("boot", found[block].boot_id)
        seen: list[Hashable] = [("board", uuid) for uuid in own if own != CPU]
        nodes.join([boot, *seen])
        boards.join(own)
    alone = {o.boot_id for b, o in found.items() if sets[b] == CPU}
    restarts = not placed and len(alone) > 1 and _one_after_another(rows, alone, any_two=False)
    if restarts:
        nodes.join([("boot", boot) for boot in alone])
    of_node = {b: nodes.of(("boot", o.boot_id)) for b, o in found.items()}
    node_names = _names(campaign, {n: repr(sorted(nodes.members(n))) for n in of_node.values()})
    by_node: dict[Hashable, list[int]] = defaultdict(list)
    by_boards: dict[Hashable, list[int]] = defaultdict(list)
    for block, members in sets.items():
        by_node[of_node[block]].append(block)
        by_boards[boards.of(members[0]) if members else ()].append(block)
    board_names = _names(campaign, {k: repr(sorted(boards.members(k))) for k in by_boards})
    several = tuple(
        Place(
            board_names[key],
            " + ".join(sorted({node_names[of_node[b]] for b in blocks})),
            len({uuid for b in blocks for uuid in sets[b]}),
            tuple(blocks),
        )
        for key, blocks in by_boards.items()
    )
    overlap = len(several) == 1 and len(set(sets.values())) > 1
    machines = tuple(
        Place(
            node_names[key],
            node_names[key],
            len({uuid for b in blocks for uuid in sets[b] if sets[b] != CPU}),
            tuple(blocks),
        )
        for key, blocks in by_node.items()
    )
    unknown = placed and len(alone) > 1 and _one_after_another(rows, alone, any_two=True)
    kind: Kind = "boot" if unknown else "node"
    on_boards = any(own != CPU for own in sets.values())
    return Places(
        Spread("board", several, overlap) if on_boards and (len(several) > 1 or overlap) else None,
        Spread(kind, machines) if len(machines) > 1 else None,
        len(alone) if restarts else 1,
    )


@dataclass(frozen=True)
class Lost:
    """A board, or set of boards, on which nothing counts."""

    name: str
    boards: int
    blocks: int
    """That were tried there."""
    why: str
    """What kept most of them from counting."""


def lost(campaign: str, tried: Sequence[tuple[Outcome, str]], used: Iterable[Row]) -> list[Lost]:
    """Of all attempts, each with why it does not count, those on boards that have none of the runs
    ``used``, in the order in which they began."""
    there = {uuid for r in used for uuid in r.outcome.device_set}
    away = [(o, why) for o, why in tried if o.device_set != CPU and there.isdisjoint(o.device_set)]
    joined = Joined()
    for o, _ in away:
        joined.join(sorted(set(o.device_set)))
    of: dict[Hashable, list[tuple[Outcome, str]]] = defaultdict(list)
    for o, why in sorted(away, key=lambda item: item[0].started_at):
        if o.device_set:
            of[joined.of(min(o.device_set))].append((o, why))
    names = _names(campaign, {key: repr(sorted(joined.members(key))) for key in of})
    return [
        Lost(
            name=names[key],
            boards=len({uuid for o, _ in own for uuid in o.device_set}),
            blocks=len({o.block for o, _ in own}),
            why=Counter(why for _, why in own).most_common(1)[0][0],
        )
        for key, own in of.items()
    ]


def before_on_the_same(outcomes: Sequence[Outcome]) -> dict[int, int]:
    """Block → the latest block that had ended before it on one of its devices, in the same boot."""
    spans: dict[int, tuple[datetime, datetime]] = {}
    on: dict[int, set[Hashable]] = defaultdict(set)
    for o in outcomes:
        began, ended = datetime.fromisoformat(o.started_at), datetime.fromisoformat(o.ended_at)
        first, last = spans.get(o.block, (began, ended))
        spans[o.block] = min(first, began), max(last, ended)
        on[o.block].update((o.boot_id, device) for device in o.device_set)
    there: dict[Hashable, list[tuple[datetime, int]]] = defaultdict(list)
    for block, devices in on.items():
        for device in devices:
            insort(there[device], (spans[block][1], block))
    before: dict[int, int] = {}
    for block, devices in on.items():
        began = spans[block][0]
        ended_there = [
            own[i - 1]
            for device in devices
            if (i := bisect_right(own := there[device], began, key=lambda e: e[0]))
        ]
        if found := [e for e in ended_there if e[1] != block]:
            before[block] = max(found)[1]
    return before


class Joined:
    """Sets that grow together where they have a member in common."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def of(self, member: Hashable) -> Hashable:
        """The member that stands for the whole set."""
        at = member
        while (above := self._above.setdefault(at, at)) != at:
            at = above
        return at

    def join(self, members: Sequence[Hashable]) -> None:
        for member in members[1:]:
            self._above[self.of(member)] = self.of(members[0])
        for member in members[:1]:
            self.of(member)

    def members(self, of: Hashable) -> Iterable[str]:
        return [repr(m) for m in list(self._above) if self.of(m) == self.of(of)]


def _one_after_another(rows: Sequence[Row], boots: set[str], any_two: bool) -> bool:
    """Whether each boot's runs were over before those of another began; ``any_two``: whether that
    holds for any two of them."""
    spans: dict[str, tuple[datetime, datetime]] = {}
    for row in rows:
        o = row.outcome
        if o.boot_id in boots:
            began, ended = datetime.fromisoformat(o.started_at), datetime.fromisoformat(o.ended_at)
            first, last = spans.get(o.boot_id, (began, ended))
            spans[o.boot_id] = min(first, began), max(last, ended)
    ordered = sorted(spans.values())
    if any_two:
        return min(end for _, end in ordered) <= max(began for began, _ in ordered)
    return all(a[1] <= b[0] for a, b in itertools.pairwise(ordered))


def _names(campaign: str, identities: Mapping[Hashable, str]) -> dict[Hashable, str]:
    """As few hexadecimal digits of a hash as tell all apart, at least six."""
    hashes = {
        key: hashlib.sha256(f"{campaign}\n{identity}".encode()).hexdigest()
        for key, identity in identities.items()
    }
    length = 6
    while len({h[:length] for h in hashes.values()}) < len(set(hashes.values())):
        length += 1
    return {key: h[:length] for key, h in hashes.items()}
