"""Archives with real submissions in them, for tests of dumps."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.archive import campaigns
from lem.archive import external, identities, ingest
from lem.archive.database import Database, raise_data_version
from lem.archive.packs import Packs
from lem.contract.submission import ArchiveInfo, Manifest, Receipt
from lem.submit import manifest, pack
from lem.submit.bundle import Bundle, bundles
from tests.submit.given import info as archive_info

FIGURE: dict[str, Any] = {
    "source": "Somebody's table 3",
    "url": "https://example.org/table",
    "licence": "CC-BY-4.0",
    "published": "2025-03-04",
    "model": "a/b",
    "device_model": "Some board",
    "metric": "energy_per_request_j",
    "value": 12.5,
}


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def info_of(database: Database) -> ArchiveInfo:
    return archive_info(
        archive=database.setting("archive"), board_salt=database.setting("board_salt")
    )


def enrol(database: Database, number: int, name: str, invited: bool = True) -> str:
    signer = key(number)
    public = manifest.raw_public(signer)
    with database.writing() as c:
        secret = identities.invite(c, name) if invited else None
        message = manifest.enrol_message(database.setting("archive"), public)
        return identities.enrol(c, public, signer.sign(message), secret, name, "open")


def submit(
    database: Database, packs: Packs, folder: Path, number: int, signer: int, blocks: int = 3
) -> Receipt:
    """A made-up campaign of two arms × ``blocks``, signed and received."""
    folder.mkdir(parents=True)
    campaigns.made_up(folder, number, blocks)
    (bundle,) = bundles(folder, info_of(database))
    return receive(database, packs, bundle, signer)


def receive(database: Database, packs: Packs, bundle: Bundle, signer: int) -> Receipt:
    """Sign a bundle, and have it received."""
    private = key(signer)
    signed_by = manifest.key_id(manifest.raw_public(private))
    with database.writing() as c:
        nonce = identities.nonce(c, signed_by).nonce
    signed = manifest.sign(
        Manifest(
            archive=database.setting("archive"),
            key=signed_by,
            nonce=nonce,
            signed_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            content=bundle.content,
        ),
        private,
    )
    return ingest.receive(database, packs, pack.write(*signed, bundle.content, bundle.files))


def filled(database: Database, packs: Packs, folder: Path) -> list[Receipt]:
    """Two submitters with a campaign each, and a figure of somebody else."""
    enrol(database, 1, "Ann")
    enrol(database, 2, "Ben", invited=False)
    receipts = [submit(database, packs, folder / str(n), n, n) for n in (1, 2)]
    with database.writing() as c:
        external.add(c, [external.External(**FIGURE)])
        raise_data_version(c)
    return receipts
