"""Whether experiment, machine, times and campaign go together."""

from datetime import datetime, timedelta

from lem.backends import settings
from lem.config.identity import PROVISIONAL, experiment_id
from lem.trust import boards
from lem.trust.case import Case, Check, Found

CLOCK_OFF = timedelta(minutes=15)
"""Two machines' clocks."""
SLACK_S = 2.0
IN_CONTAINER = ("docker", "kubernetes", "apptainer", "slurm")


def identity(case: Case) -> Found:
    record = case.record
    if experiment_id(record.experiment) != record.experiment_id:
        yield "experiment_id_differs", "another hash"
    if record.experiment.model.content == PROVISIONAL:
        yield "model_unresolved", record.experiment.model.id[:80]


def of_lock(case: Case) -> Found:
    """Experiment and measurement are those of the lock's arm."""
    if case.lock is None:
        return
    record = case.record
    arm = next((a for a in case.lock.arms if a.arm_id == record.arm_id), None)
    if arm is None:
        yield "not_of_its_lock", "no such arm"
    elif arm.experiment_id != record.experiment_id or arm.experiment != record.experiment:
        yield "not_of_its_lock", "another experiment"
    else:
        told, locked = record.measurement, case.lock.measure
        # Where the questions lie is not public.
        private = {"accuracy"}
        if told.model_dump(exclude=private) != locked.model_dump(exclude=private):
            yield "not_of_its_lock", "another measurement"


def engine(case: Case) -> Found:
    experiment, environment = case.record.experiment, case.record.environment
    if environment.engine != experiment.backend:
        detail = f"{environment.engine}, not {experiment.backend}"
        yield "engine_version_differs", detail
    elif environment.engine_version != experiment.engine_version:
        detail = f"{environment.engine_version}, not {experiment.engine_version}"
        yield "engine_version_differs", detail


def devices(case: Case) -> Found:
    """The run's boards are among the block's, and each is metered where any is."""
    record, environment = case.record, case.record.environment
    gpus = {g.uuid for g in environment.gpus}
    if len(gpus) < len(environment.gpus):
        yield "devices_differ", "a board is named twice"
    if gpus and not gpus <= set(environment.device_set):
        yield "devices_differ", "a board that is not of the block's device set"
    # Backends that know better are not asked: their names are the submitter's.
    experiment = record.experiment
    needed = settings.model_parallel_size(experiment.engine, experiment.args)
    if gpus and len(gpus) < needed:
        yield "devices_differ", f"{len(gpus)} boards named; the engine was spread over {needed}"
    metered = {m.device for m in record.meters if m.meter == "nvml" and m.device_class == "gpu"}
    named = {f"gpu{g.index}" for g in environment.gpus}
    if metered and metered != named:
        yield "devices_differ", f"{len(metered)} boards metered, {len(named)} used"


def divided(case: Case) -> Found:
    """A board that is divided says so, and into what: else it would stand among others."""
    for gpu in case.record.environment.gpus:
        device = f"gpu{gpu.index}"
        modes = {s.value for s in case.samples if s.device == device and s.quantity == "mig"}
        if modes and modes != {float(gpu.mig)}:
            yield "board_differs", f"{device}: divided (MIG) or not, trace and record differ"
        elif gpu.mig and not gpu.partitions:
            yield "board_differs", f"{device}: it is divided (MIG), and into what is not told"


def board(case: Case) -> Found:
    """Name, memory and generation of each board, from three places."""
    record = case.record
    for gpu in record.environment.gpus:
        device = f"gpu{gpu.index}"
        known = boards.known().find(gpu.name)
        told = next(
            (m.description for m in record.meters if m.meter == "nvml" and m.device == device), ""
        )
        name, colon, _ = told.partition(": ")
        if colon and name != gpu.name:
            yield "board_differs", f"{device}: the meter read {name[:60]}"
        if known is None:
            yield "board_unknown", gpu.name[:80]
            continue
        low, high = known.memory_gib
        memory_gib = gpu.memory_bytes / 2**30
        if not low <= memory_gib <= high:
            yield "board_differs", f"{device}: {memory_gib:.1f} GiB of {low:g} to {high:g}"
        seen = {
            int(s.value)
            for s in case.samples
            if s.device == device and s.quantity == "architecture"
        }
        if known.architecture is not None and seen - {known.architecture}:
            yield "board_differs", f"{device}: generation {min(seen)}, not {known.architecture}"


def image(case: Case) -> Found:
    environment = case.record.environment
    if environment.launcher in IN_CONTAINER and environment.image_digest is None:
        yield "image_unknown", f"launched by {environment.launcher[:40]}"


def times(case: Case) -> Found:
    record = case.record
    started = datetime.fromisoformat(record.started_at)
    ended = datetime.fromisoformat(record.ended_at)
    took_s = (ended - started).total_seconds()
    if case.samples:
        traced_s = (case.samples[-1].t_ns - case.samples[0].t_ns) / 1e9
        if traced_s + record.load_s > took_s + SLACK_S:
            detail = f"{took_s:.1f} s; {record.load_s:.1f} s of loading, {traced_s:.1f} s of trace"
            yield "times_contradict", detail
    if ended > case.now + CLOCK_OFF:
        yield "in_the_future", f"ended at {record.ended_at[:40]}"


CHECKS: tuple[Check, ...] = (identity, of_lock, engine, devices, divided, board, image, times)
