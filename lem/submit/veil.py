"""What stands in for names that must not leave a machine: keyed hashes and ordinals."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lem.contract.record import MeterInfo
from lem.errors import BadInput

SALT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CPU = "cpu"

GIVEN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)
"""Names that owners gave to their external meters: no dots (hosts), no colons (addresses)."""
SENSOR_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_TELLING = re.compile(
    r"(?:[0-9a-f]{2}[:_-]){5}[0-9a-f]{2}|[0-9a-f]{8}-[0-9a-f]{4}|\d+[._-]\d+[._-]\d+[._-]\d+",
    re.ASCII | re.IGNORECASE,
)
"""Addresses of network cards, universally unique ids, addresses of the internet."""


@dataclass(frozen=True)
class Veil:
    """Which archive something is for, and whose campaign it is."""

    salt: str
    owner: str
    devices: Mapping[str, str] = field(default_factory=dict)
    """Device → what to call it instead, where its own name may tell too much."""

    def board(self, uuid: str) -> str:
        """``cpu`` as it is; a GPU by :func:`board`."""
        return _CPU if uuid == _CPU else board(uuid, self.salt)

    def boot(self, boot_id: str) -> str:
        """The same for one boot within a campaign; nothing can be told across campaigns."""
        made = hmac.new(self.owner.encode(), boot_id.encode(), hashlib.sha256).hexdigest()
        return f"boot-{made[:32]}"

    def device(self, name: str) -> str:
        return self.devices.get(name, name)


def board(uuid: str, salt: str) -> str:
    """``board-`` and 32 hexadecimal digits of HMAC-SHA-256 (key: the archive's salt) of a GPU's
    UUID: boards can be told apart within an archive, and not found by their UUID elsewhere."""
    if SALT.fullmatch(salt) is None:
        raise BadInput("the archive's salt is not 32 hexadecimal digits")
    made = hmac.new(bytes.fromhex(salt), uuid.encode(), hashlib.sha256).hexdigest()
    return f"board-{made[:32]}"


def campaign_of(owner: str, salt: str) -> str:
    """``Content.campaign``: SHA-256 of the lock's random owner with the archive's salt."""
    return hashlib.sha256(f"{salt}/{owner}".encode()).hexdigest()


def device_names(meters: Iterable[MeterInfo]) -> dict[str, str]:
    """Device → ``<meter>-<n>``, for those whose own name may tell whose machine it is."""
    found: dict[str, str] = {}
    for info in meters:
        if not is_plain(info.meter, info.device) and info.device not in found:
            found[info.device] = f"{info.meter}-{len(found)}"
    return found


def is_plain(meter: str, device: str) -> bool:
    """Whether a device's own name tells nothing of whose machine it is."""
    allowed = GIVEN_NAME if meter == "external" else SENSOR_NAME
    return allowed.fullmatch(device) is not None and _TELLING.search(device) is None
