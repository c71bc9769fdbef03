"""The batch script of an order, as text: what an operator may read, change and submit by hand."""

import re
import shlex
import sys

from lem.clusters.protocol import Work
from lem.config.clusters import SlurmSpec
from lem.errors import BadInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NOTICE_S = 90
"""Before its time is over a job is told, so that its run ends in order."""

TEMPLATE = """\
#!/bin/bash
# {title}
# {blocks}; {each}.
# Written by lem. Submitted by hand it does the same: sbatch {path}
{options}
{variables}{setup}
# Nothing is imported from where it happens to stand.
cd /
# In place of this shell, so that the signal before the time limit reaches it.
exec {command} "${{SLURM_ARRAY_TASK_ID:?}}"
"""


def script(work: Work, spec: SlurmSpec) -> str:
    """Pure. Raises :class:`BadInput` where a path cannot stand in a script."""
    order, folder = work.order, work.folder
    if not _NAME.fullmatch(work.name):
        raise BadInput(f"{work.name!r} is no name of a job")
    if odd := [n for n in work.variables if not _VARIABLE.fullmatch(n)]:
        raise BadInput(f"{odd[0]!r} is no name of a variable")
    for what in (str(folder), *work.variables.values()):
        if not what.isprintable():
            raise BadInput(f"{what!r} holds characters that no script of Slurm's may have")
    at_once = "" if work.at_once is None or work.at_once >= order.tasks else f"%{work.at_once}"
    logs = f"{folder}/cluster/logs/{order.number}"
    options = [
        f"--job-name={work.name}",
        f"--array=0-{order.tasks - 1}{at_once}",
        "--ntasks=1",
        f"--output={_escaped(logs)}-%a.log",
        "--open-mode=append",
        "--export=NIL",
        f"--signal=B:TERM@{NOTICE_S}",
        "--requeue",
        *([f"--{n}={v}" for n in _NAMES if (v := getattr(spec, n)) is not None]),
        *(["--exclusive"] if spec.exclusive else []),
        *_memory(work, spec),
        *spec.extra,
    ]
    command = [
        *(spec.python or sys.executable, "-P", "-m", "lem.campaign.node"),
        *(str(folder), str(order.number)),
    ]
    blocks = f"{len(order.blocks)} blocks" if len(order.blocks) > 1 else "1 block"
    each = f"{order.blocks_per_job} to a job" if order.blocks_per_job > 1 else "each is a job"
    return TEMPLATE.format(
        title=f"The campaign {work.name}, order {order.number}",
        blocks=blocks,
        each=each,
        path=shlex.quote(f"{folder}/cluster/{order.number}.sh"),
        options="\n".join(f"#SBATCH {o}" for o in options),
        variables="".join(
            f"export {n}={shlex.quote(v)}\n" for n, v in sorted(work.variables.items())
        ),
        setup="".join(f"{line}\n" for line in spec.setup),
        command=shlex.join(command),
    )


_NAMES = ("partition", "account", "qos", "constraint", "gres", "time")


def _memory(work: Work, spec: SlurmSpec) -> list[str]:
    asked = ("--mem=", "--mem-per-cpu=", "--mem-per-gpu=")
    if work.memory_bytes is None or any(o.startswith(asked) for o in spec.extra):
        return []
    return [f"--mem={-(-work.memory_bytes // 2**20)}M"]


def _escaped(path: str) -> str:
    """A file name in which Slurm replaces nothing, as one word of a line ``#SBATCH``."""
    return shlex.quote(path.replace("\\", "\\\\").replace("%", "%%"))
