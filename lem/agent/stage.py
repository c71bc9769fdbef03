"""Makes a model ready for one backend, and the request lists where asked.

The only part of the agent that may use the network. Runs in the backend's own image, because the
engine's libraries and the model's tokenizer are there.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Literal

from lem import plugins
from lem.agent.environment import engine_version
from lem.backends import prepared
from lem.backends.protocol import Backend
from lem.contract.base import CONTRACT_VERSION, canonical_json, write_atomic
from lem.contract.spec import ModelSpec
from lem.contract.stage import RequestList, Staged, StageTask
from lem.errors import RunFailed
from lem.workloads import agreement, datasets, questions, requests


def stage(path: Path) -> Staged:
    """Carry out the task in ``path`` and return what ``staged.json`` says."""
    task = StageTask.read(path)
    if task.contract_version != CONTRACT_VERSION:
        raise RunFailed("contract", "host and image are of different contract versions")
    backend: Backend = plugins.load("backends", task.backend)()
    target = Path(task.target)
    source = Path(task.source) if task.source is not None else None
    where = backend.prepare(task.model, source, target, task.trust_remote_code)
    # Fetching is done. The model's own tokenizer and template, loaded next, need no token.
    os.environ.pop("HF_TOKEN", None)
    lists = _request_lists(task, backend, target / where)
    prompts, asked = _quality_lists(task, backend, target / where)
    _let_everyone_read(target)
    revision = prepared.revision(target, where)
    return Staged(
        path=where,
        revision=revision,
        content=content(task.model, source, revision),
        weights=weights(task.model),
        engine_version=engine_version(backend) or "unknown",
        requests=lists,
        agreement_list=prompts,
        questions_list=asked,
    )


def _let_everyone_read(target: Path) -> None:
    """The measuring container may run as another user than the staging one did."""
    for path in [target, *target.rglob("*")]:
        # A file with another name too may be the user's own original, linked here.
        if not path.is_symlink() and (path.is_dir() or path.stat().st_nlink == 1):
            with contextlib.suppress(PermissionError):
                path.chmod(0o755 if path.is_dir() else 0o644)


def content(model: ModelSpec, source: Path | None, revision: str | None) -> str:
    """What the model *is*, the same for every backend: hub commit, or hash of the source.

    A converted copy keeps the identity of what it was converted from.
    """
    if model.synthetic is not None:
        return "sha256:" + hashlib.sha256(canonical_json(model.synthetic.model_dump())).hexdigest()
    if model.wheel is not None:
        return "sha256:" + model.wheel.sha256
    if source is not None:
        return prepared.content(source)
    if revision is None:
        raise RunFailed("engine_error", "the hub gave no commit for this model")
    file = f":{model.gguf_file}" if model.gguf_file is not None else ""
    return f"hub:{revision}{file}"


def weights(model: ModelSpec) -> Literal["trained", "random"]:
    """Whether answers mean anything."""
    return "trained" if model.synthetic is None else "random"


def _request_lists(task: StageTask, backend: Backend, path: Path) -> list[RequestList]:
    if not task.workloads:
        return []
    tokenizer = backend.tokenizer(path)
    lists = []
    files = None if task.files_folder is None else Path(task.files_folder)
    for workload in task.workloads:
        made = datasets.make(workload, tokenizer, task.seed, files)
        data, sha256 = requests.dump(made)
        write_atomic(Path(task.requests_folder) / f"{sha256}.jsonl.gz", data)
        lists.append(
            RequestList(
                workload=workload,
                sha256=sha256,
                requests=len(made),
                input_tokens=sum(len(r.input_ids) for r in made),
            )
        )
    return lists


def _quality_lists(task: StageTask, backend: Backend, path: Path) -> tuple[str | None, str | None]:
    """Hashes of the lists of prompts and of questions, as far as they are asked for."""
    folder = Path(task.requests_folder)
    prompts = asked = None
    if task.agreement or task.questions is not None:
        tokenizer = backend.tokenizer(path)
    if task.agreement:
        data, prompts = requests.dump(agreement.requests(tokenizer))
        write_atomic(folder / f"{prompts}.jsonl.gz", data)
    if task.questions is not None:
        file = Path(task.questions)
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != task.questions_sha256:
            raise RunFailed("contract", "the file of questions is not the one of the campaign")
        found = questions.parse(content, file.name)[: task.questions_limit]
        data, asked = questions.dump(questions.ask(found, tokenizer, task.questions_output_tokens))
        write_atomic(folder / f"{asked}.jsonl.gz", data)
    return prompts, asked
