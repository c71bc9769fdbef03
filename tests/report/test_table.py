"""The printed comparison, as a person sees it."""

import io
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from lem.analysis.results import open_results
from lem.analysis.text import ratio
from lem.report.footnotes import footnotes
from lem.report.table import render
from lem.stats import CarryOver, ratios
from tests import records

THREE = {1: [0.02, 0.021, 0.0205], 4: [0.009, 0.0092, 0.0091], 16: [0.0051, 0.0052, None]}


def printed(folder, width=80, colour=False):
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    render(open_results(folder).compare(), console, folder)
    return out.getvalue()


def lines(folder, width=80):
    return [line.rstrip() for line in printed(folder, width).splitlines()]


def test_estimate_at_80_columns(tmp_path):
    folder = tmp_path / "c"
    records.campaign(folder, THREE)
    found = lines(folder)
    # ±: 2·s ÷ √n, where s is 0.5, 0.1 and 0.0707 ms. The intervals: tests/stats.
    table = {b: {n: v for n, v in enumerate(own) if v} for b, own in THREE.items()}
    four, sixteen = (ratio(estimate) for estimate in ratios(table, 1).values())
    assert found[:9] == [
        "CPU time per token (no energy meter here)",
        "",
        "                                                                  ≈ J/token",
        "                                                                 (estimated",
        " Arm             Blocks   CPU ms/token   Ratio (95 % interval)       ±50 %)",
        " ──────────────────────────────────────────────────────────────────────────",
        " batch size 1         3   20.50 ± 0.58            1 (baseline)         0.20",
        f" batch size 4         3    9.10 ± 0.12     {four}        0.091",
        f" batch size 16   2 of 3    5.15 ± 0.10     {sixteen}        0.052",
    ]
    text = "\n".join(found)
    assert "Speed and quality" in text
    assert "Energy is estimated, not measured" in text
    assert "± is the scatter between blocks alone" in text
    assert "batch size 16: failed in 1 block: out_of_memory: the engine ran out of memory" in text
    assert "Batch size 16 uses 75 % less CPU time per output token than batch size 1" in text
    assert found[-1] == f"Records: {folder}"


def test_estimate_at_120_columns_is_one_table(tmp_path):
    records.campaign(tmp_path, THREE)
    found = lines(tmp_path, 120)
    heading = next(line for line in found if line.startswith(" Arm"))
    for column in ("(estimated ±50 %)", "tokens/s", "TTFT (ms)", "ITL (ms)"):
        assert column in heading
    assert "Speed and quality" not in "\n".join(found)


def test_quality_moves_what_does_not_fit_to_a_second_table(tmp_path):
    records.campaign(tmp_path, THREE, nll=2.5)
    text = printed(tmp_path, 120)
    assert "Speed and quality" in text and "NLL/token" in text and "2.50" in text


def test_objectives_have_a_table_of_their_own_where_there_is_no_room(tmp_path):
    records.campaign(
        tmp_path, THREE, goodput=(1.53, 0.75), ttft_s=1.2345, itl_s=0.0123, throughput=12345.0
    )
    narrow = lines(tmp_path, 60)
    assert "Objectives" in narrow and "Speed" in narrow and "Speed and quality" not in narrow
    heading = narrow.index("Objectives") + 2
    assert narrow[heading].split() == ["Goodput", "SLO", "kept"]
    assert narrow[heading + 1].split() == ["Arm", "(requests/s)", "(%)"]
    assert narrow[heading + 3].split()[-2:] == ["1.53", "75.0"]
    assert "Speed and quality" in lines(tmp_path, 80)
    text = " ".join("\n".join(narrow).split())
    assert "Goodput: requests a second that kept every limit of slo; SLO kept:" in text
    assert "Rate found" not in text


def test_goodput_of_zero_is_shown_beside_the_energy(tmp_path):
    records.campaign(tmp_path, THREE, goodput=(0.0, 0.0))
    found = lines(tmp_path)
    assert sum(line.split()[-2:] == ["0", "0"] for line in found) == 3


@pytest.mark.parametrize("width", range(50, 121, 5))
def test_no_figure_is_cut_off_at_any_width(tmp_path, width):
    records.campaign(tmp_path, THREE, goodput=(1.53, 0.75), nll=2.5)
    found = lines(tmp_path, width)
    assert max(map(cell_len, found[: found.index("")])) <= width
    for name in ("(requests/s)", "(%)", "NLL/token"):
        assert any(name in line for line in found), name
    assert sum("75.0" in line for line in found) >= 3


def test_each_arm_has_its_own_bound_on_carry_over_and_its_own_uncertainty(tmp_path):
    records.campaign(tmp_path, THREE)
    c = open_results(tmp_path).compare()
    (quantity,) = c.quantities
    arms = [records.arm_name(1), records.arm_name(2)]
    told = CarryOver(0.01, 0.1, 0.95, 8, {arms[0]: 0.03, arms[1]: 0.19}, noticed=False)
    c = replace(c, carry={quantity.key: told})
    (line,) = [s for s in footnotes(c) if s.startswith("Carry-over")]
    u = [100 * math.expm1(c.expanded_log(a, quantity.key)) for a in c.arms[1:]]
    assert line == (
        "Carry-over from run to run: none is seen; at most 10 %. Beside its interval this may bias"
        f" the ratio of batch size 16 by up to 21 % (U = {u[1]:.2g} %), batch size 4 by up to 3.0 %"
        f" (U = {u[0]:.2g} %)."
    )
    unknown = CarryOver(None, 1.0, 0.95, 8, told.bias, noticed=False, pull=told.bias)
    (line,) = [
        s for s in footnotes(replace(c, carry={quantity.key: unknown})) if s.startswith("Carry")
    ]
    assert line.startswith("Carry-over from run to run is not known: ")


def test_measured_energy_has_its_uncertainty_and_a_table_a_class(tmp_path):
    records.campaign(
        tmp_path, {1: [1.92, 1.95, 1.93], 4: [1.0, 1.01, 1.0]}, measured=("gpu", "cpu")
    )
    text = "\n".join(lines(tmp_path))
    assert "Energy per output token (GPU)" in text and "Energy per output token (CPU)" in text
    assert "1.933 ± 0.042" in text
    assert "estimated" not in text
    assert "together; with so few blocks rough, not a 95 % interval." in " ".join(text.split())
    assert "provisional" not in text
    assert "(meters: cpu: rapl, gpu: nvml)" in text


def test_after_block_one_the_table_is_provisional(tmp_path):
    records.campaign(tmp_path, {1: [0.02], 4: [0.01]}, blocks=3)
    found = lines(tmp_path)
    assert found[0] == "CPU time per token (no energy meter here) — provisional: 1 of 3 blocks"
    assert any("0.50 (no interval)" in line for line in found)


@pytest.mark.parametrize("measured", [(), ("gpu",)])
def test_a_single_block_shows_no_uncertainty_and_few_digits(tmp_path, measured):
    records.campaign(tmp_path, {1: [18.2465], 4: [9.1]}, blocks=3, measured=measured)
    text = "\n".join(lines(tmp_path))
    assert "±" not in text.replace("±50 %", "").replace("No ±", "")
    assert "18.2" in text and "18.24" not in text
    assert "No ± beside a figure: it is of one block, which shows no scatter." in " ".join(
        text.split()
    )


def test_joint_confidence_is_said(tmp_path):
    records.campaign(tmp_path, THREE)
    text = " ".join(printed(tmp_path).split())
    assert "Dunnett's quantile" in text and "they hold together with 95 % confidence" in text


@pytest.mark.parametrize("width", [50, 80, 100, 120, 200])
@pytest.mark.parametrize("measured", [(), ("gpu", "cpu", "dram")])
def test_nothing_is_wider_than_the_terminal_or_cut(tmp_path, width, measured):
    folder = tmp_path / "c"
    records.campaign(
        folder, {1: [0.02] * 2, 10**30: [0.021, 0.03], 4: [None] * 2}, measured=measured
    )
    found = lines(folder, width)
    body = [line for line in found if not line.startswith("Records:")]
    assert max(cell_len(line) for line in body) <= width
    assert "…" not in "\n".join(body)


def test_colour_says_nothing_that_text_does_not(tmp_path):
    records.campaign(tmp_path, {1: [1.0, 1.1, 1.0], 4: [1.05, 1.0, 1.05]}, measured=("gpu",))
    assert "\x1b[" in printed(tmp_path, colour=True)
    text = printed(tmp_path)
    assert "\x1b" not in text
    assert ") ?" in text and "the interval includes 1" in text


def test_names_and_messages_from_elsewhere_are_only_text(tmp_path):
    records.campaign(tmp_path, {1: [0.02, 0.02]}, name="evil \x1b]0;title\x07 [red]name[/red]")
    records.place(
        tmp_path,
        records.failure(block=2, message="\x1b[2J[bold]gone[/bold]\u202e\nsecond line"),
    )
    text = printed(tmp_path)
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert "[red]name[/red]" in text
    assert "[2J[bold]gone[/bold]" in text
