"""What to install where an interpreter lacks an engine."""

from lem import plugins


def on_cpu(backend: str) -> bool:
    """Whether packages of the engine for machines without a GPU are known."""
    return _cpu_packages(backend) is not None


def hint(backend: str, gpu: bool, python: str | None = None) -> str:
    """The command, or another interpreter. ``gpu``: whether it is for a GPU: the usual packages of
    several engines are built for CUDA, gigabytes that run on nothing else."""
    named = f"backends.{backend}.python in the campaign file"
    packages = f'"lem-energy[{backend}]"'
    if backend not in plugins.own("backends"):
        packages = f"lem-energy {plugins.load('backends', backend)().distribution}".rstrip()
    elif not gpu:
        found = _cpu_packages(backend)
        if found is None:
            return (
                f"its packages are for NVIDIA GPUs, and none is used here: leave {backend} out of "
                f"`backends`, or name an interpreter that has it: {named}"
            )
        packages = f"{found} (docs/backends.md says more)" if found else packages
    pip = "pip install" if python is None else f"{python} -m pip install"
    return f"{pip} {packages}, or name another interpreter: {named}"


def _cpu_packages(backend: str) -> str | None:
    """The backend's ``cpu_packages``; empty where it needs none of its own."""
    found: str | None = getattr(plugins.load("backends", backend)(), "cpu_packages", "")
    return found
