"""What a run was made on, in words that are the same for all runs that may be compared."""

from lem.contract.record import Environment, Record


def hardware(record: Record) -> str:
    """What a record's block was made on, in words: ``2 × NVIDIA H100 · AMD EPYC 9354 (64 CPUs)``.

    Arms that use fewer of a block's GPUs than others were made on the same hardware.
    """
    return of_environment(record.environment)


def of_environment(e: Environment) -> str:
    """As :func:`hardware`."""
    used = e.device_set_names or [g.name for g in e.gpus if g.uuid in e.device_set]
    gpus = " + ".join(f"{used.count(n)} × {n}" for n in sorted(set(used)))
    cpu = f"{e.cpu_model} ({e.cpu_count} CPUs)"
    return f"{gpus} · {cpu}" if gpus else cpu
