"""Sets boards for a run and puts them back, on every way out.

Write down what stood before (fsync), set, run, put back, remove what was written. Where this
process is killed in between, :func:`put_back` of the next one finds the document and does the rest.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from lem.boards import journal
from lem.boards.board import TOLERANCE_MW, Board, milliwatts, nvml
from lem.boards.journal import Journal, Left
from lem.contract.base import utc_now
from lem.contract.spec import DeviceSettings
from lem.errors import EnvironmentFault, SettingRefused

Say = Callable[[str], None]


def asks(wanted: DeviceSettings) -> bool:
    """Whether anything is to be set."""
    return wanted.power_limit_w is not None or wanted.sm_clock_mhz is not None


@contextmanager
def applied(
    wanted: DeviceSettings, gpus: Sequence[int], folder: Path | None = None
) -> Iterator[None]:
    """Within, these boards (indices as NVML counts) have these settings.

    Raises :class:`SettingRefused` before anything else is done where they cannot have them, and
    :class:`EnvironmentFault` where another lem is setting one of them, or where one could not be
    put back.
    """
    if not asks(wanted):
        yield
        return
    if not gpus:
        raise SettingRefused(
            "device.*: this run uses no NVIDIA board; this version sets no others",
            "leave device.* out; on an AMD board set the limit with amd-smi before the campaign",
        )
    folder = folder or journal.state_folder()
    with nvml() as library, ExitStack() as locks:
        boards = [Board(library, index) for index in gpus]
        changes = [Change(b, locks.enter_context(journal.held(folder, b.uuid))) for b in boards]
        with undisturbed():
            for change in changes:
                change.finish_earlier()
        for board in boards:
            board.check(wanted)
        try:
            with undisturbed():
                for change in changes:
                    change.make(wanted)
            yield
        finally:
            with undisturbed():
                _undo(changes)


class Change:
    """Of one board, whose lock is held."""

    def __init__(self, board: Board, path: Path) -> None:
        self.board = board
        self._path = path
        self._note: Journal | None = None
        self._limit_set = self._clock_set = False

    def finish_earlier(self) -> None:
        """Put back what a killed process left on this board."""
        earlier = journal.read(self._path)
        if earlier is not None:
            _restore(self.board, earlier)
            self._path.unlink(missing_ok=True)

    def make(self, wanted: DeviceSettings) -> None:
        limit, clock = wanted.power_limit_w, wanted.sm_clock_mhz
        before_mw = self.board.limit_mw() if limit is not None else None
        self._note = Journal(
            uuid=self.board.uuid,
            boot_id=journal.boot_id(),
            pid=os.getpid(),
            written_at=utc_now(),
            limit_before_mw=before_mw,
            limit_set_mw=milliwatts(limit) if limit is not None else None,
            clock_locked_mhz=clock,
        )
        journal.write(self._note, self._path)
        if limit is not None:
            self._limit_set = True
            self.board.set_limit(milliwatts(limit))
        if clock is not None:
            self.board.lock_clock(clock)
            self._clock_set = True

    def undo(self) -> None:
        """Put back what was changed. Raises :class:`SettingRefused`; the document then stays."""
        if self._note is None:
            return
        note = self._note.model_copy(
            update={
                "limit_before_mw": self._note.limit_before_mw if self._limit_set else None,
                "clock_locked_mhz": self._note.clock_locked_mhz if self._clock_set else None,
            }
        )
        _restore(self.board, note)
        self._path.unlink(missing_ok=True)
        self._note = None


def _undo(changes: Sequence[Change]) -> None:
    """All of them, whatever happens to one."""
    problems = []
    for change in changes:
        try:
            change.undo()
        except SettingRefused as e:
            problems.append(f"{change.board.uuid}: {e.message}")
    if problems:
        raise EnvironmentFault(
            "a board could not be set back to what it was: " + "; ".join(problems),
            "lem doctor says what stood before and how to set it",
        )


def _restore(board: Board, note: Journal) -> str:
    """Put the board back as the note says; in words what was done.

    A limit that is neither the one that was set nor the one before was set by somebody else since:
    it is left alone.
    """
    done = []
    if note.limit_before_mw is not None and note.limit_set_mw is not None:
        before, ours, now = note.limit_before_mw, note.limit_set_mw, board.limit_mw()
        if now is None or abs(now - ours) <= TOLERANCE_MW:
            if before != now:
                board.set_limit(before, in_force=False)
            done.append(f"the power limit is {before / 1e3:g} W again")
        elif abs(now - before) > TOLERANCE_MW:
            done.append(f"the power limit is {now / 1e3:g} W, which somebody set since: left alone")
    if note.clock_locked_mhz is not None:
        board.free_clock()
        done.append("the SM clock is free again")
    return f"{board.uuid}: {'; '.join(done) or 'nothing had to be put back'}"


def put_back(say: Say, folder: Path | None = None) -> list[Left]:
    """Put back what processes that ended left set; those documents that had to stay.

    A document from before the last restart is removed: limits and clocks do not outlast one.
    """
    folder = folder or journal.state_folder()
    stayed = []
    for found in journal.left(folder):
        if found.in_use is not False:
            stayed.append(found)
            continue
        try:
            with journal.held(folder, found.journal.uuid) as path, undisturbed():
                note = journal.read(path)
                if note is not None and found.same_boot:
                    with nvml() as library:
                        say(_restore(Board(library, note.uuid), note))
                path.unlink(missing_ok=True)
        except (SettingRefused, EnvironmentFault) as e:
            say(f"{found.words}, could not be put back: {e.message}")
            stayed.append(found)
    return stayed


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end this process come after, not in the middle.

    Blocking them for this thread would not do: Python runs its handlers in the main thread,
    whichever thread the kernel gave the signal to.
    """
    kept: list[int] = []

    def keep(number: int, _: FrameType | None) -> None:
        kept.append(number)

    before = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, keep)
    except ValueError:  # not the main thread, which no handler interrupts
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in kept[:1]:
            signal.raise_signal(late)
