"""Draws docs/reported-vs-true.svg from docs/data/reported-vs-true.csv.

Needs matplotlib: run it with the other tools' environment.

    PEERS_PYTHON bench/meters/plot.py [OUT.svg]
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

DOCS = Path(__file__).parents[2] / "docs"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which the colour-blind can tell apart."""


def main(out: Path, data: Path = DOCS / "data/reported-vs-true.csv") -> None:
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    missing: dict[tuple[str, str], int] = defaultdict(int)
    unread: set[tuple[str, str]] = set()
    with data.open(newline="") as f:
        rows = list(csv.DictReader(f))
    for r in rows:
        key = (r["scenario"], r["tool"])
        if r["said"].startswith("not read"):
            unread.add(key)
        elif r["reported_j"] and r["true_j"]:
            true_j = float(r["true_j"])
            errors[key].append(100 * (float(r["reported_j"]) - true_j) / true_j)
        else:
            missing[key] += 1
    scenarios = list(dict.fromkeys(r["scenario"] for r in rows))
    tools = list(dict.fromkeys(r["tool"] for r in rows))
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lem", "font.size": 9})
    figure, axes = pyplot.subplots(3, 3, figsize=(11, 8.2), sharex=True, sharey=True)
    for ax, scenario in zip(axes.flat, scenarios, strict=False):
        for y, tool in enumerate(tools):
            found = errors[scenario, tool]
            offsets = [y + 0.22 * ((i * 0.618) % 1 - 0.5) for i in range(len(found))]
            ax.plot(found, offsets, "o", ms=3.2, alpha=0.75, color=COLOURS[y], mew=0)
            note = "not read" if (scenario, tool) in unread else ""
            if missing[scenario, tool]:
                note = f"no figure × {missing[scenario, tool]}"
            ax.text(1.6e5, y, note, ha="right", va="center", size=7, color="#555555")
        ax.axvline(0, color="black", lw=0.6)
        ax.set_xscale("symlog", linthresh=0.01, linscale=0.5)
        ax.set_xlim(-2e5, 2e5)
        ax.set_title(scenario, size=9.5)
        ax.set_yticks(range(len(tools)), tools)
        ax.set_ylim(len(tools) - 0.4, -0.6)
        ax.set_xticks([-1e4, -100, -1, 0, 1, 100, 1e4])
        ax.set_xticklabels(["−10⁴", "−100", "−1", "0", "1", "100", "10⁴"])
        ax.grid(axis="x", lw=0.3, color="#cccccc")
    for ax in axes[-1]:
        ax.set_xlabel("error of the reported energy, %")
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "reported-vs-true.svg")
