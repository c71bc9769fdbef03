"""The last words of jobs, as their scheduler kept them: whatever lies there is only looked at."""

import os
import stat
from pathlib import Path

LAST_LINES, LAST_BYTES = 12, 2**16


def newest_log(folder: Path) -> Path | None:
    """The file that was written last; no link, no pipe."""
    found = []
    for path in folder.glob("*.log"):
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.append((status.st_mtime, path))
    return max(found)[1] if found else None


def last_lines(path: Path) -> list[str]:
    """Its last lines; none where it is no plain file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb") as f:
            status = os.fstat(f.fileno())
            if not stat.S_ISREG(status.st_mode):
                return []
            f.seek(max(0, status.st_size - LAST_BYTES))
            text = f.read(LAST_BYTES).decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-LAST_LINES:]
