"""Which launcher the quickstart should use here: one word on stdout, the reason on stderr.

``docker`` where an engine answers, can give containers the GPU (where there is one), and has or
can get the base images; otherwise ``process``, with the reason and its fix in one line.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import docker
from docker.errors import DockerException

IMAGES = Path(__file__).resolve().parent.parent / "images"
BACKENDS = ("transformers", "llama_cpp")


def main() -> int:
    obstacle = docker_obstacle()
    if obstacle is None:
        print("docker")
        return 0
    print(f"quickstart: without containers, in local processes: {obstacle}", file=sys.stderr)
    print("process")
    return 0


def docker_obstacle() -> str | None:
    """Why containers cannot be used here, with the fix; None where they can."""
    try:
        client = docker.from_env(timeout=30)
        info = client.info()
    except DockerException as e:
        if "permission denied" in str(e).lower():
            return "this user may not use Docker (fix: sudo usermod -aG docker $USER, log in anew)"
        return "no Docker engine answers here (fix: sudo apt-get install -y docker.io)"
    if has_nvidia_gpu() and not gives_gpus(info):
        return (
            "Docker cannot give containers the GPU (fix: install nvidia-container-toolkit, "
            "sudo nvidia-ctk runtime configure --runtime=docker, restart Docker)"
        )
    for base in base_images():
        if not has_or_pulls(client, base):
            return (
                f"the base image {base} is not here and cannot be pulled "
                f"(fix: docker pull {base}, or scripts/docker-testbed.sh on Debian)"
            )
    return None


def has_nvidia_gpu() -> bool:
    smi = shutil.which("nvidia-smi")
    return (
        smi is not None
        and not subprocess.run([smi, "-L"], capture_output=True, timeout=60, check=False).returncode
    )


def gives_gpus(info: dict[str, object]) -> bool:
    return "nvidia" in (info.get("Runtimes") or {}) or bool(info.get("DiscoveredDevices"))


def base_images() -> list[str]:
    """The default base image of each Dockerfile that the quickstart builds."""
    found = []
    for backend in BACKENDS:
        text = (IMAGES / backend / "Dockerfile").read_text()
        default = re.search(r"^ARG BASE_IMAGE=(\S+)", text, re.MULTILINE)
        if default is not None and default[1] not in found:
            found.append(default[1])
    return found


def has_or_pulls(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
        return True
    except DockerException:
        pass
    print(f"quickstart: pulling {image}", file=sys.stderr)
    repository, _, tag = image.rpartition(":")
    try:
        client.images.pull(repository, tag=tag)
    except DockerException:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
