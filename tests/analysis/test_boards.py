"""Comparisons of campaigns that were spread over boards."""

import json
import math

import numpy as np
import pytest

from lem.analysis.attribute import attribute
from lem.analysis.curve import curves
from lem.analysis.front import front
from lem.analysis.results import open_results
from lem.report.footnotes import footnotes
from tests import records, spread_records

ENERGY = "energy_per_output_token_j.gpu"
GAINS = (0.03, -0.04, 0.01, -0.02)
SLURM = {"scheduler": "slurm", "cpus": 2, "node_cpus": 2, "restarts": 0}
CALIBRATED = {"GPU-0": 0.034, "GPU-1": 0.034, "GPU-2": 0.003, "GPU-3": 0.034}


def where(blocks=12, boards=4, nodes=2):
    return [(f"boot-{b % boards % nodes}", [f"GPU-{b % boards}"]) for b in range(blocks)]


def figures(blocks=12, arms=(1, 4, 16), seed=1):
    rng = np.random.default_rng(seed)
    return {a: list(2 / a * (1 + 0.003 * rng.standard_normal(blocks))) for a in arms}


def off(values, gains, more=None):
    """With each board's gain on all arms, and more on one arm alone."""
    boards = len(gains)
    return {
        arm: [
            v * (1 + gains[b % boards]) * (1 + (more or {}).get((arm, b % boards), 0.0))
            for b, v in enumerate(own)
        ]
        for arm, own in values.items()
    }


def arm(comparison, batch):
    return next(a for a in comparison.arms if a.name == f"batch size {batch}")


def spread(folder, values, on=None, **options):
    spread_records.campaign(folder, values, on or where(), **options)
    return open_results(folder).compare()


def test_gains_change_no_ratio_and_all_of_an_absolute_figure(tmp_path):
    values = figures()
    one = spread(tmp_path / "one", values, [("boot", ["GPU-0"])] * 12)
    many = spread(tmp_path / "many", off(values, GAINS), gain=0.034)
    assert one.boards == () and [b.kind for b in many.boards] == ["board", "node"]
    for batch in (4, 16):
        before, now = arm(one, batch).ratios[ENERGY], arm(many, batch).ratios[ENERGY]
        assert before.on_boards is None and now.on_boards is not None
        assert (now.low, now.high) == pytest.approx((before.low, before.high), rel=1e-9)
        assert arm(one, batch).verdicts == arm(many, batch).verdicts
    before, now = arm(one, 1).figures[ENERGY], arm(many, 1).figures[ENERGY]
    assert before.boards is None and now.boards == 4
    # t of 3 degrees of freedom times the boards' scatter, 2.9 % of 2 J.
    half = 3.182 * np.std(GAINS, ddof=1) / 2 * now.mean
    assert (now.high - now.low) / 2 == pytest.approx(half, rel=0.1)
    assert now.high - now.low > 5 * (before.high - before.low)
    assert now.u_a == pytest.approx(np.std(GAINS, ddof=1) / 2 * now.mean, rel=0.1)
    assert now.u_b == pytest.approx(before.u_b, rel=0.01), "the kind's common error stays"


def test_boards_beside_each_other_by_hand(tmp_path):
    found = spread(tmp_path, off(figures(), GAINS), gain=0.034).boards[0]
    assert (found.kind, found.overlap, found.quantity) == ("board", False, ENERGY)
    expected = math.log(1 + GAINS[0]) - np.mean([math.log(1 + g) for g in GAINS[1:]])
    first = found.places[0]
    assert first.blocks == (0, 4, 8) and first.boards == 1
    assert first.deviation_log == pytest.approx(expected, abs=0.003)
    assert 0 < first.half_width_log < 0.01 and not first.beyond_gain
    sd = np.std([math.log(1 + g) for g in GAINS], ddof=1)
    assert found.between.sd_log == pytest.approx(sd, abs=0.002)
    assert found.between.low_log < sd < found.between.high_log


def test_a_board_further_off_than_gains_explain_is_flagged(tmp_path):
    gains = (0.03, -0.04, 0.35, -0.02)
    found = spread(tmp_path / "far", off(figures(), gains), gain=0.034).boards[0]
    assert [p.beyond_gain for p in found.places] == [False, False, True, False]
    # The others are held against each other, not against the one that is far off.
    assert max(abs(found.places[i].deviation_log) for i in (0, 1, 3)) < 0.06
    silent = spread(tmp_path / "silent", off(figures(), gains)).boards[0]
    assert not any(p.beyond_gain for p in silent.places), "nothing is stated of these gains"


def test_a_calibrated_board_may_be_off_by_no_more_than_its_calibration(tmp_path):
    gains = (0.0, 0.0, 0.05, 0.0)
    assumed = spread(tmp_path / "a", off(figures(), gains), gain=0.034).boards[0]
    known = spread(
        tmp_path / "b", off(figures(), gains), gain=dict.fromkeys(CALIBRATED, 0.003)
    ).boards[0]
    assert not any(p.beyond_gain for p in assumed.places)
    assert [p.beyond_gain for p in known.places] == [False, False, True, False]
    # One board's calibration says nothing of the others.
    one = spread(tmp_path / "c", off(figures(), gains), gain=CALIBRATED).boards[0]
    assert not any(p.beyond_gain for p in one.places)


def test_a_board_that_disagrees_about_one_arm_is_named(tmp_path):
    values = off(figures(), GAINS, {(16, 1): 0.05})
    c = spread(tmp_path, values, gain=0.034)
    moved, quiet = arm(c, 16).ratios[ENERGY], arm(c, 4).ratios[ENERGY]
    assert (moved.method, quiet.method) == ("boards", "dunnett")
    apart = [b for b in moved.on_boards.each if b.apart]
    assert [b.name for b in apart] == [c.boards[0].places[1].name]
    assert math.expm1(apart[0].deviation_log) == pytest.approx(0.05, abs=0.01)
    said = [line for line in footnotes(c) if "disagrees" in line]
    assert len(said) == 1 and f"Board {apart[0].name}" in said[0]
    assert "batch size 16 +" in said[0] and "batch size 4" not in said[0]
    assert "Blocks of this board: 1, 5, 9." in said[0] and "cooling" in said[0]
    assert sum("more boards narrow" in line for line in footnotes(c)) == 1


def test_everything_is_in_the_json_and_no_identity_is(tmp_path):
    c = spread(tmp_path, off(figures(), GAINS), gain=0.034)
    said = json.dumps(c.to_json())
    found = json.loads(said)
    assert [p["blocks"] for p in found["boards"][0]["places"]] == [
        [0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]
    ]  # fmt: skip
    ratio = found["arms"][1]["ratios"][ENERGY]
    assert ratio["on_boards"]["boards"] == 4 and len(ratio["on_boards"]["each"]) == 4
    assert "GPU-" not in said and "boot-" not in said
    assert not any("GPU-" in line or "boot-" in line for line in footnotes(c))


def test_one_machines_campaign_has_nothing_of_it(tmp_path):
    c = spread(tmp_path, figures(), [("boot", ["GPU-0", "GPU-1"])] * 12)
    assert c.boards == () and c.to_json()["boards"] == []
    assert not any("oards" in line and "blocks ran" in line for line in footnotes(c))


def test_a_node_whose_boards_are_all_off_is_named(tmp_path):
    """Boards of 2 nodes, four each, that differ by 1 %; one node is 6 % off."""
    own = [0.01, -0.01, 0.0, 0.005]
    gains = [g + (0.06 if n else 0.0) for g in own for n in (0, 1)]
    values = off(figures(16), gains)
    c = spread(tmp_path, values, where(16, 8, 2), gain=0.034)
    boards, nodes = c.boards
    assert (boards.kind, nodes.kind) == ("board", "node") and nodes.of_boards
    assert [p.boards for p in nodes.places] == [4, 4]
    assert [p.beyond_gain for p in nodes.places] == [True, True]
    assert [p.beyond_gain for p in boards.places] == [False] * 8
    means = [math.log(1 + g) for g in gains]
    expected = np.mean(means[1::2]) - np.mean(means[::2])
    assert nodes.places[1].deviation_log == pytest.approx(expected, abs=0.003)
    # t of 6 degrees of freedom by the scatter of the boards within their nodes.
    spread_of = math.sqrt((np.var(means[::2], ddof=1) + np.var(means[1::2], ddof=1)) / 2)
    half = 2.447 * spread_of * math.sqrt(1 / 4 + 1 / 4)
    assert nodes.places[1].half_width_log == pytest.approx(half, rel=0.2)
    said = [line for line in footnotes(c) if line.startswith("Node")]
    assert len(said) == 3 and "in these nodes" in said[0] and "more than boards of one" in said[1]


def test_nodes_of_one_board_each_are_those_boards(tmp_path):
    c = spread(tmp_path, figures(8), where(8, 2, 2), gain=0.034)
    assert [b.kind for b in c.boards] == ["board"]


def test_nodes_without_boards_are_the_factor(tmp_path):
    on = [(f"boot-{b % 3}", []) for b in range(9)]
    c = spread(tmp_path, off(figures(9), GAINS[:3]), on, allocation=SLURM, together=True)
    found = c.boards[0]
    assert found.kind == "node" and [p.blocks for p in found.places] == [
        (0, 3, 6), (1, 4, 7), (2, 5, 8)
    ]  # fmt: skip
    assert not any(p.beyond_gain for p in found.places), "CPU time has no gain"
    assert any("nodes like these" in line for line in footnotes(c))


def test_a_restart_is_no_other_machine_and_is_said(tmp_path):
    on = [(f"boot-{b // 3}", []) for b in range(6)]
    values = figures(6)
    c = spread(tmp_path / "restarted", values, on)
    plain = spread(tmp_path / "plain", values, [("boot-1", [])] * 6)
    assert c.boards == () and [a.figures for a in c.arms] == [a.figures for a in plain.arms]
    assert any("2 boots" in note for note in c.notes) and not any("boots" in n for n in plain.notes)
    placed = spread(tmp_path / "placed", values, on, allocation=SLURM)
    assert placed.boards[0].kind == "boot" and not any("boots" in n for n in placed.notes)
    said = " ".join(footnotes(placed))
    assert "not known whether another boot is another node" in said
    assert "For nodes like these" not in said and "on others like these" not in said
    for a in placed.arms[1:]:
        before = next(p for p in plain.arms if p.name == a.name)
        assert a.ratios["cpu_time_per_output_token_s"].on_boards is None
        assert a.ratios == before.ratios


def test_sets_that_overlap_have_no_interval_of_an_absolute_figure(tmp_path):
    sets = [["GPU-0", "GPU-1"], ["GPU-1", "GPU-2"], ["GPU-2", "GPU-0"]]
    on = [("boot", sets[b % 3]) for b in range(9)]
    c = spread(tmp_path, figures(9), on)
    assert c.boards[0].overlap and c.boards[0].between.sd_log is None
    figure = arm(c, 1).figures[ENERGY]
    assert figure.low is None and "overlap" in figure.reason
    scatter = np.std(figures(9)[1], ddof=1)
    assert figure.u_a == pytest.approx(scatter)
    assert arm(c, 4).ratios[ENERGY].low is not None and arm(c, 4).ratios[ENERGY].on_boards is None
    assert any("boards in common" in line for line in footnotes(c))


def test_each_block_on_a_board_of_its_own(tmp_path):
    on = [(f"boot-{b}", [f"GPU-{b}"]) for b in range(6)]
    c = spread(tmp_path, figures(6), on, gain=0.034)
    assert c.boards[0].between.sd_log is None and len(c.boards[0].places) == 6
    assert all(p.half_width_log is None for p in c.boards[0].places)
    assert any("cannot be told from scatter" in line for line in footnotes(c))
    found = arm(c, 4).ratios[ENERGY]
    assert found.method == "dunnett" and found.on_boards.low <= found.low


def test_blocks_that_ran_at_the_same_time_hand_nothing_on_to_each_other(tmp_path):
    """Two boards: what comes before block 2 is block 0, and blocks 0 and 1 have none before."""
    values = figures(6)
    c = spread(tmp_path / "two", values, where(6, 2, 1))
    one = spread(tmp_path / "one", values, [("boot", ["GPU-0"])] * 6)
    runs = 6 * 3
    assert (c.carry[ENERGY].runs, one.carry[ENERGY].runs) == (runs - 2, runs - 1)


def test_charts_are_made_of_the_same_figures(tmp_path):
    c = spread(tmp_path, off(figures(), GAINS), gain=0.034)
    gathered = open_results(tmp_path).one().gathered(["energy_per_output_token_j"])
    first = c.arms[0]
    made = gathered.absolute(first.arm.arm_id, "energy_per_output_token_j", "gpu")
    assert made == first.figures[ENERGY] and made.boards == 4
    assert gathered.mean(first.arm.arm_id, "energy_per_output_token_j", "gpu").u_a == made.u_a


def test_boards_of_other_hardware_are_not_among_them(tmp_path):
    """Blocks on another model are not compared, and neither are their boards."""
    spread_records.campaign(tmp_path, figures(8), where(8, 2, 1))
    for path in tmp_path.rglob("record.json"):
        if '"GPU-1"' in (text := path.read_text()):
            path.write_text(text.replace("NVIDIA Test 80GB", "NVIDIA Other"))
    results = open_results(tmp_path)
    c = results.compare(hardware="1 × NVIDIA Test 80GB · Test CPU (2 CPUs)")
    assert c.boards == () and arm(c, 4).ratios[ENERGY].on_boards is None
    assert arm(c, 1).figures[ENERGY].boards is None


def test_order_is_that_of_time_where_boards_are_several(tmp_path):
    """Drift is looked for in the order in which blocks began."""
    spread_records.campaign(tmp_path, figures(4), where(4, 2, 1))
    late = tmp_path / "blocks/0000"
    rising = open_results(tmp_path).compare().arms[0].figures[ENERGY].lag1
    for path in late.rglob("record.json"):
        text = path.read_text().replace("2026-05-04", "2026-05-05")
        path.write_text(text)
    (tmp_path / "index.sqlite").unlink(missing_ok=True)
    again = open_results(tmp_path).compare().arms[0].figures[ENERGY].lag1
    assert rising is not None and again is not None and rising != again
    assert records.START.day == 4


def test_u_of_few_boards_is_rough_and_knows_how_little_two_boards_tell(tmp_path):
    gains = (0.0, 0.02)
    c = spread(tmp_path, off(figures(60), gains), where(60, 2, 1), gain=0.003)
    found = arm(c, 1).figures[ENERGY]
    assert found.k_a == pytest.approx(12.71, abs=0.01) and not found.few_blocks
    assert found.expanded == pytest.approx(math.hypot(12.71 * found.u_a, 2 * found.u_b), rel=1e-3)
    said = " ".join(footnotes(c))
    assert "with so few boards or nodes rough" in said
    assert "where the mean of many such campaigns on others like these would lie" in said
    one = spread(tmp_path / "one", figures(12), [("boot", ["GPU-0"])] * 12)
    assert arm(one, 1).figures[ENERGY].k_a == 2
    assert "with so few blocks rough" in " ".join(footnotes(one))


def test_fronts_shares_and_curves_say_that_they_are_of_these_boards(tmp_path):
    values = off(figures(), GAINS, {(16, 1): 0.05})
    c = spread(tmp_path, values, gain=0.034)
    gathered = open_results(tmp_path).one().gathered(None)
    (curve,) = curves(gathered)
    ratio = next(p.beside_least for p in curve.series[0].points if p.beside_least is not None)
    assert ratio.method == "boards" and ratio.on_boards is not None
    made = (front(gathered, "throughput", "energy"), curve, attribute(gathered))
    for one in made:
        said = [s for s in one.sentences if "4 boards" in s or "2 nodes" in s]
        assert len(said) == 1 and "lem results compare" in said[0], one.sentences
    assert c.boards
    one = spread(tmp_path / "one", values, [("boot", ["GPU-0"])] * 12)
    gathered = open_results(tmp_path / "one").one().gathered(None)
    alone = (front(gathered, "throughput", "energy"), *curves(gathered), attribute(gathered))
    assert one.boards == () and not any("lem results" in s for m in alone for s in m.sentences)


def test_a_node_whose_boards_all_disagree_about_a_ratio_is_named(tmp_path):
    """Two nodes of four boards; on one node the last arm takes 3 % more."""
    more = {(16, b): 0.03 for b in range(1, 8, 2)}
    c = spread(tmp_path, off(figures(24), (0.0,) * 8, more), where(24, 8, 2), gain=0.034)
    nodes = c.boards[1]
    assert nodes.of_boards and set(nodes.ratios) == {a.arm.arm_id for a in c.arms[1:]}
    moved, quiet = (nodes.ratios[arm(c, batch).arm.arm_id] for batch in (16, 4))
    assert all(p.beyond_gain for p in moved) and not any(p.beyond_gain for p in quiet)
    assert moved[1].deviation_log == pytest.approx(math.log(1.03), abs=0.003)
    said = list(footnotes(c))
    (line,) = [s for s in said if s.startswith(f"Node {nodes.places[1].name} disagrees")]
    assert "batch size 16 +" in line and "batch size 4" not in line
    assert any("For boards like these in these nodes, with boards, not blocks" in s for s in said)


def test_boards_on_which_nothing_counts_are_told_with_the_reason(tmp_path):
    values = off(figures(), GAINS)
    whole = spread(tmp_path / "whole", values, gain=0.034)
    gone = whole.boards[0].places[3].name
    spread_records.campaign(tmp_path / "hot", values, where(), gain=0.034)
    for path in (tmp_path / "hot").rglob("record.json"):
        record = json.loads(path.read_text())
        if record["environment"]["device_set"] == ["GPU-3"]:
            record["flags"] = ["throttled"]
            path.write_text(json.dumps(record))
    c = open_results(tmp_path / "hot").compare()
    (note,) = [n for n in c.notes if "none counts" in n]
    assert note.startswith(f"board {gone}: 3 blocks, none counts: throttled; boards like")
    assert not any("none counts" in n for n in whole.notes) and len(c.boards[0].places) == 3
