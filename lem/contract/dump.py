"""What the files of an archive's dump say; docs/archive.md has the format."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part, Sha256, Timestamp

Text = Annotated[str, Field(max_length=200)]
Salt = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Whole = Annotated[int, Field(ge=0, le=2**53)]


class Origin(Part):
    """Another archive of which this one has taken in submissions. They are signed for that one, and
    their boards are told apart under its salt."""

    archive: Sha256
    board_salt: Salt


class Head(Part):
    """The newest entry of the public log; 0 and 64 zeros where it is empty."""

    seq: Whole
    hash: Sha256


class Counts(Part):
    submissions: Whole
    """Whose files are here."""
    runs: Whole
    configurations: Whole
    keys: Whole
    external: Whole


class ArchiveDump(Document):
    """``archive.json`` of a dump. Says nothing of when and by which ``lem`` it was written: the
    same state of an archive gives the same bytes."""

    schema_version: Literal[1] = 1
    format: Literal["lem-archive-dump"] = "lem-archive-dump"
    archive: Sha256
    board_salt: Salt
    origins: list[Origin] = []
    as_of: Timestamp | None
    """Of the newest log entry; None where there is none."""
    log: Head
    counts: Counts
    metric_semantics_versions: list[int]
    demo: bool = False
    """Whether made-up records may be in it. Only written where it is so."""
    licence: Literal["CC-BY-4.0"] = "CC-BY-4.0"
    citation: Annotated[str, Field(max_length=1000)]

    def text(self) -> bytes:
        """The file, in its one spelling."""
        left_out = None if self.demo else {"demo"}
        return (self.model_dump_json(indent=1, exclude=left_out) + "\n").encode()

    def salts(self) -> dict[str, str]:
        """Archive → salt: whose submissions may be here."""
        return {self.archive: self.board_salt, **{o.archive: o.board_salt for o in self.origins}}


class KeyLine(Part):
    """A line of ``keys.jsonl``: a key, and whose it is."""

    key: Sha256
    """SHA-256 of ``public_key``'s 32 bytes."""
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    identity: Whole
    """Keys of one identity have the same number."""
    name: Text
    enrolled_by: Literal["invitation", "open", "imported"]
    created_at: Timestamp
    revoked_at: Timestamp | None = None
    replaced_by: Sha256 | None = None
