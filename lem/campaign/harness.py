"""Questions from lm-evaluation-harness, through an interpreter that has it.

The harness (``lm_eval``, MIT) is no dependency: it is looked for in this interpreter, or in the one
that ``LEM_HARNESS_PYTHON`` names. It runs once, when a campaign is staged, and may fetch its data
set; what it made is kept in the cache, so that a measuring run needs neither it nor a network.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lem.contract.base import canonical_json, write_atomic
from lem.contract.spec import Accuracy
from lem.errors import EnvironmentFault
from lem.launchers import environment
from lem.launchers.protocol import Say
from lem.workloads.questions import MAX_FILE_BYTES

PYTHON = "LEM_HARNESS_PYTHON"
TASKS = "LEM_HARNESS_TASKS"
"""Names the folders whose tasks may run here."""
SCRIPT = Path(__file__).with_name("harness_script.py")
LIMIT_S = 3600.0
NO_HARNESS, NOT_POSSIBLE = 3, 4
"""Exit statuses of the script."""
HINT = f"pip install lm_eval, here or elsewhere with {PYTHON}=/path/to/its/python"


def export(wanted: Accuracy, include: Path | None, cache: Path, say: Say) -> bytes:
    """The task's questions in the format of ``lem/workloads/questions.py``.

    ``include``: a folder with tasks of one's own, which the user must have named, too, because
    tasks are programs. Raises :class:`EnvironmentFault` with what the
    harness said.
    """
    python = os.environ.get(PYTHON) or sys.executable
    if include is not None:
        check_trusted(include, os.environ)
    kept = cache / f"{_key(wanted, include, python)}.jsonl"
    if include is None and kept.is_file() and kept.stat().st_size <= MAX_FILE_BYTES:
        return kept.read_bytes()
    say(f"asking lm-evaluation-harness for the task {wanted.task}")
    orders = {
        "task": wanted.task,
        "include_path": None if include is None else str(include.resolve()),
        "fewshot": wanted.fewshot,
        "limit": wanted.limit,
        "metric": wanted.metric,
    }
    try:
        # -P: the folder that this is called in is no place to import from.
        done = subprocess.run(
            [python, "-P", str(SCRIPT)],
            input=canonical_json(orders),
            env=variables(os.environ),
            capture_output=True,
            check=False,
            timeout=LIMIT_S,
        )
    except OSError as e:
        raise EnvironmentFault(f"{python} cannot be started: {e.strerror}", hint=HINT) from e
    except subprocess.TimeoutExpired as e:
        raise EnvironmentFault(f"the task {wanted.task} was not ready after {LIMIT_S:g} s") from e
    said = done.stderr.decode(errors="replace").strip().splitlines()
    last = said[-1][:500] if said else f"exit status {done.returncode}"
    if done.returncode == NO_HARNESS:
        raise EnvironmentFault(f"{python} has no lm_eval (0.4.9 or newer)", hint=HINT)
    if done.returncode == NOT_POSSIBLE:
        raise EnvironmentFault(f"the task {wanted.task} cannot be used: {last}")
    if done.returncode != 0:
        raise EnvironmentFault(f"lm-evaluation-harness could not make {wanted.task}: {last}")
    if include is None:
        write_atomic(kept, done.stdout)
    return done.stdout


def check_trusted(include: Path, environ: Mapping[str, str]) -> None:
    """Raise :class:`EnvironmentFault` for a folder of tasks that the user has not named.

    A task's file can name Python functions, and its templates can run what they like: on this
    machine, with the user's rights. A campaign file that somebody sent must not get that far.
    """
    place = include.resolve()
    for named in filter(None, environ.get(TASKS, "").split(os.pathsep)):
        if place.is_relative_to(Path(named).expanduser().resolve()):
            return
    raise EnvironmentFault(
        f"measure.accuracy.include_path: tasks in {include.name} are programs that would run on "
        "this machine, outside of any container",
        hint=f"read them first; where you trust them, {TASKS}={place}",
    )


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What the harness gets of the environment: no keys or tokens but the hub's, for data sets that
    want one."""
    known = environment.of_process(environ) | environment.of_network(environ)
    more = ("HOME", "USER", "XDG_CACHE_HOME", "TMPDIR", "VIRTUAL_ENV", "PYTHONUSERBASE")
    known |= {k: environ[k] for k in more if k in environ}
    return known | {k: v for k, v in environ.items() if k.startswith("HF_")}


def _key(wanted: Accuracy, include: Path | None, python: str) -> str:
    what = [wanted.model_dump(exclude={"output_tokens"}), str(include), python]
    return hashlib.sha256(canonical_json(what)).hexdigest()[:24]
