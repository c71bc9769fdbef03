"""Lists that never change: the same workload, tokenizer, files and seed give the same ids for good.

Results all over the world hold such hashes. If one of these fails, the change must not be made.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from lem.workloads.requests import dump
from tests.workloads.datasets.made import kept, made

UNIFORM = {"distribution": "uniform", "low": 3, "high": 30}
LOGNORMAL = {"distribution": "lognormal", "median": 20, "sigma": 0.7, "high": 90}
TALK = [{"from": "human" if i % 2 == 0 else "gpt", "value": f"these are {i} words more"} for i in range(6)]  # fmt: skip  # noqa: E501
FILES = {
    "jsonl": "".join(json.dumps({"prompt": f"number {i}"}) + "\n" for i in range(9)),
    "sharegpt": json.dumps([{"conversations": TALK[2 * (i % 3) :]} for i in range(9)]),
    "trace": "".join(
        json.dumps({"timestamp": 7 * i, "input_length": 600 + i, "output_length": 2,
                    "hash_ids": [i % 2]}) + "\n" for i in range(9)
    ),
}  # fmt: skip
GOLDEN: list[tuple[dict[str, Any], str]] = [
    (
        {"kind": "random", "input_tokens": UNIFORM, "output_tokens": LOGNORMAL},
        "4d4ae7686bc75d834e821348710e05e06305284fd8175cd14bc89951a115b9b9",
    ),
    (
        {"kind": "random", "input_tokens": 20, "prefix_tokens": 9, "prefixes": 2},
        "58b45796ef63c8596854113a083fae53eb1717d124ccd318760b8bc953c032a2",
    ),
    (
        {"kind": "random", "input_tokens": UNIFORM, "output_tokens": 5, "turns": 3},
        "a265d35b1898ff12f50e09b12526120e9b22221cbd25b12db0b136863901acce",
    ),
    (
        {"kind": "long_context", "input_tokens": 200},
        "f5edcda75da89cb72f14d9e66a875da5eb5a5ef046c57d818ee5e7d1b6f1a14f",
    ),
    (
        {"kind": "jsonl", "output_tokens": 4},
        "a8590928620b2bbbcace1434949ce1e4bfcac207ddad045a0d6523d354256f10",
    ),
    (
        {"kind": "sharegpt", "turns": 2},
        "7615d0cfc0ad76e2c26902e9769fdeaeefe342bc5e84b81155e78e07f5f113fe",
    ),
    ({"kind": "trace"}, "9f745195dd5120198130a545f88e197b979081f0a9d9e990adebf95e0a870ac9"),
]


@pytest.mark.parametrize(("dataset", "sha256"), GOLDEN, ids=lambda v: str(v)[:60])
def test_lists_never_change(tmp_path: Path, dataset: dict[str, Any], sha256: str) -> None:
    file = kept(tmp_path, FILES[dataset["kind"]]) if dataset["kind"] in FILES else {}
    assert dump(made({**dataset, **file}, 9, tmp_path, seed=5))[1] == sha256
