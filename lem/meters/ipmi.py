"""The node's power as its management controller tells it (IPMI, DCMI "Get Power Reading").

Read with ``ipmitool``, once a second and beside the sampler: an answer takes tens of milliseconds
and costs the machine some work, so this meter is read only where it is asked for by name.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from lem.errors import MeterUnavailable
from lem.meters.energy import series, slow
from lem.meters.protocol import Device, MeterSettings, Pace, Sample
from lem.meters.sampling import background

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

COMMAND = ("ipmitool", "dcmi", "power", "reading")
PERIOD_S = 1.0
TIMEOUT_S = 5.0

GAIN = 0.05
"""Standard uncertainty: a judgement. The DCMI specification asks for no accuracy, and controllers
round, filter and differ."""

MOST_W = 65_535
"""DCMI tells power in 16 bits of watts."""

_POWER = re.compile(r"^\s*Instantaneous power reading:\s+(\d{1,6}) Watts\s*$", re.MULTILINE)
_STATE = re.compile(r"^\s*Power reading state is:\s+(\w+)\s*$", re.MULTILINE)


class Ipmi:
    name = "ipmi"
    on_request = True

    def __init__(self) -> None:
        self._poller: background.Poller | None = None

    def open(self, settings: MeterSettings) -> list[Device]:
        """Raises :class:`MeterUnavailable` with what the tool said, and the fix."""
        command = _working(settings.ipmi)
        self._poller = background.Poller(
            lambda: parse(background.run(command, TIMEOUT_S).output), PERIOD_S
        )
        return [
            Device(
                self.name,
                "node",
                "node",
                "power_w",
                "W",
                "power of the node, by its management controller (DCMI)",
                PERIOD_S,
                relative_uncertainty=2 * GAIN,
            )
        ]

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge" or self._poller is None:
            return []
        samples: list[Sample] = []
        for before_ns, after_ns, watts in self._poller.take():
            if watts is None:
                samples.append(Sample(after_ns, self.name, "node", "read_error", 1))
            else:
                samples += series.timed(self.name, "node", "power_w", watts, before_ns, after_ns)
        return samples

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        return slow.from_power(info, samples, 1.0, start_ns, end_ns, gain=GAIN, lossy=True)

    def close(self) -> None:
        if self._poller is not None:
            self._poller.stop()
            self._poller = None


def parse(text: str) -> float | None:
    """Watts from what ``ipmitool dcmi power reading`` prints. None where it is not exactly one
    reading of an active sensor; 0 W is what controllers without one say."""
    found, states = _POWER.findall(text), _STATE.findall(text)
    if len(found) != 1 or states != ["activated"]:
        return None
    watts = int(found[0])
    return float(watts) if 0 < watts <= MOST_W else None


def _working(configured: tuple[str, ...] | None) -> tuple[str, ...]:
    """The command that gives a reading here."""
    if configured is None and shutil.which(COMMAND[0]) is None:
        raise MeterUnavailable("ipmitool is not installed", "sudo apt-get install ipmitool")
    said = ""
    for command in [configured] if configured else [COMMAND, ("sudo", "-n", *COMMAND)]:
        ran = background.run(command, TIMEOUT_S)
        if ran.code == 0 and parse(ran.output) is not None:
            return command
        if ran.code == 0:
            said = "the controller gives no power reading (DCMI)"
            break
        said = said or (ran.error.strip().splitlines() or ["it said nothing"])[0][:200]
    if "No such file" in said and "ipmi" in said:
        raise MeterUnavailable(f"ipmitool: {said}", "sudo modprobe -a ipmi_si ipmi_devintf")
    raise MeterUnavailable(
        f"ipmitool: {said}",
        "allow this one command and no more: echo '%energy ALL=(root) NOPASSWD: "
        "/usr/bin/ipmitool dcmi power reading' | sudo tee /etc/sudoers.d/energy "
        "(access to /dev/ipmi0 itself would also switch the machine off)",
    )


plugin = Ipmi
