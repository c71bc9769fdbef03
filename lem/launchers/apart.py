"""Starts a command with folders that it may only read and, if asked, without a network:

    python -I -S apart.py [--no-network] [--read-only FOLDER]… -- COMMAND …

For engines of containers that do neither for an unprivileged user. By a user namespace of its own,
so nothing is needed but a kernel that gives one; where it does not, the exit status is 71 and
nothing was started. The loopback interface is up, since some engines serve on it.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

REFUSED = 71
NEW_NAMESPACE_MOUNTS, NEW_NAMESPACE_USER, NEW_NAMESPACE_NETWORK = 0x20000, 0x10000000, 0x40000000
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
KEPT = {
    os.ST_NOSUID: 0x2,
    os.ST_NODEV: 0x4,
    os.ST_NOEXEC: 0x8,
    os.ST_NOATIME: 0x400,
    os.ST_NODIRATIME: 0x800,
    os.ST_RELATIME: 0x200000,
}
"""statvfs's flags → mount's. What a mount has from above may not be taken off it."""
SET_FLAGS, GET_FLAGS, UP = 0x8914, 0x8913, 0x1

_c = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_c, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: bytes | None, target: bytes, flags: int) -> None:
    _call("mount", source, target, None, ctypes.c_ulong(flags), None)


def shut(read_only: list[str], no_network: bool) -> None:
    """Leave this process's namespaces. The user stays who they are."""
    uid, gid = os.geteuid(), os.getegid()
    flags = NEW_NAMESPACE_USER | NEW_NAMESPACE_MOUNTS
    _call("unshare", flags | (NEW_NAMESPACE_NETWORK if no_network else 0))
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as f:  # noqa: PTH123 - starts without site-packages
            f.write(text)
    _mount(None, b"/", RECURSIVE | PRIVATE)
    for folder in read_only:
        place = os.fsencode(folder)
        _mount(place, place, BIND)
        has = os.statvfs(place).f_flag
        kept = sum(theirs for ours, theirs in KEPT.items() if has & ours)
        _mount(None, place, REMOUNT | BIND | READ_ONLY | kept)
    if no_network:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            request = struct.pack("16sh22x", b"lo", 0)
            now = struct.unpack("16sh22x", fcntl.ioctl(s, GET_FLAGS, request))[1]
            fcntl.ioctl(s, SET_FLAGS, struct.pack("16sh22x", b"lo", now | UP))


def main(arguments: list[str]) -> int:
    read_only: list[str] = []
    no_network = False
    while arguments and arguments[0] != "--":
        if arguments[0] == "--no-network":
            no_network = True
            arguments = arguments[1:]
        else:
            read_only.append(arguments[1])
            arguments = arguments[2:]
    command = arguments[1:]
    try:
        shut(read_only, no_network)
    except OSError as e:
        sys.stderr.write(f"this kernel lets no user set a process apart: {e}\n")
        return REFUSED
    os.execvp(command[0], command)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
