"""Makes folders that transformers loads: from GGUF files, and from nothing (random weights)."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from lem.backends import prepared
from lem.contract.spec import ModelSpec, Synthetic
from lem.errors import RunFailed
from lem.workloads import datasets

DESCRIPTION = "synthetic.json"
ON_DISK_BYTES = 10**9
"""A synthetic model larger than this is not saved but made anew where it is loaded."""
END_OF_TEXT = "<|endoftext|>"
BYTES_PER_WEIGHT = 2
SAID_BYTES = 2**24


def prepare(model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
    """Make ``model`` loadable by transformers in ``target``; returns the folder's name there."""
    return prepared.once(target, lambda aside: _make(model, source, aside, trust)).name


def _make(model: ModelSpec, source: Path | None, aside: Path, trust: bool) -> dict[str, Any]:
    if model.synthetic is not None:
        make_synthetic(model.synthetic, aside)
        return {"kind": "synthetic"}
    if source is not None and source.is_file():
        convert_gguf(source, aside)
        return {"kind": "gguf"}
    if source is not None:
        if model.gguf_file is not None:
            convert_gguf(_inside(source, model.gguf_file), aside)
            return {"kind": "gguf"}
        for file in prepared.files(source, trust):
            prepared.copy(file, aside)
        return {"kind": "folder"}
    if model.gguf_file is not None:
        download = aside / "download"
        commit = prepared.file_from_hub(model.id, model.revision, model.gguf_file, download)
        convert_gguf(_inside(download, model.gguf_file), aside)
        shutil.rmtree(download)
        return {"kind": "gguf", "revision": commit}
    return {
        "kind": "hub",
        "revision": prepared.from_hub(model.id, model.revision, aside, trust),
    }


def _inside(folder: Path, name: str) -> Path:
    file = folder / prepared.plain_name(name)
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        raise RunFailed("bad_argument", f"model.gguf_file: there is no {name} in the model")
    return file


def convert_gguf(file: Path, folder: Path) -> None:
    """Dequantise a GGUF file into plain bfloat16 safetensors with tokenizer and chat template.

    The GGUF-loaded model itself cannot be saved (its weights stay packed), so its tensors go into
    a model built anew from its config.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        packed = AutoModelForCausalLM.from_pretrained(
            str(file.parent), dtype=torch.bfloat16, **where
        )
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **where)
        config = packed.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        plain.load_state_dict(packed.state_dict())
        plain.generation_config = packed.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except ImportError as e:
        raise RunFailed(
            "unsupported",
            f"reading GGUF files needs gguf and accelerate: {e}",
            hint="pip install gguf accelerate, where the agent runs",
        ) from e
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError) as e:
        raise RunFailed(
            "unsupported", f"transformers cannot convert {file.name}: {str(e)[:500]}"
        ) from e


def make_synthetic(spec: Synthetic, folder: Path) -> None:
    """A model of ``spec.architecture``'s own config class with a tokenizer trained in place.

    Weights are drawn now, or, where they would fill over 1 GB, by :func:`build_synthetic` when the
    model is loaded.
    """
    import torch

    tokenizer = _train_tokenizer(spec.vocab_size, spec.max_position_embeddings)
    tokenizer.save_pretrained(folder)
    config = synthetic_config(spec, tokenizer.eos_token_id)
    if _weights(config) * BYTES_PER_WEIGHT > ON_DISK_BYTES:
        config.save_pretrained(folder)
        text = json.dumps(spec.model_dump(), indent=1, sort_keys=True)
        (folder / DESCRIPTION).write_text(text + "\n")
        return
    model = build_synthetic(config, spec.seed, "cpu", dtype=torch.bfloat16)
    model.save_pretrained(folder)


def build_synthetic(config: Any, seed: int, device: str, **arguments: Any) -> Any:
    """The model with random weights, directly on ``device``. The same seed gives the same weights
    on the same kind of device."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, **arguments)


def synthetic_config(spec: Synthetic, end_of_text: int) -> Any:
    """The architecture's own config. Raises :class:`RunFailed` with its word on what it refuses."""
    from transformers import AutoConfig

    heads_of_keys = spec.kv_heads or spec.heads
    named: dict[str, Any] = {
        "hidden_size": spec.hidden_size,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": heads_of_keys,
        "intermediate_size": spec.intermediate_size or 4 * spec.hidden_size,
        "vocab_size": spec.vocab_size,
        "max_position_embeddings": spec.max_position_embeddings,
        "bos_token_id": None,
        "eos_token_id": end_of_text,
        "pad_token_id": end_of_text,
    }
    try:
        if hasattr(AutoConfig.for_model(spec.architecture), "head_dim"):
            named["head_dim"] = spec.hidden_size // spec.heads
        return AutoConfig.for_model(spec.architecture, **(named | dict(spec.config)))
    except Exception as e:
        raise RunFailed(
            "bad_argument",
            f"model.synthetic: {str(e)[:500]}",
            hint="architecture is a model_type of transformers, such as llama, qwen3 or mistral",
        ) from e


def read_synthetic(folder: Path) -> Synthetic | None:
    """The description of a model whose weights are made when it is loaded."""
    file = folder / DESCRIPTION
    return Synthetic.model_validate_json(file.read_bytes()) if file.is_file() else None


def said(model: Path, name: str = "config.json") -> dict[str, Any]:
    """What a model's folder says of itself in a JSON file; empty where there is none to read."""
    try:
        with (model / name).open("rb") as f:
            found = json.loads(f.read(SAID_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _weights(config: Any) -> int:
    """How many weights a model of this config has."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return int(sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters()))


def _train_tokenizer(vocabulary: int, longest: int) -> Any:
    """A byte-level BPE tokenizer with exactly ``vocabulary`` tokens.

    Trained on the text that comes with lem; what that text is too short to teach is filled up with
    tokens that no text encodes to, but which exist and decode.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    taught = Tokenizer(models.BPE())
    taught.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    text = [p["prompt"] for p in datasets.prompts()] + [datasets.nll_text()]
    taught.train_from_iterator(text, trainer)
    model = json.loads(taught.to_str())["model"]
    words: dict[str, int] = model["vocab"]
    for i in range(len(words), vocabulary):
        words[f"fill{i}"] = i
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    whole = Tokenizer(models.BPE(vocab=words, merges=merges))
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    whole.add_special_tokens([END_OF_TEXT])
    return PreTrainedTokenizerFast(
        tokenizer_object=whole,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=longest,
    )
