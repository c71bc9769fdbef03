"""Campaign folders whose blocks were spread over boards and nodes, for tests."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from lem.contract.record import Record
from tests import records

Where = tuple[str, Sequence[str]]
"""Boot, and UUIDs of the boards; none where the block ran on the CPU."""


def campaign(
    folder: Path,
    figures: Mapping[int, Sequence[float]],
    on: Sequence[Where],
    *,
    gain: float | Mapping[str, float] = 0.0,
    allocation: Mapping[str, Any] | None = None,
    together: bool = False,
    uses: Mapping[int, int] | None = None,
    **common: Any,
) -> None:
    """``figures``: batch size → joules per token (CPU time without boards) of each block; ``on``:
    where each block ran. ``gain``: standard uncertainty that readings state, of all or by UUID.
    ``together``: all blocks start at the same time; else one after another. ``uses``: batch size →
    on how many of its block's boards that arm runs, each with as much energy."""
    arms = [
        {
            "arm_id": records.arm_name(i),
            "label": f"engine.max_batch_size={batch}",
            "settings": {"engine.max_batch_size": batch},
            "experiment": records.experiment(batch),
        }
        for i, batch in enumerate(figures)
    ]
    records.lock(arms, blocks=len(on)).write(folder / "campaign.lock.json")
    clock = records.START
    for block, (boot, boards) in enumerate(on):
        clock = records.START if together else clock
        for i, (batch, values) in enumerate(figures.items()):
            figure: dict[str, Any] = {"cpu_time_s": values[block]}
            if boards:
                used = boards[: (uses or {}).get(batch, len(boards))]
                gpus = [{**records.gpu(n), "uuid": uuid, "index": n} for n, uuid in enumerate(used)]
                figure = {
                    "energy": {"gpu": values[block]},
                    "gpus": gpus,
                    "device_set": list(boards),
                }
            made = records.record(
                arm_id=records.arm_name(i),
                block=block,
                started=clock,
                boot_id=boot,
                raw_experiment=records.experiment(batch),
                **figure,
                **common,
            )
            clock += timedelta(seconds=records.RUN_S + records.GAP_S)
            of_board = gain if isinstance(gain, float) else gain[boards[0]]
            records.place(folder, _stated(made, of_board, allocation, uses is not None))


def _stated(
    record: Record, gain: float, allocation: Mapping[str, Any] | None, split: bool
) -> Record:
    raw = record.model_dump(mode="json")
    here = raw["environment"]
    here["allocation"] = allocation
    if split:
        here["device_set_names"] = [here["gpus"][0]["name"]] * len(here["device_set"])
    for window in raw["windows"]:
        if split:
            boards = len(raw["environment"]["gpus"])
            window["energy"] = [
                {**r, "device": f"gpu{i}", "energy_j": r["energy_j"] / boards}
                for r in window["energy"]
                for i in range(boards)
            ]
        for reading in window["energy"]:
            reading["budget_j"] = {"gain": gain * reading["energy_j"]} if gain else {}
    return Record.model_validate(raw)
