"""Everything a campaign needs before the first measured second: images, models, request lists.

The only step that may use the network. Doing it again finds what is there.
"""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lem import plugins
from lem.agent.__main__ import SAYS
from lem.campaign.alike import check_alike, unlike
from lem.campaign.questions import QuestionFile, gather
from lem.campaign.sources import local_source, model_key, needs_hub
from lem.config import CampaignFile, Draft, model_name
from lem.config.identity import meaning
from lem.contract.base import CONTRACT_VERSION, canonical_json, write_atomic
from lem.contract.lock import LockedModel
from lem.contract.spec import ExperimentModel, Limits, ModelSpec
from lem.contract.stage import RequestList, Staged, StageTask
from lem.contract.workload import TraceArrival, Workload
from lem.errors import BadInput, EnvironmentFault
from lem.launchers.cache import cache_root
from lem.launchers.protocol import BackendSetup, Folders, Launcher, Prepared, Say, Task
from lem.workloads import datasets
from lem.workloads.datasets import file as data_file
from lem.workloads.requests import MAX_LIST_BYTES

STAGE_LIMIT_S = 6 * 3600.0
LAST_LINES = 12
COPY_BYTES = 2**20
QUESTIONS = "questions.jsonl"
"""The name of the file of questions in a staging run's folder."""


@dataclass(frozen=True)
class Ready:
    """One arm's ingredients."""

    prepared: Prepared
    model: ExperimentModel
    locked: LockedModel
    requests: RequestList
    agreement_list: str | None = None
    """SHA-256 of the list of prompts whose answers are compared, where that is asked for."""
    questions_list: str | None = None


@dataclass(frozen=True)
class Staging:
    """What staging found, per draft and launcher name."""

    ready: list[Ready]
    """In the order of the campaign's drafts."""
    prepared: dict[tuple[str, str], Prepared]
    """Launcher and backend → what is ready to start."""

    @property
    def backends(self) -> dict[str, Prepared]:
        """The same by backend alone: its version doesn't depend on the launcher. Where one of
        several launchers uses an image, that one's: it has a digest to be known by."""
        last = sorted(self.prepared.items(), key=lambda item: (item[1].digest is not None, item[0]))
        return {backend: p for (_, backend), p in last}


def stage(
    campaign: CampaignFile, launcher_of: dict[int, str], gpu: bool, folder: Path, say: Say
) -> Staging:
    """Prepare every backend, model and request list of ``campaign``.

    ``launcher_of``: draft index → launcher name. Request lists are copied into
    ``folder/requests``. Raises :class:`EnvironmentFault` or :class:`BadInput` with the fix.
    """
    cache = cache_root()
    launchers: dict[str, Launcher] = {
        name: plugins.load("launchers", name)() for name in sorted(set(launcher_of.values()))
    }
    prepared: dict[tuple[str, str], Prepared] = {}
    for i, draft in enumerate(campaign.drafts):
        key = (launcher_of[i], draft.backend)
        if key not in prepared:
            setup = setup_of(campaign, draft.backend, gpu)
            prepared[key] = launchers[launcher_of[i]].prepare(setup, say)
    check_alike(prepared)
    for difference in unlike(prepared):
        say(f"not the same under every launcher: {difference}")
    asked = gather(campaign, cache, say)
    models: dict[tuple[str, str], tuple[LockedModel, Staged]] = {}
    of_quality: dict[bytes, Staged] = {}
    lists: dict[str, RequestList] = {}
    ready = []
    for i, draft in enumerate(campaign.drafts):
        launcher, backend = launchers[launcher_of[i]], prepared[launcher_of[i], draft.backend]
        source = local_source(draft.model, cache, say)
        model = model_key(draft.model, source, maker(campaign, backend))
        first = _first_for_model(campaign, draft)
        key2 = (model, draft.backend)
        if key2 not in models:
            makes_lists = first.backend == draft.backend
            wanted = _workloads(campaign, draft.model) if makes_lists else []
            models[key2] = _stage_model(
                campaign,
                draft,
                launcher,
                backend,
                source,
                cache / "models" / model,
                wanted,
                say,
                asked=asked if makes_lists else None,
                agreement=makes_lists and "agreement" in campaign.spec.measure.quality,
            )
            made_here = models[key2][1]
            if makes_lists:
                of_quality[_model_key(draft.model)] = made_here
            for made in made_here.requests:
                lists[list_key(draft.model, made.workload)] = made
            for sha256 in _lists(made_here):
                name = f"{sha256}.jsonl.gz"
                _copy_list(cache / "models" / model / draft.backend, name, folder / "requests")
        locked, staged = models[key2]
        ready.append(
            Ready(
                prepared=backend,
                model=ExperimentModel(
                    id=model_name(draft.model),
                    revision=staged.revision,
                    content=staged.content,
                    weights=staged.weights,
                ),
                locked=locked,
                requests=lists[list_key(draft.model, draft.workload)],
                agreement_list=of_quality[_model_key(draft.model)].agreement_list,
                questions_list=of_quality[_model_key(draft.model)].questions_list,
            )
        )
    return Staging(ready, prepared)


def setup_of(campaign: CampaignFile, backend: str, gpu: bool) -> BackendSetup:
    """How the campaign file wants this backend to be started."""
    spec = campaign.spec.backends[backend]
    return BackendSetup(
        name=backend,
        image=spec.image,
        base_image=spec.base_image,
        python=spec.python,
        gpu=gpu,
    )


def maker(campaign: CampaignFile, backend: Prepared) -> list[str]:
    """What this campaign alone vouches for: an image that is not lem's own, the model's code.

    What they leave in the cache must not be what another campaign, which named neither, loads.
    """
    setup = backend.setup
    named = [backend.image or ""] if setup.image or setup.base_image else []
    return [*named, "code of the model"] if campaign.spec.trust_remote_code else named


def _first_for_model(campaign: CampaignFile, draft: Draft) -> Draft:
    """The draft whose backend makes this model's request lists: the first that uses it."""
    return next(d for d in campaign.drafts if d.model == draft.model)


def _workloads(campaign: CampaignFile, model: ModelSpec) -> list[Workload]:
    """One workload for each different request list that this model's experiments need."""
    found: dict[str, Workload] = {}
    for d in campaign.drafts:
        if d.model == model:
            found.setdefault(list_key(model, d.workload), d.workload)
    return list(found.values())


def list_key(model: ModelSpec, workload: Workload) -> str:
    """Two workloads with the same key share a request list: SLOs don't matter, nor do arrivals,
    unless they give the requests times. How fast those are replayed is not the list's."""
    what = [model.model_dump(), workload.requests, meaning(workload.dataset)]
    if isinstance(workload.arrival, TraceArrival):
        what.append(workload.arrival.sha256)
    return hashlib.sha256(canonical_json(what)).hexdigest()


def _model_key(model: ModelSpec) -> bytes:
    return canonical_json(model.model_dump())


def _lists(staged: Staged) -> list[str]:
    """Hashes of all request lists that were made."""
    found = [r.sha256 for r in staged.requests]
    return [*found, *(h for h in (staged.agreement_list, staged.questions_list) if h is not None)]


def _stage_model(
    campaign: CampaignFile,
    draft: Draft,
    launcher: Launcher,
    backend: Prepared,
    source: Path | None,
    model_folder: Path,
    workloads: Sequence[Workload],
    say: Say,
    asked: QuestionFile | None,
    agreement: bool,
) -> tuple[LockedModel, Staged]:
    target = model_folder / draft.backend
    target.mkdir(parents=True, exist_ok=True)
    task = StageTask(
        contract_version=CONTRACT_VERSION,
        backend=draft.backend,
        model=draft.model,
        source=None if source is None else str(source),
        target=str(target),
        requests_folder=str(target / "requests"),
        workloads=list(workloads),
        seed=campaign.spec.measure.seed,
        trust_remote_code=campaign.spec.trust_remote_code,
        agreement=agreement,
        questions=None if asked is None else QUESTIONS,
        questions_sha256=None if asked is None else asked.sha256,
        questions_limit=None if asked is None else asked.limit,
        questions_output_tokens=None if asked is None else asked.output_tokens,
    )
    done = target / f"staged-{_task_key(task)}.json"
    staged = _earlier(done, target)
    if staged is None:
        say(f"preparing {model_name(draft.model)} for {draft.backend}")
        staged = _run_task(
            task, launcher, backend, source, target, campaign.files, asked, campaign.spec.limits
        )
        staged.write(done)
    locked = LockedModel(folder=f"{model_folder.name}/{draft.backend}", path=staged.path)
    return locked, staged


def _task_key(task: StageTask) -> str:
    ways = {"source", "target", "requests_folder", "files_folder", "questions"}
    what = task.model_dump(exclude=ways)
    return hashlib.sha256(canonical_json(what)).hexdigest()[:16]


def _earlier(done: Path, target: Path) -> Staged | None:
    """What staging said last time, if all that it made is still there."""
    try:
        staged = Staged.read(done)
    except BadInput:
        return None
    # Of what lies here, too, a container may be the author.
    if not _is_within(staged.path):
        return None
    files = [target / staged.path]
    files += [target / "requests" / f"{sha256}.jsonl.gz" for sha256 in _lists(staged)]
    return staged if all(f.exists() for f in files) else None


def _run_task(
    task: StageTask,
    launcher: Launcher,
    backend: Prepared,
    source: Path | None,
    target: Path,
    files: Mapping[str, Path],
    asked: QuestionFile | None,
    limits: Limits,
) -> Staged:
    network = needs_hub(task.model, source)
    with tempfile.TemporaryDirectory(prefix="lem-stage-") as name:
        folders = Folders(run=Path(name), models=target, source=source)
        inside = launcher.inside(folders)
        _copy_files(task.workloads, files, Path(name) / "files")
        if asked is not None:
            write_atomic(Path(name) / QUESTIONS, asked.data)
        write_atomic(
            Path(name) / "stage.json",
            task.model_copy(
                update={
                    "source": None if inside.source is None else str(inside.source),
                    "target": str(inside.models),
                    "requests_folder": f"{inside.models}/requests",
                    "files_folder": f"{inside.run}/files",
                    "questions": None if asked is None else f"{inside.run}/{QUESTIONS}",
                }
            )
            .model_dump_json()
            .encode(),
        )
        start = Task(
            verb="stage",
            prepared=backend,
            folders=folders,
            document="stage.json",
            network=network,
            secrets=hub_secrets() if network else {},
            memory_bytes=limits.memory_bytes,
            pids=limits.pids,
        )
        with launcher.start(start) as agent:
            end = agent.wait(STAGE_LIMIT_S) or agent.stop(10.0)
        if end.status != 0:
            raise EnvironmentFault(_why(task, end.last_lines, end.out_of_memory))
        staged = Staged.read(Path(name) / "staged.json")
    if not _is_within(staged.path):
        raise EnvironmentFault("the image named a model outside of its folder", kind="contract")
    return staged


def _copy_files(workloads: Sequence[Workload], files: Mapping[str, Path], target: Path) -> None:
    """Put the files that the workloads name into the folder ``target``, each under its SHA-256."""
    target.mkdir()
    parts = (p for w in workloads for p in datasets.files_of(w))
    for sha256, name in {p.sha256: p.path for p in parts if p.sha256 is not None}.items():
        data_file.copy(files[sha256], name, sha256, target / sha256)


def _is_within(path: str) -> bool:
    return not {"..", "/"} & set(Path(path).parts)


def _why(task: StageTask, last_lines: list[str], out_of_memory: bool) -> str:
    name = model_name(task.model)
    if out_of_memory:
        return f"preparing {name} for {task.backend} took more memory than there is"
    said = "\n  ".join(last_words(last_lines)) or "the agent said nothing"
    return f"{name} could not be prepared for {task.backend}:\n  {said}"


def last_words(lines: list[str]) -> list[str]:
    """What the agent said of its own failure; where it said nothing, the end of its log."""
    own = [i for i, line in enumerate(lines) if line.startswith(SAYS)]
    if not own:
        return lines[-LAST_LINES:]
    return [line.removeprefix(SAYS).strip() for line in lines[own[-1] :]]


def hub_secrets() -> dict[str, str]:
    """The token for the model hub, where the user has one."""
    token = os.environ.get("HF_TOKEN")
    if not token:
        home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
        try:
            token = (home / "token").read_text().strip()
        except OSError:
            return {}
    return {"HF_TOKEN": token}


def _copy_list(staged: Path, name: str, target: Path) -> None:
    """Put ``staged/requests/name`` into the folder ``target``, if it is not there yet.

    A container wrote it: nothing there is followed out of ``staged``, or read without end. That it
    is the right list is checked by its hash wherever it is used.
    """
    if (target / name).exists():
        return
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    folder = aside = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        folder = os.open(staged / "requests", flags | os.O_DIRECTORY)
        with (
            os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as source,
            tempfile.NamedTemporaryFile(dir=target, prefix=f".{name}.", delete=False) as copy,
        ):
            aside = Path(copy.name)
            size = os.fstat(source.fileno()).st_size
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode) or size > MAX_LIST_BYTES:
                raise EnvironmentFault(f"the image left no request list in {name}", kind="contract")
            for _ in range(-(-size // COPY_BYTES)):
                copy.write(source.read(COPY_BYTES))
        aside.chmod(0o644)
        aside.replace(target / name)
    except OSError as e:
        if e.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EISDIR):
            raise EnvironmentFault(
                f"the image left no request list in {name}", kind="contract"
            ) from e
        raise
    finally:
        if folder is not None:
            os.close(folder)
        if aside is not None:
            aside.unlink(missing_ok=True)
