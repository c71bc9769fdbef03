"""Who asks: the client's address and scheme, told by a proxy only where the operator trusts it; and
whether a request names this server at all."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lem.server.problems import HttpProblem
from lem.server.settings import ServerSettings

Headers = Iterable[tuple[bytes, bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NEAR: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""This machine and private networks."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Client:
    address: str
    secure: bool
    """Whether it came by TLS, as far as this server knows."""

    @property
    def near(self) -> bool:
        """On this machine or a private network."""
        return _is_in(self.address, NEAR)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def networks(trusted: Iterable[str]) -> tuple[Network, ...]:
    """Raises ValueError for what is neither address nor network."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in trusted)


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def client_of(scope: Mapping[str, object], trusted: tuple[Network, ...]) -> Client:
    """The nearest address that is no trusted proxy's, from the right: what stands left of it, the
    client itself may have written."""
    peer = scope.get("client")
    address = str(peer[0]) if isinstance(peer, tuple | list) and peer else "unknown"
    headers = scope["headers"]
    assert isinstance(headers, list | tuple)
    secure = scope.get("scheme") == "https"
    if not _is_in(address, trusted):
        return Client(address, secure)
    hops = [
        hop.strip() for value in _values(headers, b"x-forwarded-for") for hop in value.split(",")
    ]
    for hop in reversed(hops):
        bare = hop.strip("[]")
        if not _is_address(bare):
            break
        address = bare
        if not _is_in(bare, trusted):
            break
    protocols = _values(headers, b"x-forwarded-proto")
    return Client(address, protocols == ["https"] if protocols else secure)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, trusted: tuple[Network, ...]) -> bool:
    if not trusted or not _is_address(address):
        return False
    ip = ipaddress.ip_address(address)
    return any(ip.version == net.version and ip in net for net in trusted)


def check_host(headers: Headers, settings: ServerSettings) -> None:
    """A page from elsewhere whose name was made to lead here (DNS rebinding) names its own host.
    Where this server knows how it may be called, another name is refused."""
    allowed = allowed_hosts(settings)
    if allowed is None:
        return
    named = _values(headers, b"host")
    host = _bare_host(named[0]) if len(named) == 1 else ""
    if host not in allowed:
        raise HttpProblem(
            421,
            "unknown_host",
            "this server doesn't go by the host that the request names",
            hint="its operator sets the address that it goes by: lem serve --url https://…",
        )


def allowed_hosts(settings: ServerSettings) -> frozenset[str] | None:
    """None where any name will do: the server listens for others and was not told its name."""
    if settings.public_url is not None:
        own = urlsplit(settings.public_url).hostname or ""
        return LOOPBACK_NAMES | {own.lower()}
    return LOOPBACK_NAMES if is_loopback(settings.host) else None


def _bare_host(value: str) -> str:
    try:
        return (urlsplit(f"//{value}").hostname or "").lower()
    except ValueError:
        return ""
