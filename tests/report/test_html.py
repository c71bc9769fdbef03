"""The report of a campaign: it says what ``lem results compare`` says, and nothing from elsewhere
is more than text in it."""

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import records
from click.testing import CliRunner

from lem.analysis.results import open_results
from lem.cli.results import command
from lem.contract.lock import Lock
from lem.errors import BadInput
from lem.report.html.document import document
from lem.report.html.gather import Report, gather
from lem.trust.budget import metrics
from tests.report import folders


class Page(HTMLParser):
    """What a browser would make of the file: its elements, and the text in each cell."""

    VOID = ("meta", "link", "img", "br", "input")

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.cells: list[tuple[dict[str, str], str]] = []
        self.rows: list[list[tuple[dict[str, str], str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.elements.append((tag, found))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.cells.append((found, ""))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass
        if tag in ("td", "th"):
            self.rows[-1].append(self.cells[-1])

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)
        if "td" in self.open or "th" in self.open:
            attributes, text = self.cells[-1]
            self.cells[-1] = (attributes, text + data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [a for t, a in self.elements if t == tag]


def report_of(folder: Path, **options: Any) -> Report:
    return gather(open_results(folder).one(), metrics, **options)


def run(*arguments: str | Path) -> Any:
    return CliRunner(env={"COLUMNS": "160"}).invoke(command, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.measured(tmp_path_factory.mktemp("rich") / "c")


@pytest.fixture(scope="module")
def html(rich: Path) -> str:
    return document(report_of(rich))


def test_every_figure_is_that_of_compare(rich: Path, html: str) -> None:
    compared = json.loads(run("compare", rich, "--json").stdout)
    arms = {a["name"]: a for a in compared["arms"]}
    seen = set()
    for row in Page(html).rows:
        name = row[0][1].strip().removesuffix("baseline").strip()
        for attributes, _ in row[1:]:
            if not (key := attributes.get("data-key")):
                continue
            value, arm = float(attributes["data-value"]), arms[name]
            wanted = (
                arm["ratios"][key.removeprefix("ratio:")]["ratio"]
                if key.startswith("ratio:")
                else arm["figures"][key]["mean"]
            )
            assert value == wanted, (name, key)
            seen.add((name, key))
    keys = {k for a in arms.values() for k in a["figures"]} & {
        *(q["key"] for q in compared["quantities"]), "ttft_s.p50", "itl_s.p50", "nll_per_token",
        "output_throughput_tokens_per_s",
    }  # fmt: skip
    assert {k for _, k in seen if not k.startswith("ratio:")} == keys
    assert {n for n, k in seen if k == "ratio:energy_per_output_token_j.gpu"} == {
        a["name"] for a in arms.values() if not a["baseline"]
    }
    (inside,) = re.findall(r'<script type="application/json" id="comparison">(.*?)</script>', html)
    assert json.loads(inside) == {k: v for k, v in compared.items() if k != "folder"}


def test_cells_show_the_words_of_the_terminal_table(rich: Path, html: str) -> None:
    cells = {" ".join(text.split()) for _, text in Page(html).cells}
    assert "1.995 ± 0.040" in cells  # 2 J/token, 2 % by the meter
    shown = run("compare", rich).stdout
    ratios = set(re.findall(r"0\.\d+ \(0\.\d+–0\.\d+\)", shown))
    assert len(ratios) > 10
    page = " ".join(cells)
    assert all(r in page for r in ratios)


def test_the_finding_is_the_largest_certain_difference_of_arms_that_answer_as_well(
    rich: Path,
) -> None:
    found = report_of(rich)
    assert found.finding.sentence.startswith(
        "vllm with batch size 16, bfloat16 uses 94.02 % less GPU energy per output token than "
        "transformers with batch size 1, bfloat16 (93.98–94.06 %"
    )
    c = found.comparison
    assert c is not None
    worse = {a.name for a in c.arms if c.spoilt(a)}
    assert len(worse) == 6 and not any(name in found.finding.sentence for name in worse)


@pytest.mark.parametrize(
    ("values", "options", "wanted"),
    [
        # About 1 : 3 in each block: certain.
        ({1: [2.0, 2.02, 1.98], 4: [6.0, 6.1, 5.9]}, {}, "Batch size 4 uses 3.00 times as much"),
        # All arms alike but for a part in ten thousand.
        (
            {1: [2.0, 2.1, 2.2], 4: [2.0002, 2.0999, 2.2001]},
            {},
            "Nothing differs from batch size 1 in GPU energy per output token by more than 2 %.",
        ),
        # The second arm lies now above, now below.
        (
            {1: [2.0, 2.0, 2.0], 4: [1.8, 2.2, 2.1]},
            {},
            "No difference from batch size 1 in GPU energy per output token is certain: the "
            "intervals allow anything from 0.",
        ),
        (
            {1: [2.0], 4: [1.0]},
            {},
            "No difference from batch size 1 in GPU energy per output token is certain yet: ",
        ),
        ({1: [2.0, 2.2]}, {}, ": GPU energy per output token 2.1"),
        ({1: [2.0, 2.2], 4: [None, None]}, {}, "No other arm has a run that counts. batch size 1:"),
        ({1: [2.0, 2.02], 4: [6.0, 6.1]}, {"blocks": 3}, "So far batch size 4 uses 3.0"),
    ],
)
def test_the_first_sentence(
    tmp_path: Path, values: Any, options: dict[str, Any], wanted: str
) -> None:
    records.campaign(tmp_path, values, measured=("gpu",), **options)
    assert wanted in report_of(tmp_path).finding.sentence


def test_unfinished_campaigns_are_called_provisional(tmp_path: Path) -> None:
    records.campaign(tmp_path, {1: [2.0, 2.02], 4: [4.0, 4.1]}, blocks=3, measured=("gpu",))
    found = report_of(tmp_path)
    assert found.provisional == "2 of 3 blocks are done."
    assert "Provisional." in document(found)
    records.campaign(tmp_path / "b", {1: [2.0, 2.0], 4: [4.0, 4.1]}, measured=("gpu",))
    assert report_of(tmp_path / "b").provisional == ""
    assert "Provisional." not in document(report_of(tmp_path / "b"))


def test_one_block_has_the_same_figure_in_every_table(tmp_path: Path) -> None:
    """Without ±: what scatters from block to block is not in the meter's own."""
    records.campaign(tmp_path, {1: [2.0], 4: [4.0]}, measured=("gpu",))
    found = report_of(tmp_path)
    in_arms = [row[1].text for row in found.arms.rows]
    in_budget = [row[2].text.split(" J")[0].split(" mJ")[0] for row in found.budget.rows]
    assert in_arms == in_budget and all("±" not in text for text in in_budget)


def test_an_estimate_is_marked_wherever_it_stands(tmp_path: Path) -> None:
    records.campaign(tmp_path, {1: [0.02, 0.021, 0.02], 4: [0.01, 0.0103, 0.01]})
    html = document(report_of(tmp_path))
    page = Page(html)
    assert "Energy is estimated, not measured." in html
    cells = [(a, " ".join(t.split())) for a, t in page.cells]
    joules = [t for a, t in cells if a.get("data-key", "").endswith(".estimated")]
    assert joules and all(t.startswith("≈ 0.") and t.endswith(" estimated") for t in joules)
    # Whatever is an amount of joules is said to be an estimate in its own row.
    rows = [" ".join(t for _, t in row) for row in page.rows]
    amounts = [row for row in rows if re.search(r"\d\S* m?J/token", row)]
    assert len(amounts) > 2 and all("estimated" in row for row in amounts)


def test_measured_energy_is_never_called_estimated(html: str) -> None:
    marked = [a for a in Page(html).of("span") if "estimated" in a.get("class", "")]
    assert marked == [] and "Energy is estimated" not in html


def test_foreign_text_is_only_text(tmp_path: Path) -> None:
    folder = folders.measured(tmp_path / "c", model=f"org/{folders.HOSTILE}")
    html = document(report_of(folder))
    page = Page(html)
    assert len(page.of("script")) == 2  # the figures as data, and the report's own
    assert page.of("img") == [] and "\u202e" not in html and "\x1b" not in html
    assert not any(name.startswith("on") for _, a in page.elements for name in a)
    assert not any("style" in a for _, a in page.elements)
    words = "".join(t for texts in page.texts.values() for t in texts)
    assert words.count("<img src=x onerror=alert(2)>") >= 4  # model, message, hint, log, YAML
    assert "\\u202e\\x1b[31m&amp;" in words


def test_only_what_stands_in_the_file_may_run(html: str) -> None:
    page = Page(html)
    (policy,) = (
        a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'"
    style, script = (
        re.findall(rf"<{tag}>(.*?)</{tag[:6]}", html, re.DOTALL)
        for tag in ("style", 'script type="module"')
    )
    for kind, (content,) in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{digest}'"
    sources = [v for t, a in page.elements for k, v in a.items() if k in ("src", "data", "srcset")]
    assert sources == []
    links = [a["href"] for a in page.of("link")]
    assert links == ["data:,"]
    assert re.findall(r"url\((?!data:)", html) == []


def test_what_did_not_count_is_there_with_its_reason(tmp_path: Path) -> None:
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, None]}, measured=("gpu",))
    arm, base = records.arm_name(1), records.arm_name(0)
    flagged = records.record(arm_id=base, block=2, energy={"gpu": 2.0}, flags=["counter_reset"])
    records.place(tmp_path, flagged)
    damaged = tmp_path / "blocks" / "0002" / arm / "0"
    damaged.mkdir(parents=True)
    (damaged / "record.json").write_text("{")
    found = report_of(tmp_path)
    stands = {(r.block, r.arm): r.stands for r in found.runs.left_out}
    assert stands[1, "batch size 4"] == "failed: out_of_memory"
    assert stands[2, "batch size 1"].startswith(("excluded: counter_reset", "void:"))
    assert stands[2, "batch size 4"].startswith("unusable: ")
    assert found.runs.counted == 3
    html = document(found)
    assert (
        "the engine ran out of memory" in html
        and "Runs that count: 3. In the folder, but in no figure: 3." in html
    )


def test_a_failure_is_shown_with_its_last_words(rich: Path) -> None:
    (run_,) = report_of(rich).runs.left_out
    assert run_.stands == "failed: interrupted"
    assert run_.last_lines[0] == "loading weights"
    assert run_.message.startswith("</script>") and run_.hint.startswith("</script>")


def test_a_run_that_stands_for_its_arm_is_the_middle_one(tmp_path: Path) -> None:
    from lem.report.html.runs import representatives

    values = {1: [2.0, 9.0, 3.0], 4: [1.0, 5.0, 4.0, 0.5]}
    records.campaign(tmp_path, values, blocks=4, measured=("gpu",))
    campaign = open_results(tmp_path).one()
    found = representatives(campaign, campaign.compare())
    blocks = {r.experiment.engine["max_batch_size"]: r.block for _, r in found.values()}
    assert blocks == {1: 2, 4: 0}  # 3.0 of 2, 3, 9; of four the lower of the middle two


def test_parts_of_the_uncertainty_add_up(rich: Path) -> None:
    found = report_of(rich)
    rows: list[tuple[float, list[float]]] = []
    for row in found.budget_parts.rows:
        if row[2].value is not None:
            rows.append((row[2].value, []))
        assert row[4].value is not None
        rows[-1][1].append(row[4].value / 100)
    assert len(rows) == 12 * 3  # arms and device classes
    for _, parts in rows:
        assert 2 * math.hypot(*parts) == pytest.approx(0.02, rel=1e-6)  # what the records state
    scatter = {r[0].text: r[3].value for r in found.budget.rows if "GPU" in r[1].text}
    c = found.comparison
    assert c is not None
    for arm in c.arms:
        figure = arm.figures[c.quantities[0].key]
        assert figure.u_a is not None
        assert scatter[arm.name] == pytest.approx(100 * figure.u_a / figure.mean)


def test_the_power_over_time_is_the_traces_own(rich: Path) -> None:
    found = report_of(rich)
    assert len(found.traces.charts) == 2 and len(found.traces.more) == 10
    base = found.traces.charts[0]
    assert "transformers with batch size 1, bfloat16" in base.title
    names = {line.name: line for line in base.lines}  # type: ignore[union-attr]
    busy = max(v for name, line in names.items() if name.lower() == "gpu0" for v in line.values)
    # 2 J/token at 70 tokens/s, with a wave of 6 % on it.
    assert busy == pytest.approx(2.0 * 70 * 1.06, rel=0.02)
    assert any(p.name.startswith("window") for p in base.phases)  # type: ignore[union-attr]


def test_a_trace_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu",))
    notes = report_of(tmp_path).traces.notes
    assert len(notes) == 2 and "batch size 1: no trace is shown" in notes[0]


def test_shares_are_there_for_a_whole_grid_and_refused_with_a_reason_otherwise(
    rich: Path, tmp_path: Path
) -> None:
    assert "Batch size explains" in report_of(rich).shares.sentences[0]
    axes: dict[str, Any] = {"backend": ["a", "b"], "engine.max_batch_size": [1, 4]}

    def figures(cell: dict[str, Any], block: int) -> dict[str, Any]:
        return {"energy": {"gpu": 1.0 + block / 50 + cell["engine.max_batch_size"]}}

    def is_last(cell: dict[str, Any]) -> bool:
        return cell == {"backend": "b", "engine.max_batch_size": 4}

    records.grid(tmp_path, axes, figures, leave_out=is_last)
    found = report_of(tmp_path).shares
    assert found.charts == () and "not every combination was run" in found.missing


def test_where_nothing_can_be_compared_the_report_says_why(tmp_path: Path) -> None:
    records.campaign(tmp_path / "failed", {1: [None, None], 4: [None, None]})
    html = document(report_of(tmp_path / "failed"))
    assert "Nothing is compared here: " in html and "out_of_memory" in html
    with pytest.raises(BadInput, match="matches no arm"):
        report_of(tmp_path / "failed", baseline="batch size 32")


def test_the_origin_is_the_lock_and_the_file(rich: Path, html: str) -> None:
    lock = Lock.read(rich / "campaign.lock.json")
    assert lock.campaign_digest in html and f"lem-energy=={lock.lem_version}" in html
    assert "engine.max_batch_size: [1, 4, 16]" in html
    assert all(a.arm_id in html for a in lock.arms)
    assert str(rich) not in html  # where it lies on this machine is nobody's business


def test_a_link_in_place_of_the_campaign_file_is_not_followed(tmp_path: Path) -> None:
    records.campaign(tmp_path / "c", {1: [2.0], 4: [1.0]}, measured=("gpu",))
    (tmp_path / "secret").write_text("password: 1234")
    (tmp_path / "c" / "campaign.yaml").symlink_to(tmp_path / "secret")
    assert "1234" not in document(report_of(tmp_path / "c"))


def test_thirty_runs_fit_into_a_small_file(html: str) -> None:
    assert len(html.encode()) < 1_500_000


def test_the_command_writes_where_it_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    records.campaign(folder, {1: [2.0, 2.1], 4: [1.0, 1.07]}, measured=("gpu",))
    shown = run("report", folder)
    assert shown.exit_code == 0 and shown.stdout == ""
    assert "report written to" in shown.stderr
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")
    shown = run("report", folder, "-o", tmp_path / "x.html", "--json")
    said = json.loads(shown.stdout)
    assert said["file"] == str(tmp_path / "x.html")
    assert said["bytes"] == (tmp_path / "x.html").stat().st_size
    assert said["finding"].startswith("Batch size 4 uses 50")
    assert (said["estimated"], said["provisional"], said["runs_counted"]) == (False, False, 4)


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    for name in ("a", "b"):
        records.campaign(tmp_path / name, {1: [2.0], 4: [1.0]}, measured=("gpu",))
    several = run("report", tmp_path)
    assert isinstance(several.exception, BadInput) and "report is of one" in str(several.exception)
    nowhere = run("report", tmp_path / "a", "-o", tmp_path / "a" / "campaign.lock.json" / "x.html")
    assert isinstance(nowhere.exception, BadInput) and "cannot be written" in str(nowhere.exception)
