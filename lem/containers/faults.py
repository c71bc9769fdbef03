"""The Docker engine's errors, told with their fix. Pure: texts and exceptions in, faults out."""

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lem.errors import EnvironmentFault

TESTBED_HINT = "in a clone of lem, scripts/docker-testbed.sh starts one"


def unreachable(error: BaseException, address: str) -> EnvironmentFault:
    """Why no engine answers at ``address``."""
    cause = root_os_error(error)
    if isinstance(cause, PermissionError):
        return EnvironmentFault(
            f"this user may not use the Docker engine ({address.removeprefix('unix://')})",
            hint="sudo usermod -aG docker $USER; newgrp docker",
        )
    return EnvironmentFault(
        f"no Docker engine answers at {address.removeprefix('unix://')}",
        hint="sudo systemctl start docker (to install it: https://docs.docker.com/engine/install; "
        f"{TESTBED_HINT}), or use --launcher process",
    )


def root_os_error(error: BaseException | None) -> OSError | None:
    """The operating system's error at the bottom of a chain of wrapped ones."""
    seen: list[BaseException] = []
    found: OSError | None = None
    pending: list[Any] = [error]
    while pending:
        e = pending.pop()
        if not isinstance(e, BaseException) or e in seen:
            continue
        seen.append(e)
        if isinstance(e, OSError) and e.errno is not None:
            found = e
        pending += [e.__cause__, e.__context__, *e.args]
        pending += [a for group in e.args if isinstance(group, tuple) for a in group]
    return found


def known(text: str) -> EnvironmentFault | None:
    """The fault behind an engine's message, where it is one of those with a known fix."""
    low = text.lower()
    if "no space left on device" in low or os.strerror(errno.EDQUOT).lower() in low:
        return EnvironmentFault(
            f"the Docker engine has no room left: {text}",
            hint="make room: docker system df; docker system prune",
            kind="disk",
        )
    if "could not select device driver" in low or "nvidia-container-cli" in low:
        return EnvironmentFault(
            f"Docker cannot give a container the GPU: {text}",
            hint="install the NVIDIA Container Toolkit, then sudo nvidia-ctk runtime configure "
            "--runtime=docker and sudo systemctl restart docker",
        )
    return None


def said(error: Any) -> str:
    """The engine's own words in an exception of the SDK."""
    return str(getattr(error, "explanation", None) or error).strip()


def build_fault(tag: str, lines: Sequence[str], arguments: Mapping[str, str]) -> EnvironmentFault:
    """Why a build ended without an image, from the lines it printed."""
    fault = known("\n".join(lines[-3:]))
    if fault is not None:
        return fault
    steps = [line for line in lines if line.startswith("Step ")]
    base = arguments.get("BASE_IMAGE", "its base image")
    if not steps or " FROM " in steps[-1] or steps[-1].split(" : ")[-1].startswith("ARG"):
        return EnvironmentFault(
            f"the base image {base} is not here and cannot be pulled: {lines[-1]}",
            hint=f"docker pull {base} where a registry can be reached; without one, load it "
            "(docker load) or make it (scripts/docker-testbed.sh in a clone), or name another "
            "with --base-image",
            kind="image",
        )
    last = "\n".join(f"    {line}" for line in lines[-15:])
    return EnvironmentFault(
        f"the image {tag} could not be built:\n{last}",
        hint="the build needs the network for Python packages; see the lines above",
        kind="image",
    )
