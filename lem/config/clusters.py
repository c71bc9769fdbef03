"""``launcher: {kind: slurm, …}``: where a campaign's blocks run when a scheduler places them.

What stands here goes into a job script: each value has the form that its option has, so that none
can be read as another line or as a command. ``setup`` alone is the user's own shell.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from lem.config.kubernetes_spec import KubernetesSpec
from lem.contract.base import Part, Positive, wrong

INNER = "auto"
"""The launcher on the node where nothing else is said: ``apptainer``, ``charliecloud`` or
``process``, the first of them that works."""

_WORD = re.compile(r"[A-Za-z0-9_.,:=@%+&|*!()\[\]/-]+")
_TIME = re.compile(r"[0-9]+(?::[0-9]{1,2}){0,2}|[0-9]+-[0-9]{1,2}(?::[0-9]{1,2}){0,2}")
_GPUS = re.compile(r"gpu(?::[A-Za-z0-9_.-]+)?:([1-9][0-9]{0,2})|gpu(?::[A-Za-z0-9_.-]+)?")
_OWN = {
    "array": "parallel_blocks and blocks_per_job",
    "output": "lem, which follows it",
    "error": "lem, which follows it",
    "signal": "lem: it ends a run in order before its time is over",
    "export": "lem: the environment of a measurement is clean",
    "open-mode": "lem",
    "export-file": "lem: the environment of a measurement is clean",
    "get-user-env": "lem: the environment of a measurement is clean",
    "clusters": "SLURM_CONF: lem follows jobs of one cluster",
    "parsable": "lem",
    "wrap": "lem: it submits its own script",
    "wait": "lem",
    "test-only": "lem",
    "chdir": "lem",
    "job-name": "lem, which finds its jobs by it",
    "requeue": "lem: what a node lost runs again",
    "no-requeue": "lem: what a node lost runs again",
    "partition": "launcher.partition",
    "account": "launcher.account",
    "qos": "launcher.qos",
    "constraint": "launcher.constraint",
    "gres": "launcher.gres",
    "time": "launcher.time",
    "exclusive": "launcher.exclusive",
}
"""Options of sbatch that lem sets itself → by what."""


def _word(value: str) -> str:
    if not _WORD.fullmatch(value) or value.startswith("-") or len(value) > 300:
        raise wrong("must be a plain word as Slurm takes it, without blanks")
    return value


def _time(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise wrong("must be a time as Slurm writes it: minutes, H:MM:SS or D-HH:MM:SS, in quotes")
    return value


def _gres(value: str) -> str:
    if not any(_GPUS.fullmatch(part) for part in value.split(",")):
        raise wrong("names GPUs as gpu:2 or gpu:TYPE:2; what else is asked for goes into extra")
    return _word(value)


def _option(value: str) -> str:
    name, _, rest = value.removeprefix("--").partition("=")
    if not value.startswith("--") or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise wrong("must be an option of sbatch in its long form: --reservation=NAME")
    if name in _OWN:
        raise wrong(f"--{name} is set by {_OWN[name]}")
    # sbatch takes the beginning of an option for the whole.
    if whole := next((own for own in _OWN if own.startswith(name)), None):
        raise wrong(f"must be written out; --{whole} is set by {_OWN[whole]}")
    if rest and (not re.fullmatch(r"[\x21-\x7e]+", rest) or len(rest) > 300):
        raise wrong("must have no blanks after its name")
    return value


def _line(value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise wrong("must be one line; give a list of lines")
    return value


def _from_1(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong("must be a whole number from 1")
    return value


Word = Annotated[str, Field(min_length=1), AfterValidator(_word)]
Count = Annotated[Positive, BeforeValidator(_from_1)]


class SlurmSpec(Part):
    """How jobs are asked of Slurm. The names are sbatch's own."""

    kind: Literal["slurm"]
    container: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = INNER
    """The launcher that starts the agent on the node."""
    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    gres: Annotated[str, AfterValidator(_gres)] | None = None
    """GPUs of a block: ``gpu:2``."""
    time: Annotated[str, BeforeValidator(_time)] | None = None
    """Limit of one job; not given: the partition's own."""
    exclusive: bool = False
    """Whether a block has its node to itself, so that node and CPU energy are its own."""
    blocks_per_job: Count = 1
    setup: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_line)]],
        Field(max_length=50),
    ] = []
    """Lines of shell before the agent is started: ``module load apptainer``."""
    python: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_line)] | None = (
        None
    )
    """The interpreter that has lem on the nodes; not given: the one that submits."""
    extra: Annotated[list[Annotated[str, AfterValidator(_option)]], Field(max_length=50)] = []
    """Further options of sbatch."""

    @property
    def gpus(self) -> int:
        """How many GPUs a block is given."""
        if self.gres is None:
            return 0
        found = next(m for part in self.gres.split(",") if (m := _GPUS.fullmatch(part)))
        return int(found[1] or 1)


Cluster = SlurmSpec | KubernetesSpec
"""What stands under ``launcher`` where a scheduler places the blocks."""
KINDS = ("slurm", "kubernetes")


def _launcher(value: Any) -> Any:
    if isinstance(value, dict):
        if "kind" not in value:
            raise wrong("needs a kind, such as {kind: docker}")
        kind = value["kind"]
        if kind in KINDS:
            return value
        if extra := [k for k in value if k != "kind"]:
            raise wrong(f"takes no '{extra[0]}' where the kind is {kind}")
        value = kind
    if not isinstance(value, str):
        raise wrong("must be a launcher's name, such as docker or process")
    return {"kind": value} if value in KINDS else value


def _launcher_kind(value: Any) -> str:
    if isinstance(value, str):
        return "name"
    return str(value["kind"] if isinstance(value, dict) else value.kind)


Launcher = Annotated[
    Annotated[str, Tag("name")]
    | Annotated[SlurmSpec, Tag("slurm")]
    | Annotated[KubernetesSpec, Tag("kubernetes")],
    Discriminator(_launcher_kind),
    BeforeValidator(_launcher),
]
"""A launcher's name, or a scheduler with what it is asked."""
