"""Stands between lem and an agent that runs as a bare process. Run as a script, never imported.

It does for a process what an engine and an init do for a container: it reaps orphans, so that
every descendant of the agent can be found and killed, also those that left its process group; and
it kills them all when lem itself is gone, because it then reads the end of its standard input.
It sleeps in poll(2) otherwise.

    supervise.py REPORT_FD MEMORY_BYTES COMMAND...

Standard input: ``T`` asks the agent to end (SIGTERM), ``K`` and the end of input kill everything.
REPORT_FD: gets the agent's exit status (128 + n for signal n) as a decimal number.
MEMORY_BYTES: limit of each process's private writable memory (RLIMIT_DATA), 0 for none.
"""

import ctypes
import os
import resource
import select
import signal
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(report: int, memory_bytes: int, command: list[str]) -> None:
    """Run ``command`` to its end, then see to it that nothing of it is left."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # lem decides when to stop; a Ctrl-C of the terminal goes to lem.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    agent = os.fork()
    if agent == 0:
        start(libc, report, memory_bytes, command)
    # Here as well as in the child: whoever comes first, the group is there before it is signalled.
    with suppress(OSError):
        os.setpgid(agent, agent)
    status = watch(agent, wake_read)
    kill_descendants()
    # Nobody reads it any more where lem is gone.
    with suppress(OSError):
        os.write(report, f"{status}\n".encode())


def start(libc: ctypes.CDLL, report: int, memory_bytes: int, command: list[str]) -> None:
    """Become the agent; never returns."""
    try:
        os.close(report)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with suppress(OSError):
                signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if memory_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execv(command[0], command)
    except OSError as e:
        os.write(2, f"{command[0]}: {e.strerror}\n".encode())
    os._exit(127)


def watch(agent: int, wake: int) -> int:
    """Obey standard input until the agent has ended; gives its status."""
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(wake, select.POLLIN)
    while True:
        for handle, _ in poll.poll():
            if handle == wake:
                os.read(wake, 4096)
                continue
            order = os.read(0, 1)
            if order == b"T":
                with suppress(ProcessLookupError):
                    os.killpg(agent, signal.SIGTERM)
            else:
                with suppress(ProcessLookupError):
                    os.killpg(agent, signal.SIGKILL)
                poll.unregister(0)
        status = reap(agent)
        if status is not None:
            return status


def reap(agent: int) -> int | None:
    """Collect whatever has ended; the agent's status if it was among them."""
    found = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == agent:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else 128 - code
    return found


def kill_descendants() -> None:
    """Kill and collect until there are none: the children of a killed one become ours."""
    with suppress(ChildProcessError):
        while True:
            for child in children(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def children(parent: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib costs a third of the start-up
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:  # noqa: PTH123
                stat = f.read()
        except OSError:
            continue
        if int(stat[stat.rindex(b")") + 2 :].split()[1]) == parent:
            found.append(int(name))
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
