"""What leaves a machine for an archive: what is sent, the signed manifest of it, and the receipt.

A submission holds attempts of one campaign. Its *content* names every file by the SHA-256 of its
bytes; the *manifest* adds who sends it, when, and the server's nonce. What is signed are the
manifest's bytes in the canonical form of RFC 8785. Two manifests with the same content are the same
submission, however often it is sent.
"""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Name, Part, Sha256, Timestamp

Nonce = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22,64}$")]
ArmId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]

MAX_RUNS = 2000
"""Attempts in one submission; a larger campaign is sent in several."""


class Submitted(Part):
    """One attempt: the files of a run, or of its failure. Each is gzip; by the SHA-256 of what is
    sent, compressed as it is."""

    block: Annotated[int, Field(ge=0, le=10**8)]
    arm_id: ArmId
    attempt: Annotated[int, Field(ge=0, le=10**6)]
    record: Sha256 | None = None
    trace: Sha256 | None = None
    responses: Sha256 | None = None
    failure: Sha256 | None = None

    def files(self) -> list[str]:
        """The hashes of its files, in this order: record, trace, responses, failure."""
        every = (self.record, self.trace, self.responses, self.failure)
        return [sha for sha in every if sha is not None]


class Content(Part):
    """What is submitted, whoever sends it."""

    campaign: Sha256
    """Stands for the campaign's folder: SHA-256 of its lock's random ``owner`` and the salt."""
    lock: Sha256
    """``campaign.lock.json`` without what is private: which arms and blocks there are to be."""
    board_salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """Boards are told apart by HMAC-SHA-256 (key: this salt, of the archive) of their UUID. Boards
    under different salts cannot be told apart."""
    runs: Annotated[list[Submitted], Field(min_length=1, max_length=MAX_RUNS)]
    """By block, arm and attempt, each once."""
    lem_version: Annotated[str, Field(max_length=40)]
    licence: Literal["CC-BY-4.0"] = "CC-BY-4.0"


class Manifest(Document):
    schema_version: Literal[1] = 1
    archive: Sha256
    """Which archive this is meant for: a manifest for one is no manifest for another."""
    key: Sha256
    """SHA-256 of the raw public key (Ed25519) that signs this."""
    nonce: Nonce
    signed_at: Timestamp
    content: Content


class ArchiveInfo(Document):
    """``GET /api/v1/archive``: what a client has to know before it sends anything."""

    schema_version: Literal[1] = 1
    metric_semantics_version: int
    archive: Sha256
    board_salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    enrolment: Literal["open", "invitation"]
    licence: Literal["CC-BY-4.0"] = "CC-BY-4.0"
    lem_version: str
    max_submission_bytes: int
    runs: int
    configurations: int
    data_version: int
    demo: bool = False
    """Whether it takes made-up records: it is for demonstrations, not for results."""


CheckState = Literal["pending", "passed", "held", "rejected", "retracted"]


class Finding(Part):
    """What a rule says of a run. ``rule`` is a name of ``lem/trust/rules.py``."""

    rule: Name
    consequence: Literal["note", "hold", "reject"]
    """``note``: shown; ``hold``: the run stays self-reported; ``reject``: neither it nor its
    campaign enters any figure."""
    detail: Annotated[str, Field(max_length=300)]
    block: int | None = None
    arm_id: str | None = None


class Receipt(Document):
    """What the server says of a submission; the same for every sending of the same content."""

    schema_version: Literal[1] = 1
    submission: Sha256
    """SHA-256 of the content in canonical form."""
    campaign: Sha256
    received_at: Timestamp
    already_there: bool
    runs: int
    campaign_state: Literal["open", "complete", "rejected", "retracted"]
    """``open``: blocks or attempts are missing, so that nothing of it is on the board yet."""
    missing: Annotated[str, Field(max_length=300)] = ""
    """What is missing, in words."""
    checks: CheckState
    findings: list[Finding] = []
    log_seq: int
    """Place of its acceptance in the public log …"""
    log_hash: Sha256
    """… and the hash of that entry."""
