"""What differs around arms that are the same experiment, started in different ways.

Where a campaign sweeps the launcher, a ratio is the launcher's only as far as nothing else differs:
engine, libraries, interpreter, what the engine made of its arguments, how it was measured. What
does differ is said beside the ratio.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lem import plugins, verified
from lem.analysis.comparison import ArmInfo
from lem.analysis.naming import flat
from lem.contract.record import Record

SAID = ("lem_version", "os", "kernel", "python", "cpu_model", "cpu_count", "cpu_governor", "gpus")
"""Fields of a record's environment that must not differ; ``launcher``, ``container`` and the image
are what is swept, and boot and devices are a block's affair."""
TOGETHER = ("engine_version", "engine_resolved", "libraries")
CONFINEMENT = "confinement"
MAX_SAID = 12
CACHE_MATTERS = 0.05
"""A smaller difference between shares of prompts found in prefix caches is not worth a word."""
COUNTERS = ("engine_resolved.prefix_cache_",)
"""What is counted while running differs by chance."""


def of_one_experiment(arms: Sequence[ArmInfo]) -> list[list[ArmInfo]]:
    """The arms that share an experiment with another arm, grouped by it."""
    grouped: dict[str, list[ArmInfo]] = defaultdict(list)
    for arm in arms:
        grouped[arm.experiment_id].append(arm)
    return [group for group in grouped.values() if len(group) > 1]


def differences(
    arms: Sequence[ArmInfo], records: Iterable[Record], names: Mapping[str, str]
) -> list[str]:
    """Notes in words, one for each group of arms of one experiment in which something differs.

    ``records``: those that count. ``names``: arm id → how the arm is called.
    """
    groups = of_one_experiment(arms)
    wanted = {a.arm_id for group in groups for a in group}
    seen: dict[str, dict[str, set[str]]] = {}
    for record in records:
        if record.arm_id in wanted:
            values = seen.setdefault(record.arm_id, defaultdict(set))
            for what, value in around(record).items():
                values[what].add(value)
    notes = []
    for group in groups:
        present = [a for a in group if a.arm_id in seen]
        if len(present) < 2:
            continue
        apart = [
            (
                what,
                ", ".join(f"{_listed(seen[a.arm_id], what)} ({names[a.arm_id]})" for a in present),
            )
            for what in sorted({w for a in present for w in seen[a.arm_id]})
            if len({_listed(seen[a.arm_id], what) for a in present}) > 1
        ]
        stray = [f"{w}: {said}" for w, said in apart if not w.startswith(CONFINEMENT)]
        confined = [f"{w}: {said}" for w, said in apart if w.startswith(CONFINEMENT)]
        if stray:
            notes.append(
                "the arms of one experiment differ in more than how they are started, which their"
                f" ratio then holds too: {_shortened(stray)}"
            )
        if confined:
            notes.append(f"part of what is compared: {_shortened(confined)}")
    return notes


def kinds_of_weights(records: Iterable[Record]) -> list[str]:
    """A note where the engines hold their weights in different types, such as ``Q4_1`` and
    ``bfloat16``: part of the arms' ratios, though no setting may say so. Engines report it."""
    engines: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if dtype := record.environment.engine_resolved.get("dtype"):
            engines[str(dtype)].add(record.experiment.backend)
    if len(engines) < 2:
        return []
    kinds = ", ".join(f"{kind} ({', '.join(sorted(engines[kind]))})" for kind in sorted(engines))
    return [f"The arms also differ in the type of their weights: {kinds}."]


def found_in_caches(records: Iterable[Record], names: Mapping[str, str]) -> list[str]:
    """A note where the arms' engines found unlike parts of the windows' prompts in their prefix
    caches, which is work that they did not do. An engine that tells no such number counts as one
    that finds nothing. ``records``: one of each arm; ``names``: arm id → how the arm is called."""
    rates: dict[str, float | None] = {}
    for record in records:
        told = record.environment.engine_resolved.get("prefix_cache_hit_rate")
        rates[record.arm_id] = float(told) if isinstance(told, int | float) else None
    known = [rate or 0.0 for rate in rates.values()]
    if not known or max(known) - min(known) < CACHE_MATTERS:
        return []
    said = ", ".join(
        f"{names[arm]} {'nothing told' if rate is None else f'{100 * rate:.0f} %'}"
        for arm, rate in sorted(rates.items(), key=lambda r: names[r[0]])
    )
    return [
        "Unlike parts of the prompts were found in a prefix cache and not computed again, which is "
        f"part of the ratios (one run of each): {said}."
    ]


def around(record: Record) -> dict[str, str]:
    """What → value, of everything that should be the same around two arms of one experiment."""
    environment = record.environment.model_dump(mode="json")
    found: dict[str, object] = {name: environment[name] for name in SAID if name != "gpus"}
    found["gpus"] = [(g["name"], g["driver"]) for g in environment["gpus"]]
    for name in TOGETHER:
        value = environment[name]
        found |= flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    found |= flat(environment.get(CONFINEMENT, {}), f"{CONFINEMENT}.")
    for meter in record.meters:
        found[f"meter {meter.meter} {meter.device}"] = meter.description
    return {what: str(value) for what, value in found.items() if not what.startswith(COUNTERS)}


def _listed(values: Mapping[str, set[str]], what: str) -> str:
    return " or ".join(sorted(values.get(what, {"missing"})))


def _shortened(said: Sequence[str]) -> str:
    more = f"; {len(said) - MAX_SAID} more" if len(said) > MAX_SAID else ""
    return "; ".join(said[:MAX_SAID]) + more


def unproven(records: Iterable[Record]) -> list[str]:
    """Notes on versions of lem's own engines with which its conformance suite has not passed on
    hardware of the kind that these records are from."""
    notes = set()
    for record in records:
        e, backend = record.environment, record.experiment.backend
        kind: verified.DeviceClass = "gpu" if e.gpus else "cpu"
        said = verified.standing(backend, kind, e.engine_version)
        if backend in plugins.own("backends") and not said.startswith(verified.RAN):
            notes.add(
                f"conformance suite, {backend} {e.engine_version} on a {kind.upper()}: {said}"
            )
    return sorted(notes)
