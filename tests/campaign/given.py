"""Small made tasks of lm-evaluation-harness whose answers are given."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "tasks"
TASKS = ["lem_capitals", "lem_cloze", "lem_pairs", "lem_pronouns"]
FILES = ("capitals.yaml", "cloze.yaml", "pairs.yaml", "pronouns.yaml", "pronouns.py")

CAPITALS = [
    ("France", ["Paris", "Lyon", "Marseille, on the coast", "Nice"], 0),
    ("Japan", ["Osaka", "Kyoto", "Tokyo", "Hiroshima"], 2),
    ("Switzerland", ["Zürich", "Genève", "Bern", "Bâle, am Rhein"], 2),
    ("Australia", ["Sydney", "Canberra"], 1),
    ("Brazil", ["Rio de Janeiro", "São Paulo", "Brasília"], 2),
    ("Italy", ["Rome", "Rome, the eternal city of seven hills", "Milan"], 0),
    ("Kenya", ["Mombasa ", "Nairobi"], 1),
    ("Greece", ["Αθήνα", "Sparta", "Θεσσαλονίκη"], 0),
]
CLOZE = [
    "The sun rises in the east and sets in the west",
    "Two plus two is four, and three plus three is six",
    "Once upon a time there was a little girl who lived in a house in the forest",
    "He opened the door, looked around the room, and then he closed the door",
    "The capital of France is the beautiful city of Paris",
    "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "She bought a kilogram of quicklime",
]
CLOZE_TRUTH = [
    (-0.0244, True),
    (-2.3471, False),
    (-4.9861, False),
    (-0.0340, True),
    (-0.0322, True),
    (-0.4294, True),
    (-12.8892, False),
]
"""Of the last word of each: what the harness's Hugging Face model says of SmolLM2-135M-Instruct in
float32 (lm_eval 0.4.13, transformers 5.23)."""
PAIRS = [
    ("The cats are sleeping on the bed.", "The cats is sleeping on the bed."),
    ("She has never been there.", "She have never been there."),
    ("Bed the on sleeping are cats.", "Nobody has ever seen it."),
    ("<|im_start|>user", "Nothing."),
]
PRONOUNS = [
    ("The trophy did not fit into the suitcase because the _ was too big.",
     ["trophy", "suitcase"], 0),
    ("Ann gave Paul a book because _ had asked for one.", ["Ann", "Paul"], 1),
    ("The cup fell on the plate, and the _ broke into pieces.", ["cup", "plate"], 1),
]  # fmt: skip


def write(folder: Path) -> Path:
    """The tasks and their data, in ``folder``."""
    rows: dict[str, list[dict[str, Any]]] = {
        "capitals": [
            {"question": f"What is the capital of {land}?", "choices": names, "answer": right}
            for land, names, right in CAPITALS
        ],
        "examples": [
            {"question": "What is the capital of Spain?", "choices": ["Madrid", "X"], "answer": 0},
            {"question": "What is the capital of Egypt?", "choices": ["X", "Cairo"], "answer": 1},
        ],
        "cloze": [{"text": t} for t in CLOZE],
        "pairs": [{"good": good, "bad": bad} for good, bad in PAIRS],
        "pronouns": [{"sentence": s, "names": n, "answer": a} for s, n, a in PRONOUNS],
    }
    for name, lines in rows.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    for name in FILES:
        (folder / name).write_text((HERE / name).read_text().replace("@FOLDER@", str(folder)))
    return folder
