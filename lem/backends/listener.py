"""Which process listens on a port of this machine, by the kernel's tables (proc(5))."""

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lem.meters.process_tree import parse_stat

LISTENING = "0A"
NAMESPACES = ("docker-proxy", "rootlesskit", "slirp4netns", "pasta")
"""They listen for a server in another network namespace."""
FORWARDERS = (
    *("ssh", "sshd", "sshd-session", "autossh", "socat", "ncat", "nc", "kubectl", "cloudflared"),
    *("tailscaled", "ngrok", "haproxy", "nginx", "envoy", "caddy", "traefik"),
)
"""They pass on what comes to another process, and that is often on another machine."""
NOT_ITSELF = frozenset((*NAMESPACES, *FORWARDERS))
LAUNCHERS = ("text-generation",)
"""What starts a server's parts beside each other: of TGI the router listens, and its launcher has
the model servers, too. The first 15 characters, as the kernel keeps them."""


def process_listening(port: int, proc: Path = Path("/proc")) -> int | None:
    """Its process id; None where there is none that this user may look into, or where it only
    passes on what comes. Where several hold the same socket, the one that the others come from."""
    inodes = set(_inodes(port, proc))
    if not inodes:
        return None
    wanted = {f"socket:[{i}]" for i in inodes}
    holders: dict[int, int] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit() and _holds(folder, wanted):
            parent = _parent(folder)
            if parent is not None:
                holders[int(folder.name)] = parent
    tops = [pid for pid, parent in holders.items() if parent not in holders]
    if len(tops) != 1 or _name(proc / str(tops[0])) in NOT_ITSELF:
        return None
    pid = tops[0]
    while (parent := _parent(proc / str(pid))) and _name(proc / str(parent)) in LAUNCHERS:
        pid = parent
    return pid


def listens(pids: Iterable[int], port: int, proc: Path = Path("/proc")) -> bool:
    """Whether one of these processes listens on the port."""
    wanted = {f"socket:[{i}]" for i in _inodes(port, proc)}
    return bool(wanted) and any(_holds(proc / str(pid), wanted) for pid in pids)


def _inodes(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text("ascii", "replace").splitlines()[1:]:
                words = line.split()
                if len(words) > 9 and words[3] == LISTENING and _reaches(words[1], port):
                    yield words[9]


def _reaches(local: str, port: int) -> bool:
    """Whether a connection to the loopback gets there: it listens on it, or on all addresses."""
    host, _, number = local.partition(":")
    with suppress(ValueError):
        if int(number, 16) != port:
            return False
        # Words of 32 bits in the machine's own order.
        data = bytes.fromhex(host)
        words = [data[i : i + 4] for i in range(0, len(data), 4)]
        swapped = b"".join(w[::-1] for w in words) if sys.byteorder == "little" else data
        address = ipaddress.ip_address(swapped)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return bool(mapped.is_loopback or mapped.is_unspecified)
    return False


def _holds(folder: Path, wanted: set[str]) -> bool:
    with suppress(OSError):
        for entry in os.scandir(folder / "fd"):
            with suppress(OSError):
                if os.readlink(entry.path) in wanted:  # noqa: PTH115 - thousands of them
                    return True
    return False


def _parent(folder: Path) -> int | None:
    with suppress(OSError):
        times = parse_stat((folder / "stat").read_text("utf-8", "replace"), 100)
        return None if times is None else times.parent
    return None


def _name(folder: Path) -> str:
    with suppress(OSError):
        return (folder / "comm").read_text("utf-8", "replace").strip()
    return ""
