"""Ways to start the agent: in a container, as a process, on a cluster."""

NOT_PLUGINS = (
    "apart",
    "cache",
    "compiled",
    "converted",
    "description",
    "environment",
    "flatten",
    "folders",
    "hardening",
    "image",
    "install",
    "log",
    "origin",
    "protocol",
    "rootfs",
    "sif",
    "supervise",
    "wheel",
)
