"""A command whose work draws power on the played board: ``step.py TRIAL`` (JSON).

It starts the step of power itself, some time after it has begun, and ends with it. The standard
library alone; the play file is the one that $LEM_PLAYED_NVML names.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(trial: dict[str, Any]) -> None:
    path = Path(os.environ["LEM_PLAYED_NVML"])
    start_s = (time.monotonic_ns() - trial["t0_ns"]) / 1e9 + trial["hesitates_s"]
    end_s = start_s + trial["seconds"]
    idle_w = trial["idle_w"]
    segments = [
        (start_s, idle_w, idle_w),
        (end_s, trial["work_w"], trial["work_w"]),
        (1e18, idle_w + trial["tail_w"], idle_w, trial["tau_s"]),
    ]
    kept = [line for line in path.read_text().splitlines() if " segment " not in line]
    kept += ["segment " + " ".join(repr(float(v)) for v in s) for s in segments]
    aside = path.with_suffix(".step")
    aside.write_text("\n".join(kept) + "\n")
    aside.replace(path)
    print(json.dumps(segments), flush=True)
    while (left_ns := trial["t0_ns"] + int(end_s * 1e9) - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
