"""Prepared models on disk: made aside, renamed into place, described by ``prepared.json``.

Everything a model folder says is hostile until it is checked: names are plain, links stay inside,
and weights are safetensors unless the campaign trusts the model's code.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from lem.errors import RunFailed

MODEL = "model"
NOTE = "prepared.json"
WEIGHTS = (".safetensors", ".gguf")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
COMPANIONS = (".json", ".jsonl", ".jinja", ".model", ".txt", ".tiktoken", ".md")
CODE = (".py",)
HUB_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "LICENSE*")


def once(target: Path, make: Callable[[Path], dict[str, Any]]) -> Path:
    """``target/model``, made by ``make`` in a folder aside if it is not there yet.

    ``make`` fills the folder and returns what its note should say. A run that is killed in between
    leaves nothing that could be taken for a model.
    """
    model = target / MODEL
    if (model / NOTE).is_file():
        return model
    target.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".aside-", dir=target))
    try:
        note = make(aside)
        (aside / NOTE).write_text(json.dumps(note, indent=1) + "\n")
        # mkdtemp gives 0700, but who loads the model later may be another user.
        aside.chmod(0o755)
        _move(aside, model)
    except OSError as e:
        raise RunFailed("disk", f"the model cannot be written to {target}: {e}") from e
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return model


def _move(aside: Path, model: Path) -> None:
    if model.exists() and not (model / NOTE).is_file():
        shutil.rmtree(model)
    try:
        aside.rename(model)
    except OSError:
        # Somebody else was faster; theirs is as good.
        if not (model / NOTE).is_file():
            raise


def note(path: Path) -> dict[str, Any]:
    """The note of a prepared model, given its folder or a file in it; empty where there is none."""
    place = (path if path.is_dir() else path.parent) / NOTE
    try:
        found = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def revision(target: Path, path: str) -> str | None:
    """The hub commit that ``target/path`` was fetched at; None where it is not from a hub."""
    found = note(target / path).get("revision")
    return found if isinstance(found, str) else None


def content(source: Path) -> str:
    """``sha256:…`` of a model: of the file, or of all files of a folder that make the model."""
    if source.is_file():
        return "sha256:" + _sha256(source)
    whole = hashlib.sha256()
    for file in files(source, trust=True):
        whole.update(f"{file.name} {_sha256(file)}\n".encode())
    return "sha256:" + whole.hexdigest()


def files(folder: Path, trust: bool) -> list[Path]:
    """The files of a model folder that loading it needs, by name.

    Only the top level. Raises :class:`RunFailed` for links that lead out of the folder and for
    weights that are not safetensors (unless ``trust``).
    """
    wanted = []
    weights = pickles = False
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name == NOTE or file.name.startswith("."):
            continue
        kind = file.suffix.lower()
        weights = weights or kind in WEIGHTS
        pickles = pickles or kind in PICKLES
        known = COMPANIONS + WEIGHTS + ((*CODE, *PICKLES) if trust else ())
        if kind in known or file.name.startswith("LICENSE"):
            _check_link(file, folder)
            wanted.append(file)
        if file.name.endswith(".index.json"):
            _check_index(file)
    if not weights and not (pickles and trust):
        what = "only pickled weights" if pickles else "no weights"
        raise RunFailed(
            "unsupported",
            f"the model folder {folder.name} has {what}; lem loads safetensors or GGUF",
            hint="convert it with save_pretrained, or set trust_remote_code if you trust its maker"
            if pickles
            else "name the folder that holds config.json and *.safetensors",
        )
    return wanted


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a model folder without its weights and code, by name."""
    wanted = []
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.name == NOTE or file.name.startswith("."):
            continue
        if file.suffix.lower() in COMPANIONS and not file.name.endswith(".index.json"):
            _check_link(file, folder)
            wanted.append(file)
    return wanted


def copy(source: Path, folder: Path, name: str | None = None) -> None:
    """Put a file into ``folder``: a hard link where the file system allows it, else a copy."""
    real, place = source.resolve(), folder / (name or source.name)
    try:
        os.link(real, place)
    except OSError:
        shutil.copyfile(real, place)


def plain_name(name: str) -> str:
    """``name`` if it is a relative path inside a folder. Raises :class:`RunFailed` otherwise."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise RunFailed("bad_argument", f"model.gguf_file: {name!r} is not a file of the model")
    return name


def from_hub(model_id: str, wanted_revision: str | None, folder: Path, trust: bool) -> str:
    """Fetch weights, tokenizer and config at one commit into ``folder``; returns the commit.

    The token, where one is needed, is read from ``HF_TOKEN`` in the environment only.
    """
    commit = hub_commit(model_id, wanted_revision)
    _snapshot(model_id, commit, folder, [*HUB_PATTERNS, *(("*.py",) if trust else ())])
    files(folder, trust)
    return commit


def tokenizer_from_hub(model_id: str, wanted_revision: str | None, folder: Path) -> str:
    """As :func:`from_hub`, without the weights."""
    commit = hub_commit(model_id, wanted_revision)
    _snapshot(model_id, commit, folder, [p for p in HUB_PATTERNS if p != "*.safetensors"])
    return commit


def _snapshot(model_id: str, commit: str, folder: Path, patterns: list[str]) -> None:
    _hub(
        lambda hub: hub.snapshot_download(
            model_id,
            revision=commit,
            local_dir=folder,
            allow_patterns=patterns,
            ignore_patterns=["*/*"],
            token=os.environ.get("HF_TOKEN") or False,
        ),
        model_id,
    )
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def file_from_hub(model_id: str, wanted_revision: str | None, name: str, folder: Path) -> str:
    """Fetch one file at one commit into ``folder``; returns the commit."""
    commit = hub_commit(model_id, wanted_revision)
    _hub(
        lambda hub: hub.hf_hub_download(
            model_id,
            plain_name(name),
            revision=commit,
            local_dir=folder,
            token=os.environ.get("HF_TOKEN") or False,
        ),
        model_id,
    )
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return commit


def hub_commit(model_id: str, wanted_revision: str | None) -> str:
    """The commit that a branch or tag of a hub model points to now."""
    token = os.environ.get("HF_TOKEN") or False
    found = _hub(
        lambda hub: hub.HfApi().model_info(model_id, revision=wanted_revision, token=token).sha,
        model_id,
    )
    if not isinstance(found, str):
        raise RunFailed("engine_error", f"the hub names no commit for {model_id}")
    return found


def _hub(call: Callable[[Any], Any], model_id: str) -> Any:
    try:
        import huggingface_hub as hub
        from huggingface_hub import errors
    except ImportError as e:
        raise RunFailed(
            "unsupported",
            "huggingface_hub is not installed, so nothing can be fetched from a hub",
            hint="pip install huggingface_hub, or give a local folder or GGUF file",
        ) from e
    try:
        return call(hub)
    except errors.GatedRepoError as e:
        raise RunFailed(
            "bad_argument",
            f"the hub wants its terms accepted for {model_id}",
            hint="accept them on the model's page and set HF_TOKEN",
        ) from e
    except (errors.HFValidationError, errors.RepositoryNotFoundError) as e:
        raise RunFailed(
            "bad_argument",
            f"the hub has no model {model_id!r} (or it is private)",
            hint="check the name; a local folder begins with / or ./; private ones need HF_TOKEN",
        ) from e
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as e:
        raise RunFailed("bad_argument", f"{model_id}: {_first_line(e)}") from e
    except Exception as e:
        # Whatever client the hub's library uses, its own errors are about the way there.
        raise RunFailed(
            "engine_error",
            f"{model_id} could not be fetched from the hub: {_first_line(e)}",
            hint="`lem campaign stage` needs the network; a local folder or GGUF file does not",
        ) from e


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _check_link(file: Path, folder: Path) -> None:
    """A hub cache keeps its files as links into a ``blobs`` folder beside; nothing else may."""
    real, home = file.resolve(), folder.resolve()
    if not (real.is_relative_to(home) or real.is_relative_to(home.parent.parent / "blobs")):
        raise RunFailed("bad_argument", f"{file.name} is a link that leads out of the model folder")


def _check_index(file: Path) -> None:
    try:
        names = set(json.loads(file.read_bytes()).get("weight_map", {}).values())
    except (ValueError, AttributeError, TypeError) as e:
        raise RunFailed("bad_argument", f"{file.name} is not a weight index") from e
    for name in names:
        if not isinstance(name, str) or "/" in name or "\\" in name or name in ("", ".", ".."):
            raise RunFailed("bad_argument", f"{file.name} points out of the model folder")


def _sha256(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
