"""Makes a set of records that come with lem: from a campaign's folder to ``lem/seed/NAME``.

    python scripts/make_seed.py CAMPAIGN_FOLDER NAME --key FILE

The campaign goes through all that a submission goes through (the allow-list, the signature, the
checks of an archive), into an archive of its own that is then written as a dump. ``--key`` is the
key of "lem project"; it is made where it is not there, and never part of what is written.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem import __version__
from lem.archive import checks, identities
from lem.archive.database import Database, open_database
from lem.archive.dump.write import export
from lem.archive.ingest import MAX_SUBMISSION_BYTES, receive
from lem.archive.packs import Packs
from lem.archive.seeds import FOLDER
from lem.contract.base import utc_now
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.submission import ArchiveInfo, Manifest
from lem.errors import LemError
from lem.submit import keys
from lem.submit import manifest as signing
from lem.submit import pack as packing
from lem.submit.bundle import bundles
from lem.submit.leaks import Net
from lem.submit.push import check, words

NAME = "lem project"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", type=Path)
    parser.add_argument("name")
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    try:
        made(given.campaign, given.out / given.name, given.key)
    except LemError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    return 0


def made(campaign: Path, target: Path, key_file: Path) -> None:
    """The dump of an archive that has this campaign alone."""
    key = keys.load(key_file) if key_file.exists() else keys.make(key_file)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        database = open_database(None, Path(aside))
        packs = Packs(Path(aside) / "packs")
        try:
            database.migrate()
            _submit(database, packs, campaign, key)
            while checks.check_next(database, packs) is not None:
                pass
            written = export(database, packs, target)
        finally:
            database.close()
    counts = written.description.counts
    print(f"{written.folder}: {counts.runs} runs, {written.bytes / 2**20:.2f} MiB")


def _submit(database: Database, packs: Packs, campaign: Path, key: Ed25519PrivateKey) -> None:
    archive, salt = database.setting("archive"), database.setting("board_salt")
    public = signing.raw_public(key)
    with database.writing() as c:
        proof = key.sign(signing.enrol_message(archive, public))
        key_id = identities.enrol(c, public, proof, None, NAME, "open")
    info = ArchiveInfo(
        metric_semantics_version=METRIC_SEMANTICS_VERSION,
        archive=archive,
        board_salt=salt,
        enrolment="open",
        lem_version=__version__,
        max_submission_bytes=MAX_SUBMISSION_BYTES,
        runs=0,
        configurations=0,
        data_version=0,
    )
    net = Net(words([campaign]))
    for bundle in bundles(campaign, info):
        check(bundle, net)
        with database.writing() as c:
            nonce = identities.nonce(c, key_id).nonce
        manifest = Manifest(
            archive=archive, key=key_id, nonce=nonce, signed_at=utc_now(), content=bundle.content
        )
        signed, signature = signing.sign(manifest, key)
        body = packing.write(signed, signature, bundle.content, bundle.files)
        receipt = receive(database, packs, body)
        print(f"{receipt.runs} runs; the campaign is {receipt.campaign_state} {receipt.missing}")


if __name__ == "__main__":
    sys.exit(main())
