"""Starts a command that sees and reaches less of the machine than its user does:

    python -I -S apart.py [--no-network] [--shared-processes] [--as UID:GID]
        [--seen FOLDER [--read-only SOURCE | --writable SOURCE]…] -- COMMAND …

For engines of containers that do none of it for an unprivileged user. By a user namespace of its
own, so nothing is needed but a kernel that gives one; where it does not, the exit status is 71 and
nothing was started.

The command has its own processes (unless told otherwise), its own shared memory, and no network but
a loopback interface, since some engines serve on it. The sources are at FOLDER/1, FOLDER/2 …, so
that the command needs no way to where they lie. ``--as``: root gives up that it is root.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys

REFUSED = 71
NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PROCESSES, NEW_NETWORK = (
    *(0x20000, 0x8000000, 0x10000000),
    *(0x20000000, 0x40000000),
)
NO_SET_USER_ID, NO_DEVICES, NO_PROGRAMS = 0x2, 0x4, 0x8
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
SHARED_MEMORY, MESSAGES = "/dev/shm", "/dev/mqueue"
DIES_WITH_PARENT, NO_NEW_PRIVILEGES = 1, 38

_c = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_c, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(
    source: bytes | None,
    target: str,
    flags: int,
    kind: bytes | None = None,
    options: bytes | None = None,
) -> None:
    _call("mount", source, os.fsencode(target), kind, ctypes.c_ulong(flags), options)


class Wanted:
    """What the arguments ask for."""

    def __init__(self, arguments: list[str]) -> None:
        self.network = self.processes = True
        """Whether the command has the machine's network, and processes of its own."""
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.seen = ""
        self.sources: list[tuple[str, bool]] = []
        """Files and folders, and whether they may be written to."""
        at = 0
        while arguments[at] != "--":
            name = arguments[at]
            if name == "--no-network":
                self.network = False
            elif name == "--shared-processes":
                self.processes = False
            else:
                at += 1
                if name == "--as":
                    self.uid, self.gid = map(int, arguments[at].split(":"))
                elif name == "--seen":
                    self.seen = arguments[at]
                else:
                    self.sources.append((arguments[at], name == "--writable"))
            at += 1
        name, *others = arguments[at + 1 :]
        # Looked for now: as another user there may be no way to Python's own modules.
        ways = [""] if "/" in name else [f"{p}/" for p in os.get_exec_path()]
        self.command = [next((p + name for p in ways if os.access(p + name, os.X_OK)), name)]
        self.command += others


def leave(wanted: Wanted) -> None:
    """Leave this process's namespaces. The user stays who they are; root may be ``wanted.uid``."""
    uid, gid = os.geteuid(), os.getegid()
    flags = NEW_USER | NEW_MOUNTS | NEW_IPC
    flags |= 0 if wanted.network else NEW_NETWORK
    flags |= NEW_PROCESSES if wanted.processes else 0
    if (uid, gid) == (wanted.uid, wanted.gid):
        _call("unshare", flags)
        _write("self", "setgroups", "deny")
        _write("self", "uid_map", f"{uid} {uid} 1")
        _write("self", "gid_map", f"{gid} {gid} 1")
        return
    # Of two ids, only who stays outside and may be anybody can say that they are inside.
    waits, tells = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(tells)
        os.read(waits, 1)
        try:
            me = str(os.getppid())
            _write(me, "uid_map", f"{uid} {uid} 1\n{wanted.uid} {wanted.uid} 1")
            _write(me, "gid_map", f"{gid} {gid} 1\n{wanted.gid} {wanted.gid} 1")
        except OSError:
            os._exit(1)
        os._exit(0)
    try:
        _call("unshare", flags)
    finally:
        os.close(tells)
        _, status = os.waitpid(helper, 0)
        os.close(waits)
    if status != 0:
        raise PermissionError(f"user {wanted.uid} is not to be had")


def _write(process: str, file: str, text: str) -> None:
    with open(f"/proc/{process}/{file}", "w") as f:  # noqa: PTH123 - starts without site-packages
        f.write(text)


def furnish(wanted: Wanted) -> None:
    """What is seen of the machine's files, and the network."""
    _mount(None, "/", RECURSIVE | PRIVATE)
    if wanted.seen:
        _mount(b"lem", wanted.seen, NO_SET_USER_ID | NO_DEVICES, b"tmpfs", b"mode=755")
    for number, (source, writable) in enumerate(wanted.sources, 1):
        place = f"{wanted.seen}/{number}"
        if os.path.isdir(source):  # noqa: PTH112
            os.mkdir(place, 0o755)  # noqa: PTH102
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        _mount(os.fsencode(source), place, BIND | (RECURSIVE if writable else 0))
        if not writable:
            has = os.statvfs(place).f_flag
            kept = sum(theirs for ours, theirs in KEPT.items() if has & ours)
            _mount(None, place, REMOUNT | BIND | READ_ONLY | kept)
    flags = NO_SET_USER_ID | NO_DEVICES
    # Afterwards: a source may lie in what is hidden by it.
    if os.path.isdir(SHARED_MEMORY):  # noqa: PTH112
        _mount(b"lem", SHARED_MEMORY, flags, b"tmpfs", b"mode=1777")
    if os.path.isdir(MESSAGES):  # noqa: PTH112
        _mount(b"lem", MESSAGES, flags | NO_PROGRAMS, b"mqueue")
    if not wanted.network:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            request = struct.pack("16sh22x", b"lo", 0)
            now = struct.unpack("16sh22x", fcntl.ioctl(s, GET_FLAGS, request))[1]
            fcntl.ioctl(s, SET_FLAGS, struct.pack("16sh22x", b"lo", now | UP))


def step_down(wanted: Wanted) -> None:
    """Be the user that the command runs as, for good."""
    if os.geteuid() != wanted.uid:
        os.setgroups([])
        os.setresgid(wanted.gid, wanted.gid, wanted.gid)
        os.setresuid(wanted.uid, wanted.uid, wanted.uid)


def first(wanted: Wanted) -> None:
    """The first of the command's own processes: it has the command started, collects what has
    ended, and when it ends itself, nothing is left. Never returns."""
    try:
        _call("prctl", DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        _mount(b"proc", "/proc", NO_SET_USER_ID | NO_DEVICES | NO_PROGRAMS, b"proc")
        step_down(wanted)
        # Being another user ends that.
        _call("prctl", DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        agent = os.fork()
        if agent == 0:
            begin(wanted)
    except OSError as e:
        os._exit(_refused(e))
    os._exit(_ended(agent))


def begin(wanted: Wanted) -> None:
    """Become the command; never returns."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _call("prctl", NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        os.execv(wanted.command[0], wanted.command)
    except OSError as e:
        os.write(2, f"{wanted.command[0]}: {e.strerror}\n".encode())
    os._exit(127)


def _ended(child: int) -> int:
    """Wait for its end, and for others' who end before it; 128 + n for signal n."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _refused(why: OSError) -> int:
    os.write(2, f"this kernel lets no user set a process apart: {why}\n".encode())
    return REFUSED


def main(arguments: list[str]) -> None:
    wanted = Wanted(arguments)
    # Whoever stops this stops the command, by its process group. This one waits for its end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        leave(wanted)
        furnish(wanted)
        if not wanted.processes:
            step_down(wanted)
            _call("prctl", DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            begin(wanted)
        init = os.fork()
    except OSError as e:
        os._exit(_refused(e))
    if init == 0:
        first(wanted)
    os._exit(_ended(init))


if __name__ == "__main__":
    main(sys.argv[1:])
