"""Which files a dump has. What they say: ``lem/contract/dump.py``; for readers: docs/archive.md."""

import base64
import re
from typing import Literal

from lem.archive.demo import MADE_UP
from lem.contract.dump import Head

LICENCE: Literal["CC-BY-4.0"] = "CC-BY-4.0"

DESCRIPTION = "archive.json"
LOG = "log.jsonl"
KEYS = "keys.jsonl"
EXTERNAL = "external.jsonl"
RUNS = "runs.parquet"
CONFIGURATIONS = "configurations.parquet"
README = "README.txt"
SUMS = "SHA256SUMS"
PACKS = "submissions"
PEMS = "keys"

FIXED = (DESCRIPTION, LOG, KEYS, EXTERNAL, RUNS, CONFIGURATIONS, README)
"""With ``SHA256SUMS``, what every dump has."""
_PACK = re.compile(r"submissions/([0-9a-f]{2})/([0-9a-f]{64})\.tar")
_PEM = re.compile(r"keys/([0-9a-f]{64})\.pem")

MAX_DESCRIPTION_BYTES = 2**20
MAX_LINE_BYTES = 2**20
"""Of log, keys and external figures."""
MAX_PACK_BYTES = 512 * 2**20
MAX_LINES = 20_000_000

_ED25519 = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of a key in SubjectPublicKeyInfo (RFC 8410)."""


def pack_name(content_sha256: str) -> str:
    return f"{PACKS}/{content_sha256[:2]}/{content_sha256}.tar"


def pem_name(key: str) -> str:
    return f"{PEMS}/{key}.pem"


def pem(public_key: bytes) -> bytes:
    """The key as OpenSSL reads it."""
    text = base64.b64encode(_ED25519 + public_key).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()


def submission_of(name: str) -> str | None:
    """The submission whose pack has this name in a dump; None where it is no pack's."""
    found = _PACK.fullmatch(name)
    return found[2] if found and found[2].startswith(found[1]) else None


def key_of(name: str) -> str | None:
    """The key whose PEM file has this name; None where it is none."""
    found = _PEM.fullmatch(name)
    return found[1] if found else None


def belongs(name: str) -> bool:
    """Whether a dump may have a file of this name. Nothing else is ever opened."""
    return name in FIXED or submission_of(name) is not None or key_of(name) is not None


def citation(archive: str, head: Head, demo: bool) -> str:
    of = f"{archive[:16]}, as of entry {head.seq} of its public log ({head.hash[:16]})"
    return (
        f"{MADE_UP if demo else ''}lem archive {of}; "
        f"{LICENCE}. Name the runs' submitters where you use single runs."
    )
