"""How often one client may ask: counted in this process, by address and by key."""

import dataclasses
import ipaddress
import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from lem.server.problems import HttpProblem
from lem.server.settings import Rates


class RateLimits:
    """Raises a 429 with ``Retry-After`` where a client asks more often than it may."""

    def __init__(self, rates: Rates) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._items: dict[str, RateLimitItem] = {
            field.name: parse(getattr(rates, field.name)) for field in dataclasses.fields(rates)
        }

    def check(self, what: str, who: str) -> None:
        """``what`` is a field of :class:`Rates`; ``who`` an address or a key."""
        if not self._limiter.hit(self._items[what], what, who):
            raise self._too_many(what, who)

    def look(self, what: str, who: str) -> None:
        """As :meth:`check`, without counting: for what is counted only where it fails."""
        if not self._limiter.test(self._items[what], what, who):
            raise self._too_many(what, who)

    def _too_many(self, what: str, who: str) -> HttpProblem:
        item = self._items[what]
        stats = self._limiter.get_window_stats(item, what, who)
        wait_s = max(1, math.ceil(stats.reset_time - time.time()))
        return HttpProblem(
            429,
            "too_many_requests",
            f"more than {item} from one {'key' if what == 'key' else 'address'}",
            headers={"Retry-After": str(wait_s)},
        )


def client_group(address: str) -> str:
    """An IPv4 address as it is; of an IPv6 address its /64, since one client has all of it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if ip.version == 6:
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
