"""Planning a large campaign: 10,000 experiments × 40 blocks."""

from collections.abc import Iterator

from bench.measure import Line, in_a_process

ARMS, BLOCKS = 10_000, 40

_SETUP = """
from lem.campaign.plan import Here, plan
from tests.records import START, arm_name, experiment, lock
arms, blocks = map(int, sys.argv[1:3])
one = experiment()
made = lock(
    [{"arm_id": arm_name(n), "label": str(n), "settings": {}, "experiment": one}
     for n in range(arms)], blocks=blocks)
here = Here(START.isoformat(), "boot-1", ("cpu",))
"""
_PLAN = """
start, cpu = time.perf_counter(), time.process_time()
planned = plan(made, [], here)
result["seconds"] = time.perf_counter() - start
result["plan_cpu_s"] = time.process_time() - cpu
assert len(planned.runs) == arms * blocks
"""


def lines() -> Iterator[Line]:
    sizes = (str(ARMS), str(BLOCKS))
    before = in_a_process(_SETUP, *sizes)
    found = in_a_process(_SETUP + _PLAN, *sizes)
    more = found["peak_mib"] - before["peak_mib"]
    yield Line(
        f"plan {ARMS:,} experiments × {BLOCKS} blocks",
        f"{found['seconds']:.2f} s ({found['plan_cpu_s']:.2f} s CPU)",
        goal="≤ 2 s",
    )
    yield Line(
        "… its memory",
        f"{found['peak_mib']:.0f} MiB at most",
        f"{more:.0f} MiB more than the lock alone",
        "≤ 200 MB",
    )
