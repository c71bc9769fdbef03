"""What an image or an interpreter says of itself, checked."""

import subprocess
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from lem.contract.base import CONTRACT_VERSION
from lem.contract.stage import Described
from lem.errors import EnvironmentFault


def ask(
    words: Sequence[str], environ: Mapping[str, str], backend: str, program: str, timeout_s: float
) -> Described:
    """What the agent that ``words`` start in a container says; ``program``: what starts it.

    Raises :class:`EnvironmentFault` where it does not start, or says something else.
    """
    try:
        done = subprocess.run(
            words,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise EnvironmentFault(f"{program} cannot be run: {e}", kind="image") from e
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip()[-1000:]
        raise EnvironmentFault(f"{program} did not start the image: {last}", kind="image")
    return described(done.stdout, done.returncode, backend)


def described(output: bytes, status: int | None, backend: str) -> Described:
    """What ``lem.agent describe`` printed, checked. Lines of other kinds around it are let pass:
    engines and base images greet."""
    lines = output.decode(errors="replace").strip().splitlines()
    documents = [line for line in lines if line.startswith("{")]
    try:
        found = Described.model_validate_json(documents[-1] if documents else "")
    except ValidationError as e:
        last = "\n".join(f"    {line[:500]}" for line in lines[-10:])
        how = "did not end" if status is None else f"ended with status {status}"
        raise EnvironmentFault(
            f"lem's agent for {backend} {how} and did not describe itself:\n{last}",
            hint=f"rebuild it: lem images build {backend}",
            kind="contract",
        ) from e
    if found.contract_version != CONTRACT_VERSION or found.backend != backend:
        raise EnvironmentFault(
            f"lem's agent for {found.backend} speaks contract {found.contract_version}; "
            f"contract {CONTRACT_VERSION} for {backend} was expected",
            hint=f"rebuild it: lem images build {backend}",
            kind="contract",
        )
    return found
