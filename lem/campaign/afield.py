"""A campaign whose blocks a scheduler places: submitted, followed, rendered."""

import os
from collections.abc import Callable
from pathlib import Path

from lem.campaign import Campaign
from lem.campaign.asked import tasks_of
from lem.campaign.attempt import remove_asides
from lem.campaign.claims import FOLDER
from lem.campaign.overview import Overview
from lem.campaign.plan import plan
from lem.campaign.spread import Answer, Standing, Terms
from lem.campaign.spread import rendered as rendered_of
from lem.campaign.spread import spread as give_away
from lem.clusters import protocol
from lem.clusters.kubernetes import Kubernetes
from lem.clusters.kubernetes_job import check_places
from lem.clusters.protocol import Task
from lem.clusters.slurm import Slurm
from lem.config.clusters import Cluster
from lem.config.kubernetes_spec import NOBODY, KubernetesSpec
from lem.errors import BadInput
from lem.launchers.cache import cache_root
from lem.launchers.compiled import FOLDER as COMPILED
from lem.launchers.protocol import Say


def spread(
    campaign: Campaign,
    say: Say,
    on_standing: Callable[[Standing], None],
    interrupted: Callable[[], Answer],
    retry_failed: bool = False,
    detach: bool = False,
) -> Overview:
    """Have a scheduler run what is missing. Running it again goes on, from wherever the folder is
    seen. Arguments and errors as of :func:`lem.campaign.spread.spread`."""
    cluster = _cluster(campaign)
    remove_asides(campaign.folder)
    if (before := campaign.lock) is not None:
        campaign.check(before)
    lock, staging = campaign.locked(before, say)
    _hand_over(campaign.folder, cluster)
    outcomes = give_away(
        campaign.folder,
        lock,
        staging.prepared,
        _terms(campaign, cluster),
        retry_failed,
        say,
        on_standing,
        interrupted,
        detach,
        lambda lock: campaign.grown(lock, staging, say),
    )
    lock = campaign.lock or lock
    return campaign.overview(lock, False, plan(lock, outcomes, None), outcomes)


def rendered(campaign: Campaign, say: Say) -> tuple[str, Path]:
    """What would be submitted for the blocks that are missing, and the order that it reads, which
    is written. Raises :class:`BadInput` where there is nothing to submit."""
    cluster = _cluster(campaign)
    if (before := campaign.lock) is not None:
        campaign.check(before)
    lock, staging = campaign.locked(before, say)
    _hand_over(campaign.folder, cluster)
    terms = _terms(campaign, cluster)
    found = rendered_of(campaign.folder, lock, staging.prepared, terms, say)
    if found is None:
        raise BadInput("nothing is left to run")
    return found


def tasks(campaign: Campaign) -> list[Task]:
    """Its jobs that run or wait, as :func:`lem.campaign.asked.tasks_of`."""
    if (lock := campaign.lock) is None:
        return []
    return tasks_of(campaign.folder, lock.owner, _scheduler(_named(campaign)))


def _named(campaign: Campaign) -> Cluster:
    if (cluster := campaign.cluster) is None:
        raise BadInput(
            "no scheduler is named", hint="--launcher slurm, or `launcher` in the campaign file"
        )
    return cluster


def _cluster(campaign: Campaign) -> Cluster:
    """The same, where something is to be submitted."""
    cluster = _named(campaign)
    if isinstance(cluster, KubernetesSpec):
        if any(d.launcher is not None for d in campaign.file.drafts):
            raise BadInput(
                "launcher: kubernetes: this campaign compares launchers, and a pod has one",
                hint="take `launcher` out of the file's sweep",
            )
        check_places(cluster, campaign.folder.absolute(), cache_root().absolute())
        return cluster.for_user(os.getuid(), os.getgid())
    return cluster


def _hand_over(folder: Path, cluster: Cluster) -> None:
    """What pods write to has to be there, and where root submits, they are somebody else."""
    if not isinstance(cluster, KubernetesSpec):
        return
    kept = folder / FOLDER
    for part in (folder / "blocks", kept / "claims", kept / "logs", cache_root() / COMPILED):
        part.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(part, cluster.user or NOBODY, cluster.group or NOBODY, follow_symlinks=False)


def _terms(campaign: Campaign, cluster: Cluster) -> Terms:
    at_once = campaign.file.spec.parallel_blocks
    return Terms(
        cluster=_scheduler(cluster),
        blocks_per_job=cluster.blocks_per_job,
        at_once=at_once if isinstance(at_once, int) else None,
        gpus=len(campaign.gpus()),
    )


def _scheduler(cluster: Cluster) -> protocol.Cluster:
    return Kubernetes(cluster) if isinstance(cluster, KubernetesSpec) else Slurm(cluster)
