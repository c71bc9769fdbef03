"""Makes the arms of a lock from experiments and what staging found for them."""

from lem.campaign.stage import Ready
from lem.config import Draft, arm_id, experiment_id, experiment_of
from lem.contract.lock import Arm


def make_arm(
    draft: Draft,
    ready: Ready,
    launcher: str,
    generation: int | None = None,
    gpu_count: int | None = None,
) -> Arm:
    """``generation``: in whose blocks alone it runs; None: in every block. ``gpu_count``: how many
    of the lock's GPUs; None: all."""
    engine_version = ready.prepared.described.engine_version
    experiment = experiment_of(draft, ready.model, engine_version, ready.requests.sha256)
    identity = experiment_id(experiment)
    return Arm(
        arm_id=arm_id(identity, draft.launcher),
        experiment_id=identity,
        label=draft.label,
        settings=dict(draft.settings),
        experiment=experiment,
        model=ready.locked,
        launcher=launcher,
        agreement_list=ready.agreement_list,
        questions_list=ready.questions_list,
        generation=generation,
        gpu_count=gpu_count,
    )
