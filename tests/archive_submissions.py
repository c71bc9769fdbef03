"""Submitters with keys, and campaigns of theirs as real submissions, for tests of the archive."""

import gzip
import hashlib
import itertools
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.archive import identities
from lem.archive.ingest import MAX_SUBMISSION_BYTES, receive
from lem.campaign.plan import order
from lem.config.identity import experiment_id
from lem.contract.base import utc_now
from lem.contract.lock import Lock
from lem.contract.spec import Experiment
from lem.contract.submission import ArchiveInfo, Content, Manifest, Receipt
from lem.submit import manifest as signing
from lem.submit import pack as packing
from lem.submit.bundle import Bundle, bundles
from tests import records

_COUNT = itertools.count()
SEMANTICS = 4


class Submitter:
    """Somebody with an enrolled key."""

    def __init__(self, archive: Any, name: str = "someone", *, invited: bool = True) -> None:
        self.archive = archive
        self.key = Ed25519PrivateKey.generate()
        database = archive.database
        self.archive_id = database.setting("archive")
        public = signing.raw_public(self.key)
        proof = self.key.sign(signing.enrol_message(self.archive_id, public))
        with database.writing() as c:
            secret = identities.invite(c, name) if invited else None
            self.key_id = identities.enrol(c, public, proof, secret, name, "open")

    def nonce(self) -> str:
        with self.archive.database.writing() as c:
            return identities.nonce(c, self.key_id).nonce

    def info(self) -> ArchiveInfo:
        return ArchiveInfo(
            metric_semantics_version=SEMANTICS,
            archive=self.archive_id,
            board_salt=self.archive.database.setting("board_salt"),
            enrolment="open",
            lem_version="0.1.0",
            max_submission_bytes=MAX_SUBMISSION_BYTES,
            runs=0,
            configurations=0,
            data_version=0,
        )

    def bundle(self, folder: Path, done: Sequence[Any] = ()) -> Bundle:
        (made,) = bundles(folder, self.info(), done)
        return made

    def body(self, bundle: Bundle, **changes: Any) -> bytes:
        """The signed submission; ``changes`` are of the manifest."""
        return self.signed(bundle.content, bundle.files, **changes)

    def signed(self, content: Content, files: Any, **changes: Any) -> bytes:
        manifest = Manifest(
            **{
                "archive": self.archive_id,
                "key": self.key_id,
                "nonce": changes.pop("nonce", None) or self.nonce(),
                "signed_at": utc_now(),
                "content": content,
                **changes,
            }
        )
        data = signing.canonical(manifest)
        return packing.write(data, self.key.sign(data), content, files)

    def send(self, bundle: Bundle) -> Receipt:
        return receive(self.archive.database, self.archive.packs, self.body(bundle))

    def push(self, folder: Path) -> Receipt:
        return self.send(self.bundle(folder))

    def retraction(self, campaign: str) -> tuple[str, str, str, bytes]:
        """What ``retract`` takes."""
        nonce = self.nonce()
        message = signing.retract_message(self.archive_id, campaign, nonce)
        return self.key_id, campaign, nonce, self.key.sign(message)


def part_of(bundle: Bundle, numbers: Sequence[int]) -> Bundle:
    """A submission of some of its runs."""
    runs = [bundle.content.runs[n] for n in numbers]
    content = bundle.content.model_copy(update={"runs": runs})
    wanted = packing.order(content)
    return Bundle(content, {sha: bundle.files[sha] for sha in wanted})


def with_file(bundle: Bundle, number: int, kind: str, text: bytes) -> Bundle:
    """The submission with another file in place of one of a run's (``lock``: of the campaign's)."""
    data = packing.packed(text)
    sha = hashlib.sha256(data).hexdigest()
    if kind == "lock":
        content = bundle.content.model_copy(update={"lock": sha})
    else:
        runs = list(bundle.content.runs)
        runs[number] = runs[number].model_copy(update={kind: sha})
        content = bundle.content.model_copy(update={"runs": runs})
    files = {**bundle.files, sha: data}
    return Bundle(content, {sha: files[sha] for sha in packing.order(content)})


def text_of(bundle: Bundle, number: int, kind: str) -> bytes:
    """A file's text."""
    content = bundle.content
    sha = content.lock if kind == "lock" else getattr(content.runs[number], kind)
    return packing.unpacked(bundle.files[sha], 2**26)


def campaign(
    folder: Path,
    energies: Sequence[Sequence[float | None]],
    *,
    board: str | None = None,
    blocks: int | None = None,
    owner: str | None = None,
    energy_class: str = "gpu",
    flags: Sequence[str] = (),
    relative_u: float = 0.02,
) -> Path:
    """A campaign's folder: joules per output token of each arm in each block (None: it failed), by
    one GPU. Arms differ in batch size, and are the same experiments in every campaign."""
    number = next(_COUNT)
    shutil.rmtree(folder, ignore_errors=True)
    gpus = (
        [{**records.gpu(), "uuid": board or f"GPU-{number:08d}"}] if energy_class == "gpu" else []
    )
    devices = [g["uuid"] for g in gpus] or ["cpu"]
    arms = []
    for i in range(len(energies)):
        raw = records.experiment(2**i)
        made = experiment_id(Experiment.model_validate(raw))
        arms.append({"arm_id": made, "label": f"batch {2**i}", "settings": {}, "experiment": raw})
    most = max(len(e) for e in energies)
    lock = records.lock(arms, blocks=blocks or most).model_copy(
        update={"owner": owner or f"owner-{number}", "device_set": devices}
    )
    lock.write(folder / "campaign.lock.json")
    clock = records.START + timedelta(days=number)
    for block in range(most):
        drawn = order(lock.seed, block, 0, [arm["arm_id"] for arm in arms])
        for i, arm in sorted(enumerate(arms), key=lambda a: drawn.index(a[1]["arm_id"])):
            if block >= len(energies[i]):
                continue
            value = energies[i][block]
            where: dict[str, Any] = {"arm_id": arm["arm_id"], "block": block, "started": clock}
            where["boot_id"] = f"boot-{number}"
            clock += timedelta(seconds=records.RUN_S + records.GAP_S)
            if value is None:
                records.place(folder, records.failure(**where, device_set=devices))
                continue
            record = records.record(
                **where,
                energy={energy_class: value},
                gpus=gpus,
                relative_u=relative_u,
                raw_experiment=arm["experiment"],
                experiment_id=arm["arm_id"],
                semantics=SEMANTICS,
                flags=list(flags),
                nll=2.5,
            )
            at = records.place(folder, record)
            trace = f"{number}{block:04d}{i:04d},nvml,gpu0,power_mw,{value * 1e5}\n"
            head = "t_ns,meter,device,quantity,value\n"
            (at / "trace.csv.gz").write_bytes(gzip.compress((head + trace).encode()))
            rows = "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
            rows += f"a,done,{number}{block}{i},20,40,7,3,5 15,41\n"
            (at / "responses.csv.gz").write_bytes(gzip.compress(rows.encode()))
    return folder


def lock_of(folder: Path) -> Lock:
    return Lock.read(folder / "campaign.lock.json")
