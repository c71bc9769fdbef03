"""``python -m coverage_study``: the whole study, its page and its plot."""

import argparse
import sys
import time
from pathlib import Path

from coverage_study import boards, other, plot, report, rules, scenarios, study

SEED = 20261124
CAMPAIGNS = 50_000


def findings(campaigns: int, seed: int) -> report.Findings:
    cells = []
    for scenario in [*scenarios.alike(), *scenarios.unlike()]:
        cell = study.run(scenario, campaigns, seed)
        note(f"{cell.covered:.4f}  {scenario.name}")
        cells.append(cell)
    protocols = {p.name: p for p in scenarios.PROTOCOLS}
    compared = [
        scenarios.Scenario("gauss1", "none", 6, protocols["publication"]),
        scenarios.Scenario("spikes", "none", 6, protocols["publication"]),
        scenarios.Scenario("gauss1", "none", 6, protocols["publication"], "baseline1.5"),
        scenarios.Scenario("gauss1", "none", 6, protocols["standard"], "baseline3"),
        scenarios.Scenario("gauss1", "none", 6, protocols["quick"]),
        scenarios.Scenario("gauss1", "none", 6, protocols["quick"], "baseline3"),
    ]
    by_rule = []
    for rule in rules.RULES:
        note(f"rule: {rule.name}")
        by_rule.append((rule.name, [study.run(s, campaigns, seed, rule) for s in compared]))
    spread = []
    for spreading in boards.scenarios():
        spread.append(boards.run(spreading, campaigns, seed))
        note(f"{spread[-1].these:.4f}  {spreading.name}")
    note("anchors, absolute figures, equivalence")
    return report.Findings(
        campaigns,
        seed,
        cells,
        by_rule,
        report.Anchors(
            rules.one_after_the_other(campaigns, seed),
            rules.stop_when_narrow(campaigns, seed, 0.0),
            rules.stop_when_narrow(campaigns, seed, 0.6),
        ),
        [
            other.absolute(blocks, phi, campaigns, seed)
            for blocks in other.LENGTHS
            for phi in other.AUTOCORRELATIONS
        ],
        [
            other.same(arms, blocks, margin, campaigns, seed)
            for arms, blocks, margin in ((2, 5, 0.02), (2, 20, 0.01), (6, 10, 0.02), (6, 40, 0.01))
        ],
        [
            other.hardest(arms, blocks, campaigns, seed)
            for arms in (3, 4, 8, 12)
            for blocks in (3, 4, 5, 7, 10, 20)
        ],
        spread,
        boards.resembling(campaigns, seed),
        boards.calibrated(campaigns, seed),
    )


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """0 where every cell reaches its goal, else 1."""
    parser = argparse.ArgumentParser(prog="python -m coverage_study", description=__doc__)
    parser.add_argument("--campaigns", type=int, default=CAMPAIGNS, help="for each cell")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the page")
    arguments = parser.parse_args()
    began = time.monotonic()
    found = findings(arguments.campaigns, arguments.seed)
    page = report.page(found)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "coverage.md").write_text(page, encoding="utf-8")
    (arguments.out / "coverage.svg").write_text(plot.svg(found.cells), encoding="utf-8")
    print(page.split("## Coverage\n")[1].split("## Why")[0].strip())
    note(f"{time.monotonic() - began:.0f} s; wrote {arguments.out / 'coverage.md'}")
    for line in found.short:
        note(f"short: {line}")
    return 1 if found.short else 0


if __name__ == "__main__":
    sys.exit(main())
