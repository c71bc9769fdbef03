"""Ways to start the agent: in a container, as a process, on a cluster."""

NOT_PLUGINS = (
    "compiled",
    "description",
    "environment",
    "folders",
    "hardening",
    "image",
    "install",
    "log",
    "origin",
    "protocol",
    "supervise",
    "wheel",
)
