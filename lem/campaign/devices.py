"""Which GPUs a campaign's blocks run on, and which of them each experiment uses.

A block runs on one device set: as many GPUs as the experiment that needs most. One that needs fewer
runs on the first of them, the same in every block.
"""

from collections.abc import Sequence

from lem import plugins
from lem.backends import settings
from lem.config import CampaignFile
from lem.contract.record import Gpu
from lem.contract.spec import Settings
from lem.errors import BadInput, EnvironmentFault


def gpus_needed(backend: str, engine: Settings, args: Settings) -> int | None:
    """How many GPUs an experiment's engine uses, where it uses any; None: all that it is given.

    A backend that knows better has ``gpus_needed(engine, args)``.
    """
    own = getattr(plugins.load("backends", backend)(), "gpus_needed", None)
    if own is not None:
        needed: int | None = own(engine, args)
        return needed
    copies = settings.size(args, "data_parallel_size", "dp_size")
    return copies * settings.model_parallel_size(engine, args)


def needs(file: CampaignFile) -> list[int | None]:
    """:func:`gpus_needed` of each draft, in their order."""
    return [gpus_needed(d.backend, d.engine, d.args) for d in file.drafts]


def device_set(file: CampaignFile, here: Sequence[Gpu]) -> list[int]:
    """The GPUs of a block, as indices: the first of those that the campaign names (in its order),
    or of those that are ``here``; empty where everything runs on the CPU. Raises
    :class:`EnvironmentFault` or :class:`BadInput` where there are too few."""
    wanted = file.spec.gpus
    if not wanted:
        return []
    needed = needs(file)
    largest = max((n for n in needed if n is not None), default=1)
    if wanted == "auto":
        if here and largest > len(here):
            raise EnvironmentFault(
                f"an experiment needs {largest} GPUs; this machine has {len(here)}"
            )
        return [g.index for g in here[:largest]]
    missing = sorted(set(wanted) - {g.index for g in here})
    if missing:
        raise EnvironmentFault(
            f"gpus: this machine has no GPU {', '.join(map(str, missing))}",
            hint="nvidia-smi lists the GPUs; use `gpus: auto`",
        )
    if largest > len(wanted):
        raise BadInput(f"an experiment needs {largest} GPUs; `gpus` names {len(wanted)}")
    return list(wanted) if None in needed else list(wanted[:largest])


def asked_for(file: CampaignFile, given: int) -> list[int]:
    """The same where a scheduler gives each block so many, whichever: counted from 0. Raises
    :class:`BadInput` where they are too few."""
    if file.spec.gpus == [] or not given:
        given = 0
    elif isinstance(file.spec.gpus, list):
        raise BadInput(
            "gpus: which ones a block gets is the scheduler's to say",
            hint="leave `gpus` out; `launcher` says how many",
        )
    needed = needs(file)
    largest = max((n for n in needed if n is not None), default=1)
    if given and largest > given:
        raise BadInput(f"an experiment needs {largest} GPUs; `launcher` asks for {given}")
    return list(range(given if None in needed else min(largest, given)))


def counts(file: CampaignFile, gpus: Sequence[int]) -> list[int]:
    """How many of a block's ``gpus`` each draft uses, in their order."""
    return [min(len(gpus) if n is None else n, len(gpus)) for n in needs(file)]
