"""Images from a registry where there is no Docker: fetched by ``skopeo``, which needs neither a
daemon nor root."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lem.errors import BadInput, EnvironmentFault
from lem.launchers.protocol import Say

PULL_TIMEOUT_S = 4 * 3600.0
KEPT = (
    *("PATH", "HOME", "USER", "TMPDIR", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE"),
    *("CONTAINERS_REGISTRIES_CONF", "CONTAINERS_CONF", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,400}")


def available() -> bool:
    return shutil.which("skopeo") is not None


def fetch(reference: str, file: Path, say: Say) -> None:
    """The image as a Docker archive, into a new file.

    Raises :class:`BadInput` where it is no reference, :class:`EnvironmentFault` where it cannot be
    fetched, with skopeo's own words.
    """
    if not _REFERENCE.fullmatch(reference):
        raise BadInput(f"{reference!r} is no name of an image")
    if ":" in str(file):
        raise BadInput(
            f"{file}: skopeo takes no path with ':' in it", hint="set LEM_CACHE to another folder"
        )
    say(f"fetching {reference}")
    try:
        done = subprocess.run(
            words(reference, file),
            env={k: v for k, v in os.environ.items() if k in KEPT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PULL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise EnvironmentFault(f"skopeo cannot be run: {e}", kind="image") from e
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise EnvironmentFault(
            f"the image {reference} could not be fetched: {last[0][-500:]}",
            hint="check its name and the connection to its registry (skopeo login?), or bring it "
            "as a file: lem images save",
            kind="image",
        )


def words(reference: str, file: Path) -> list[str]:
    # The policy says which signatures must be there: a machine without one trusts its registries.
    policy = [] if any(p.exists() for p in policies()) else ["--insecure-policy"]
    return ["skopeo", *policy, "copy", f"docker://{reference}", f"docker-archive:{file}"]


def policies() -> list[Path]:
    """Where skopeo looks for one: containers-policy.json(5)."""
    home = os.environ.get("HOME")
    own = [Path(home) / ".config" / "containers" / "policy.json"] if home else []
    return [*own, Path("/etc/containers/policy.json")]
