"""A second net below the allow-list: this machine's own names, searched for in what is to be sent.

What is found stops the whole submission. The allow-list should have let none of it through; an
experiment's own texts (a model's name, an argument) are what it cannot judge.
"""

import os
import pwd
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lem.contract.base import Part
from lem.submit.allowed import OF_EXPERIMENTS, RULES
from lem.submit.pack import inflated

COMMON = frozenset(
    """
    root admin administrator user users ubuntu debian fedora centos rocky ec2-user azureuser opc
    core vagrant docker runner nobody daemon jovyan coder codespace vscode node app test guest home
    host server localhost localdomain ip6-localhost gpu cpu cuda nvidia amd intel linux lem none
    default local
    """.split()  # noqa: SIM905
)
"""Names of accounts and hosts that tell nobody anything, and words of every record."""
SHORTEST = 3

_OWN_KEYS = frozenset(
    name for kind in (*RULES, *OF_EXPERIMENTS) for name in getattr(kind, "model_fields", ())
)


class Word(NamedTuple):
    """Something that must not be sent, and what it is."""

    text: str
    what: str


class Leak(NamedTuple):
    """Where a word was found."""

    file: str
    field: str
    word: Word

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: has {self.word.what}, {self.word.text!r}"


def words_of_this_machine(
    root: Path = Path("/"), environ: Mapping[str, str] | None = None
) -> list[Word]:
    """Host and user names, home, machine id, serial numbers, addresses."""
    environ = os.environ if environ is None else environ
    found = [Word(name, "this machine's name") for name in _host_names(root)]
    found += [Word(name, "your user name") for name in _user_names(environ)]
    homes = {environ.get("HOME", ""), str(Path("~").expanduser())}
    found += [Word(h, "your home") for h in homes if h.count("/") > 1]
    for file, what in (
        ("etc/machine-id", "the machine's id"),
        ("var/lib/dbus/machine-id", "the machine's id"),
        ("sys/class/dmi/id/product_uuid", "the machine's UUID"),
        ("sys/class/dmi/id/product_serial", "a serial number"),
        ("sys/class/dmi/id/board_serial", "a serial number"),
        ("sys/class/dmi/id/chassis_serial", "a serial number"),
        ("proc/sys/kernel/random/boot_id", "the id of this boot"),
    ):
        text = _line(root / file)
        if len(text) >= 6 and any(c.isdigit() for c in text):
            found.append(Word(text, what))
    for card in sorted((root / "sys/class/net").glob("*/address")):
        if (text := _line(card)) and set(text) - set("0:"):
            found.append(Word(text, "the address of a network card"))
    found += [Word(a, "an address of this machine") for a in _addresses(root)]
    return chosen(found)


def chosen(words: Iterable[Word]) -> list[Word]:
    """Without those that are too short or too common to tell anything, each once."""
    kept: dict[str, Word] = {}
    for word in words:
        text = word.text.strip()
        if len(text) < SHORTEST or text.lower() in COMMON or text.isdigit():
            continue
        kept.setdefault(text.lower(), Word(text, word.what))
    return list(kept.values())


class Net:
    """Searches for words, whole ones, whatever their case."""

    def __init__(self, words: Iterable[Word]) -> None:
        self._words = {w.text.lower(): w for w in words}
        every = "|".join(re.escape(w) for w in sorted(self._words, key=len, reverse=True))
        self._pattern = (
            re.compile(rf"(?<![a-z0-9])(?:{every})(?![a-z0-9])", re.IGNORECASE) if every else None
        )

    def in_text(self, text: str) -> Word | None:
        found = self._pattern.search(text) if self._pattern is not None else None
        return self._words.get(found.group().lower()) if found is not None else None

    def in_json(self, value: Any, file: str, field: str = "") -> Iterator[Leak]:
        """In every text of a document, and in every key that is not the contract's."""
        if isinstance(value, dict):
            for key, inner in value.items():
                here = f"{field}.{key}" if field else str(key)
                if key not in _OWN_KEYS and (word := self.in_text(str(key))) is not None:
                    yield Leak(file, here, word)
                yield from self.in_json(inner, file, here)
        elif isinstance(value, list):
            for i, inner in enumerate(value):
                yield from self.in_json(inner, file, f"{field}.{i}")
        elif isinstance(value, str) and (word := self.in_text(value)) is not None:
            yield Leak(file, field, word)

    def in_rows(self, data: bytes, file: str) -> Iterator[Leak]:
        """In the lines of a gzip file; the first that is found."""
        if self._pattern is None:
            return
        rest, number = "", 0
        for piece in inflated(data):
            *lines, rest = (rest + piece.decode("utf-8", "replace")).split("\n")
            text = "\n".join(lines)
            if (found := self._pattern.search(text)) is not None:
                line = number + text.count("\n", 0, found.start()) + 1
                yield Leak(file, f"line {line}", self._words[found.group().lower()])
                return
            number += len(lines)
        if (word := self.in_text(rest)) is not None:
            yield Leak(file, f"line {number + 1}", word)


def words_of(documents: Iterable[Part]) -> list[Word]:
    """Ids of boards and boots that the private documents have."""
    found: list[Word] = []
    for document in documents:
        raw = document.model_dump()
        environment = raw.get("environment") or raw
        boards = [g["uuid"] for g in environment.get("gpus") or () if isinstance(g, dict)]
        for uuid in [*boards, *(environment.get("device_set") or ())]:
            found += [Word(uuid, "a board's UUID"), Word(uuid.partition("-")[2], "a board's UUID")]
        for key, what in (("boot_id", "the id of a boot"), ("owner", "the campaign's secret name")):
            found.append(Word(str(environment.get(key) or ""), what))
    return [w for w in found if len(w.text) > 5]


def _host_names(root: Path) -> list[str]:
    names = {socket.gethostname(), _line(root / "etc/hostname")}
    with suppress(OSError):
        names.add(socket.getfqdn())
    return sorted({part for name in names for part in (name, name.partition(".")[0])})


def _user_names(environ: Mapping[str, str]) -> list[str]:
    names = {environ.get(k, "") for k in ("USER", "LOGNAME", "SUDO_USER")}
    with suppress(KeyError):
        entry = pwd.getpwuid(os.getuid())
        names |= {entry.pw_name, entry.pw_gecos.partition(",")[0]}
    return sorted(names)


def _addresses(root: Path) -> list[str]:
    """This machine's own addresses, as the kernel's tables have them, without those that every
    machine has."""
    found = re.findall(
        r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL", _text(root / "proc/net/fib_trie")
    )
    for line in _text(root / "proc/net/if_inet6").splitlines():
        digits = line.split(" ")[0]
        if len(digits) == 32 and int(digits, 16) != 1:
            groups = ":".join(digits[i : i + 4] for i in range(0, 32, 4))
            found += [groups, socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))]
    return sorted({a for a in found if not a.startswith("127.")})


def _line(path: Path) -> str:
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as f:
            return f.read(2**20)
    except OSError:
        return ""
