"""An engine's own server, started on the loopback of the agent's machine or container and driven
by the one client that all backends share (:mod:`lem.workloads.client`).

A backend says how its server is started (:class:`ServerCommand`) and how its requests look
(:class:`lem.workloads.client.Wire`); the rest is the same for all.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServerCommand:
    """How to start a server. No secret belongs in ``argv``: others on the machine can read it."""

    argv: list[str]
    port: int
    """On 127.0.0.1 (:func:`free_port`)."""
    environment: dict[str, str] = field(default_factory=dict)
    """On top of the agent's own."""
    ready: str = "/health"
    """Answers 200 once the model is loaded."""
