"""Writes web/tests/fixtures/live.ndjson: a made-up campaign's log, as a server keeps one. The live
view's code is tested against it.

    python scripts/live_fixture.py [--check]
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "web/tests/fixtures/live.ndjson"
sys.path.insert(0, str(ROOT))

from pydantic import TypeAdapter  # noqa: E402

from lem.contract.live import LiveEvent  # noqa: E402
from tests.live_log import Shape, log  # noqa: E402

SHAPE = Shape(arms=3, blocks=3, gpus=1, rate=2, load_s=2, warm_up_s=2, idle_s=2, window_s=5)
_EVENTS: TypeAdapter[list[LiveEvent]] = TypeAdapter(list[LiveEvent])


def text() -> str:
    lines = (b"[%d,%d,%s]\n" % (f, n, _EVENTS.dump_json(events)) for f, n, events in log(SHAPE))
    return b"".join(lines).decode()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        if FILE.read_text("utf-8") != text():
            sys.exit(f"{FILE} is not what the code makes; fix: python scripts/live_fixture.py")
    else:
        FILE.write_text(text(), "utf-8")
