"""A staged campaign as a compose file: one service that runs it on a machine with Docker.

Its engines run in containers beside it, each in its backend's image, which it starts through the
machine's Docker: one service for each image could not take turns on one set of GPUs.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from lem.campaign.campaign import Campaign
from lem.contract.lock import Lock
from lem.errors import BadInput
from lem.launchers import environment
from lem.launchers.cache import cache_root
from lem.launchers.protocol import Say

IMAGE = "${LEM_RUNNER_IMAGE:-lem/runner:local}"
HEAD = """\
# The campaign {name}, on a machine with Docker. Written by lem; run it where it was written:
#   docker build -f compose/Dockerfile --target runner -t lem/runner:local .   (in lem's repository)
#   docker compose -p lem-{owner} -f THIS up
# It starts engines' containers through the machine's Docker, which makes it as powerful as root.
"""


def rendered(campaign: Campaign, say: Say) -> str:
    """The compose file of a campaign, which is staged and begun. Raises :class:`BadInput` where
    its runs are started otherwise than by Docker."""
    used = {d.backend for d in campaign.file.drafts}
    unnamed = sorted(b for b in used if campaign.file.spec.backends[b].image is None)
    if unnamed:
        raise BadInput(
            f"--format compose: the images of {', '.join(unnamed)} are to be named: which one lem "
            "would build depends on where it runs",
            hint=f"lem images build {unnamed[0]}, then backends.{unnamed[0]}.image: ITS NAME",
        )
    lock, _ = campaign.locked(campaign.lock, say)
    others = sorted({a.launcher for a in lock.arms} - {"docker"})
    if others or campaign.cluster is not None:
        raise BadInput(
            f"--format compose: its runs are started by {', '.join(others) or 'a cluster'}",
            hint="begin it with --launcher docker --out elsewhere",
        )
    cache = cache_root().absolute()
    (cache / "tmp").mkdir(parents=True, exist_ok=True)
    return compose(lock, campaign.folder.absolute(), cache, environment.settings(os.environ))


def compose(lock: Lock, folder: Path, cache: Path, settings: dict[str, str]) -> str:
    """Pure."""
    for what in (str(folder), str(cache), *settings.values()):
        if not what.isprintable() or ":" in what:
            raise BadInput(f"{what!r} holds characters that no compose file may have")
    service: dict[str, Any] = {
        "image": IMAGE,
        "entrypoint": ["lem"],
        "command": ["campaign", "run", _literal(str(folder))],
        "init": True,
        "restart": "no",
        # Folders are handed to the unprivileged users of engines' containers, and taken back.
        "user": "0:0",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
        "security_opt": ["no-new-privileges:true"],
        "network_mode": "none",
        "environment": {
            "HOME": "/tmp",
            "LEM_CACHE": _literal(str(cache)),
            "TMPDIR": _literal(str(cache / "tmp")),
            **{n: _literal(v) for n, v in sorted(settings.items())},
        },
        # Under the same names inside and outside: it tells Docker which folders a container gets.
        "volumes": [
            _bind("/var/run/docker.sock"),
            _bind("/dev/shm"),
            _bind(str(folder)),
            _bind(str(cache)),
        ],
        "tmpfs": ["/tmp"],
        "stop_grace_period": "60s",
        "pids_limit": 512,
    }
    if lock.gpus:
        service["deploy"] = {
            "resources": {
                "reservations": {
                    "devices": [
                        {
                            "driver": "nvidia",
                            "count": "all",
                            "capabilities": ["gpu", "utility"],
                        }
                    ]
                }
            }
        }
    made = {"services": {"campaign": service}}
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=10**6)
    return HEAD.format(name=lock.name, owner=lock.owner) + text


def _bind(path: str) -> dict[str, Any]:
    return {"type": "bind", "source": _literal(path), "target": _literal(path)}


def _literal(text: str) -> str:
    """So that Compose, which puts in what stands behind a ``$``, reads it as it is."""
    return text.replace("$", "$$")
