"""The Docker engine, as little of it as lem needs. The only package that imports ``docker``.

Images are built through the engine's own build API: it is there wherever the engine is, whichever
version of the ``docker`` command (or none) is installed beside it.
"""

from lem.containers.engine import Container, Engine, connect
from lem.containers.spec import ContainerSpec, Ended, EngineFacts, Image, Mount

__all__ = [
    "Container",
    "ContainerSpec",
    "Ended",
    "Engine",
    "EngineFacts",
    "Image",
    "Mount",
    "connect",
]
