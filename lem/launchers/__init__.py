"""Ways to start the agent: in a container, as a process, on a cluster."""

NOT_PLUGINS = (
    "apart",
    "cache",
    "compiled",
    "converted",
    "description",
    "driver",
    "environment",
    "flatten",
    "folders",
    "hardening",
    "image",
    "install",
    "log",
    "origin",
    "protocol",
    "registry",
    "rootfs",
    "sif",
    "supervise",
    "wheel",
)
