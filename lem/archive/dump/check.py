"""Whether a dump holds what it says: every file whole, every signature right, log and submissions
in agreement. Everything that does not hold is told, in words."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lem.archive import log
from lem.archive.dump import layout
from lem.archive.dump.read import Dump, Finding
from lem.archive.external import External
from lem.contract.dump import KeyLine
from lem.contract.submission import Manifest
from lem.errors import BadInput
from lem.submit import manifest, pack

Progress = Callable[[int, int], None]
MAX_FINDINGS = 1000
QUEUED_ID = re.compile(r"q[0-9a-f]{20}")


class Checked(NamedTuple):
    """``findings`` is empty where all holds. ``submissions``: in the order of their acceptance."""

    findings: list[Finding]
    submissions: list[str]
    retracted: list[str]
    keys: list[KeyLine]
    signers: set[str]
    """Keys that signed any of ``submissions``."""
    runs: int
    log_entries: int
    queued: dict[str, str]
    """Submission → id of its campaign in the queue that it came from."""


class _Log(NamedTuple):
    accepted: dict[str, int]
    """Submission → place in the log."""
    retracted: dict[str, int]
    revoked: dict[str, int]
    """Key → place in the log of its revocation."""
    entries: int
    queued: dict[str, str]


class _TooMany(Exception):
    """Of what does not hold, more than anyone will read."""


def check(dump: Dump, progress: Progress = lambda done, of: None) -> Checked:
    """All that can be told without recomputing a figure."""
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if len(findings) >= MAX_FINDINGS:
            raise _TooMany

    told = _Log({}, {}, {}, 0, {})
    order: list[str] = []
    keys: dict[str, KeyLine] = {}
    signers: set[str] = set()
    runs = 0
    try:
        names = dump.files(tell)
        _sums(dump, names, tell)
        told = _log(dump, tell)
        keys = _keys(dump, names, tell)
        _external(dump, tell)
        present = {s for n in names if (s := layout.submission_of(n))}
        _agree(present, told, tell)
        order = sorted(present & set(told.accepted), key=told.accepted.__getitem__)
        for number, content in enumerate(order):
            runs += _submission(dump, content, keys, signers, told, tell)
            progress(number + 1, len(order))
        _counts(dump, order, runs, len(keys), tell)
    except _TooMany:
        findings.append(Finding(str(dump.folder), "more does not hold; only this much is listed"))
    lines = [keys[key] for key in sorted(keys)]
    return Checked(
        findings,
        order,
        sorted(told.retracted),
        lines,
        signers,
        runs,
        told.entries,
        told.queued,
    )


Tell = Callable[[Finding], None]


def _sums(dump: Dump, names: list[str], tell: Tell) -> None:
    try:
        said = dump.sums()
    except BadInput as e:
        tell(Finding(layout.SUMS, str(e)))
        return
    for name in sorted({*names, *said, *layout.FIXED}):
        if name not in said:
            tell(Finding(name, f"is not in {layout.SUMS}"))
        elif name not in names:
            tell(Finding(name, "is missing"))
        else:
            try:
                if dump.sha256(name) != said[name]:
                    tell(Finding(name, f"is not what {layout.SUMS} says: it was altered"))
            except BadInput as e:
                tell(Finding(name, str(e)))


def _log(dump: Dump, tell: Tell) -> _Log:
    """The chain, up to the head that ``archive.json`` names, and what it tells."""
    found = _Log({}, {}, {}, 0, {})
    count = 0

    def entries() -> Iterator[log.LogEntry]:
        nonlocal count
        for entry in dump.parts(layout.LOG, log.LogEntry):
            count += 1
            subject = str(entry.payload.get("submission", ""))
            if entry.kind == "accepted":
                if subject in found.accepted:
                    tell(Finding(f"{layout.LOG}:{count}", f"accepts {subject} a second time"))
                found.accepted.setdefault(subject, entry.seq)
                if (queued := entry.payload.get("queued")) is not None:
                    if not isinstance(queued, str) or not QUEUED_ID.fullmatch(queued):
                        tell(Finding(f"{layout.LOG}:{count}", "names no campaign of a queue"))
                    else:
                        found.queued.setdefault(subject, queued)
            elif entry.kind == "retracted":
                gone = entry.payload.get("submissions")
                found.retracted.update(
                    dict.fromkeys(gone if isinstance(gone, list) else [], entry.seq)
                )
            elif entry.kind in ("key_revoked", "key_replaced"):
                found.revoked.setdefault(str(entry.payload.get("key", "")), entry.seq)
            yield entry

    try:
        head = log.verify(entries())
    except BadInput as e:
        tell(Finding(layout.LOG, str(e)))
    else:
        named = dump.description.log
        if (head.seq, head.hash) != (named.seq, named.hash):
            tell(
                Finding(
                    layout.LOG, f"ends at entry {head.seq}; {layout.DESCRIPTION} names another end"
                )
            )
    return found._replace(entries=count)


def _keys(dump: Dump, names: list[str], tell: Tell) -> dict[str, KeyLine]:
    """Keys by their ids."""
    found: dict[str, KeyLine] = {}
    try:
        for line in dump.parts(layout.KEYS, KeyLine):
            public = bytes.fromhex(line.public_key)
            if manifest.key_id(public) != line.key:
                tell(Finding(layout.KEYS, f"{line.key} is not the SHA-256 of its public key"))
                continue
            found[line.key] = line
            name = layout.pem_name(line.key)
            if name not in names:
                tell(Finding(name, "is missing"))
            elif dump.data(name, 1024) != layout.pem(public):
                tell(Finding(name, f"is another key than {layout.KEYS} says"))
    except BadInput as e:
        tell(Finding(layout.KEYS, str(e)))
    for name in names:
        if (key := layout.key_of(name)) and key not in found:
            tell(Finding(name, f"is not in {layout.KEYS}"))
    return found


def _external(dump: Dump, tell: Tell) -> None:
    try:
        count = sum(1 for _ in dump.parts(layout.EXTERNAL, External))
    except BadInput as e:
        tell(Finding(layout.EXTERNAL, str(e)))
        return
    if count != dump.description.counts.external:
        tell(Finding(layout.EXTERNAL, f"has {count} figures; {layout.DESCRIPTION} says otherwise"))


def _agree(present: set[str], told: _Log, tell: Tell) -> None:
    for content in sorted(set(told.accepted) - present - set(told.retracted)):
        tell(Finding(layout.pack_name(content), "was accepted, never retracted, and is not here"))
    for content in sorted(present - set(told.accepted)):
        tell(Finding(layout.pack_name(content), f"is here, and {layout.LOG} has not accepted it"))
    for content in sorted(present & set(told.retracted)):
        tell(Finding(layout.pack_name(content), "is here, though it was retracted"))


def _submission(
    dump: Dump,
    content: str,
    keys: dict[str, KeyLine],
    signers: set[str],
    told: _Log,
    tell: Tell,
) -> int:
    """Check one; the number of its runs (records)."""
    name = layout.pack_name(content)
    try:
        read = pack.read(dump.pack(content))
        signed = read.unverified
        key = keys.get(signed.key)
        if key is None:
            raise BadInput(f"its key {signed.key} is not in {layout.KEYS}")
        public = bytes.fromhex(key.public_key)
        manifest.check_signature(read.manifest, read.signature, public)
        if manifest.content_sha256(signed.content) != content:
            raise BadInput("its content has another SHA-256 than its name")
        _belongs(dump, signed)
    except BadInput as e:
        tell(Finding(name, str(e)))
        return 0
    signers.add(signed.key)
    # What came from another archive was accepted there before.
    own = signed.archive == dump.description.archive
    if own and told.revoked.get(signed.key, told.accepted[content]) < told.accepted[content]:
        tell(Finding(name, "was accepted after its key had been revoked"))
    return sum(1 for run in signed.content.runs if run.record is not None)


def _belongs(dump: Dump, signed: Manifest) -> None:
    salt = dump.description.salts().get(signed.archive)
    if salt is None:
        raise BadInput(f"it is signed for an archive that {layout.DESCRIPTION} does not name")
    if salt != signed.content.board_salt:
        raise BadInput("its boards are under another salt than its archive's")


def _counts(dump: Dump, order: list[str], runs: int, keys: int, tell: Tell) -> None:
    said = dump.description.counts
    for what, count, named in (
        ("submissions", len(order), said.submissions),
        ("runs", runs, said.runs),
        ("keys", keys, said.keys),
    ):
        if count != named:
            tell(Finding(layout.DESCRIPTION, f"says {named} {what}; here are {count}"))
