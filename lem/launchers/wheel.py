"""The wheel of the agent's half of lem that goes into images, with what makes runs on a node.

It is made of the very files that are running, so it works alike in a clone and where lem was
installed as a package, needs no build tools and no network, and changes only when those files do:
editing the report or the command line rebuilds no image.
"""

import base64
import hashlib
import io
import zipfile
from pathlib import Path

import lem

PARTS = (
    "__init__.py",
    "py.typed",
    "errors.py",
    "plugins.py",
    "contract",
    "workloads",
    "meters",
    "backends",
    "agent",
)
"""What runs in a container. A test holds this list against what the agent imports."""

NODE = (
    "analysis/__init__.py",
    "analysis/blocks.py",
    "analysis/quantities.py",
    "boards",
    "campaign/__init__.py",
    "campaign/allocation.py",
    "campaign/attempt.py",
    "campaign/claims.py",
    "campaign/execute.py",
    "campaign/guard.py",
    "campaign/keys.py",
    "campaign/node.py",
    "campaign/plan.py",
    "campaign/watch.py",
    "clusters/__init__.py",
    "clusters/slurm_energy.py",
    "containers",
    "launchers/__init__.py",
    "launchers/cache.py",
    "launchers/compiled.py",
    "launchers/description.py",
    "launchers/environment.py",
    "launchers/folders.py",
    "launchers/hardening.py",
    "launchers/install.py",
    "launchers/log.py",
    "launchers/pod.py",
    "launchers/process.py",
    "launchers/protocol.py",
    "launchers/supervise.py",
    "stores/__init__.py",
    "stores/answering.py",
    "stores/awaited.py",
    "stores/costs.py",
    "stores/counted.py",
    "stores/folder.py",
    "stores/outcomes.py",
    "stores/rows.py",
    "stores/scored.py",
    "stores/shares.py",
)
"""What makes a block's runs where the scheduler starts the image itself (Kubernetes). The same test
holds this list against what :mod:`lem.campaign.node` imports."""

REQUIRES = ("pydantic>=2.9,<3", "nvidia-ml-py>=12.560")
EPOCH = (1980, 1, 1, 0, 0, 0)


def agent_wheel(package: Path | None = None, version: str = lem.__version__) -> tuple[str, bytes]:
    """File name and content: the same bytes for the same sources. ``package``: lem's folder."""
    package = package or Path(lem.__file__).parent
    files = {f"lem/{path.relative_to(package)}": path.read_bytes() for path in _sources(package)}
    info = f"lem_energy-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {r}\n" for r in REQUIRES)
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: lem-energy\nVersion: {version}\n"
        f"Summary: The measurement agent of lem\n{requires}"
    ).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: lem\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            out.writestr(entry, data)
    return f"lem_energy-{version}-py3-none-any.whl", archive.getvalue()


def _sources(package: Path) -> list[Path]:
    found = []
    for part in (*PARTS, *NODE):
        path = package / part
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [p for p in inside if p.is_file() and "__pycache__" not in p.parts]
    return found


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
