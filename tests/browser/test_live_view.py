"""The live view of a campaign and the list of campaigns, as somebody sees them in a browser."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser

from lem.contract.live import Power
from tests.browser import live_scene
from tests.browser.live_scene import Scene, texts, until
from tests.browser.live_stage import Sender, Stage
from tests.browser.outlets import Outlet
from tests.browser.test_hostile import RAN, REORDERS, SHOWN
from tests.browser.visits import Visit, begin
from tests.live_log import HOSTILE, Shape, batches, events

scene, look = live_scene.scene, live_scene.look
CELLS = """() => Object.fromEntries(
    ["done", "excluded", "void", "failed", "running", "waiting"].map(s => [
        s, document.querySelectorAll(`table.runs .cell.is-${s}`).length]))"""


def test_a_recorded_campaign_is_shown_as_it_ended(scene: Scene, look: Callable[..., Visit]) -> None:
    one = look(scene.live(scene.small))
    page = one.page
    expected = {"done": 6, "excluded": 1, "void": 1, "failed": 1, "running": 0, "waiting": 0}
    assert page.evaluate(CELLS) == expected
    assert texts(page, ".state-now strong") == ["Finished"]
    # One came out well, but another run of its block was void after it.
    line = "7 of 9 runs made, 1 of them not counted; 1 failed"
    assert line in page.locator(".state-line").inner_text()
    # What a cell says does not depend on its colour.
    rows = page.locator("table.runs tbody tr")
    assert rows.count() == 3
    said = rows.nth(2).locator("td .visually-hidden").all_text_contents()
    assert said[1] == "failed" and said[0].startswith("done: ") and "J per token" in said[0]
    assert re.search(r": [0-9.]+ \([0-9.]+–[0-9.]+\) ", said[0]), said[0]  # with its uncertainty
    rows = page.locator(".energy-table tbody tr")
    assert rows.count() == 3
    assert rows.nth(1).inner_text().count("–") == 2  # both intervals
    assert page.locator(".provisional").count() == 0
    table = page.locator(".energies").inner_text()
    assert "Expanded uncertainty (k = 2)" in table and "95 % interval" in table
    assert "± 0.0 %" not in table
    # The last run has ended: its record's figure, not what readings add up to.
    (tile,) = texts(page, ".tiles .tile")
    assert "J per token" in tile and "with its uncertainty (k = 2)" in tile
    assert "figures of this run's record" in page.locator(".now").inner_text()
    assert len(texts(page, ".answer")) > 1
    assert one.take() == []


def test_estimates_never_look_like_measurements(scene: Scene, look: Callable[..., Visit]) -> None:
    page = look(scene.live(scene.estimated, "?left=0.0.0&right=1.0.0")).page
    assert page.locator(".tile .badge.estimated").count() == 1
    assert page.locator(".energies h2 .badge.estimated").count() == 1
    assert page.locator(".half .badge.estimated").count() == 2
    figures = page.locator(".energy-table td:nth-of-type(1) .figure")
    assert figures.count() == page.locator(".energy-table td .figure.is-estimated").count() == 2
    assert "processor times" in page.locator(".energies").inner_text()
    # Nor while they are read, nor once they stand as a run's figures.
    said = page.locator(".beside").inner_text()
    assert said.count("From estimates of power") == 2 and "power readings" not in said
    assert said.count("may be off by 50 % and more") == 3
    assert page.locator(".half .figure.is-so-far.is-estimated").count() == 4
    page.locator(".beside .scrubber").press("End")
    until(page, "document.querySelectorAll('.half .is-result.is-estimated').length === 2")
    assert page.locator(".half .badge.estimated").count() == 2
    assert "By the estimates in their records" in page.locator(".verdict").inner_text()
    page.locator(".jump select").select_option(index=1)
    page.wait_for_timeout(150)
    assert page.locator(".tile .badge.estimated").count() == 1


@pytest.mark.parametrize("query", ["", "?left=1.0.0&right=0.0.0"])
def test_answers_are_text_whatever_they_try(
    scene: Scene, look: Callable[..., Visit], query: str
) -> None:
    # Without the policy of the pages, which is the second wall.
    page = look(scene.live(scene.naughty, query), bypass_csp=True).page
    page.locator(".live-view > .player .play").click()
    page.locator(".player label", has_text="64×").click()
    until(page, "window.__lem_live.screen.answers.value.kept.length > 3")
    for _ in range(10):
        assert page.evaluate(RAN) == []
        shown = page.evaluate(SHOWN)
        assert [c for c in REORDERS if c in shown] == []
        assert page.locator(".answer *").count() == 0
        page.wait_for_timeout(100)
    page.locator(".scrubber").first.press("End")
    page.wait_for_timeout(200)
    answers = " ".join(texts(page, ".answers .answer"))
    assert "\\u202egnp.exe" in answers and "[a link](javascript:" in answers
    assert HOSTILE[0] in answers
    assert page.locator("h1").inner_text().startswith("<b>naughty</b>\\u202e")


def test_what_comes_is_shown_once_across_a_restart_of_the_server(
    scene: Scene, look: Callable[..., Visit]
) -> None:
    stage, sender = scene.stage, scene.sender
    pieces = list(batches(Shape(window_s=3, rate=5)))
    one = look(scene.live(scene.running))
    page = one.page
    until(page, "document.querySelector('.connection')?.textContent === 'Live'")
    assert page.evaluate("window.__lem_live.told.points") == sender.points
    for piece in pieces[sender.number : 40]:
        sender.send(piece)
    until(page, f"window.__lem_live.told.points === {sender.points}")
    assert stage.process is not None
    stage.process.kill()
    until(page, "document.querySelector('.connection')?.textContent.startsWith('Reconnecting')")
    stage.serve()
    for piece in pieces[sender.number : 80]:
        sender.send(piece)
    until(page, f"window.__lem_live.told.points === {sender.points}")
    # One who comes only now has seen the same.
    late = look(scene.live(scene.running)).page
    until(late, f"window.__lem_live.told.points === {sender.points}")
    for piece in pieces[sender.number :]:
        sender.send(piece)
    sender.finish()
    for there in (page, late):
        until(there, "document.querySelector('.state-now strong').textContent === 'Finished'")
        assert there.evaluate("window.__lem_live.told.points") == sender.points
        # Every batch of the log, of which two and the last are the server's own.
        told = there.evaluate("window.__lem_live.told")
        assert told["batches"] == told["last"] == sender.number + 3
    all_points = sum(isinstance(e, Power) for e in events(Shape(window_s=3, rate=5)))
    assert sender.points == all_points
    assert page.evaluate(CELLS) == late.evaluate(CELLS)
    faults = [f for f in one.take() if "ERR_" not in f and "failed:" not in f]
    assert faults == []
    # And now it can be replayed.
    page.get_by_role("button", name="Replay this campaign").click()
    until(page, "document.querySelectorAll('.player').length === 1")
    replayed = page.locator(".scrubber").first
    replayed.press("End")
    until(page, "document.querySelector('.state-now strong').textContent === 'Finished'")
    assert page.evaluate(CELLS) == late.evaluate(CELLS)


def test_a_replay_is_walked_through_by_keyboard(scene: Scene, look: Callable[..., Visit]) -> None:
    page = look(scene.live(scene.small)).page
    ended = page.evaluate(CELLS)
    scrubber = page.locator(".scrubber").first
    scrubber.press("Home")
    page.wait_for_timeout(150)
    assert scrubber.get_attribute("aria-valuetext", timeout=1000).startswith("0:00 of ")
    assert texts(page, ".state-now strong") == ["Waiting for a machine"]
    seen = []
    for _ in range(8):
        scrubber.press("PageUp")
        page.wait_for_timeout(100)
        cells = page.evaluate(CELLS)
        seen.append(cells["done"] + cells["excluded"] + cells["failed"] + cells["void"])
    assert seen == sorted(seen) and seen[-1] > seen[0]
    scrubber.press("End")
    page.wait_for_timeout(150)
    assert page.evaluate(CELLS) == ended
    # Back to a run: it is under way, and those after it wait.
    page.locator(".jump select").select_option(index=2)
    page.wait_for_timeout(200)
    cells = page.evaluate(CELLS)
    assert (cells["done"], cells["running"], cells["waiting"]) == (1, 1, 7)
    first = page.evaluate("window.__lem_live.screen.now.value")
    page.locator(".player .play").press("Enter")
    until(page, f"window.__lem_live.screen.now.value > {first} + 300")
    assert page.locator(".player .play").inner_text() == "Pause"


def test_energy_counts_from_where_its_measurement_began(
    scene: Scene, look: Callable[..., Visit]
) -> None:
    page = look(scene.live(scene.small)).page
    scrubber = page.locator(".scrubber").first
    page.locator(".jump select").select_option(index=2)
    page.wait_for_timeout(200)
    assert (
        "No energy is counted before its measurement begins." in page.locator(".now").inner_text()
    )
    assert {text.split()[0] for text in texts(page, ".tile .is-so-far")} == {"–"}
    for _ in range(12):
        scrubber.press("ArrowRight")
        page.wait_for_timeout(50)
        if "is measured: not the run's figure" in page.locator(".now").inner_text():
            break
    counted = texts(page, ".tile .is-so-far .value")
    assert len(counted) == 3 and "–" not in counted


def test_power_is_held_still_and_looked_back_at(scene: Scene, look: Callable[..., Visit]) -> None:
    page = look(scene.live(scene.small)).page
    page.locator(".jump select").select_option(index=2)
    page.locator(".player .play").click()
    page.get_by_role("button", name="Hold still").click()
    back = page.locator(".back input")
    before = back.get_attribute("aria-valuetext")
    back.press("Home")
    assert back.get_attribute("aria-valuetext") != before
    assert back.get_attribute("aria-valuetext").startswith("0 s ")
    page.get_by_role("button", name="Go on").click()
    assert back.count() == 0
    page.locator(".power-tools label", has_text="whole run").click()
    assert page.locator(".power-tools .is-chosen").inner_text() == "whole run"


def test_two_runs_answer_side_by_side(scene: Scene, look: Callable[..., Visit]) -> None:
    one = look(scene.live(scene.small))
    page = one.page
    page.get_by_role("button", name="Put two runs side by side").click()
    until(page, "document.querySelectorAll('.half .value').length >= 4")
    assert "left=" in page.url and "right=" in page.url
    left, right = page.locator(".choosing select").first, page.locator(".choosing select").last
    left.select_option(label="max batch size 1, block 1")
    right.select_option(label="max batch size 16, block 1")
    assert page.url.endswith("?left=0.0.0&right=2.0.0")
    until(page, "document.querySelectorAll('.half .answer')[1]?.textContent.length > 20")
    before = texts(page, ".half .counter .value")
    until(page, f"document.querySelector('.half .counter .value').textContent !== '{before[0]}'")
    # Nothing is compared of what is read so far.
    said = page.locator(".beside").inner_text()
    assert "So far these are counters." in said and "less energy" not in said
    # A counter is no figure, and says so.
    assert said.count("From power readings while it is measured: not the run's figure.") == 2
    assert page.locator(".half .is-so-far").count() == 4
    assert said.count("All its runs:") == 2
    assert "same prompts, in the same order" in said and "two single runs" in said
    # Once they have ended each shows what its record says.
    page.locator(".beside .scrubber").press("End")
    until(page, "document.querySelectorAll('.half .is-result').length === 2")
    said = page.locator(".beside").inner_text()
    assert re.search(r"By their records max batch size 16 used \d+ to \d+ % less energy", said)
    assert "readings" not in said
    assert said.count("with its uncertainty (k = 2)") == 2
    assert page.locator(".half .is-so-far, .half .counter").count() == 0
    right.select_option(label="max batch size 16, block 3")
    until(page, "/in another order/.test(document.querySelector('.beside').textContent)")
    # The address alone brings it back.
    again = look(page.url)
    assert again.page.locator(".half h3").all_inner_texts() == [
        "max batch size 1, block 1",
        "max batch size 16, block 3",
    ]
    assert one.take() == again.take() == []


def test_a_run_of_another_campaign_stands_beside(scene: Scene, look: Callable[..., Visit]) -> None:
    page = look(scene.live(scene.small)).page
    page.get_by_role("button", name="Put two runs side by side").click()
    page.locator(".choosing select").nth(1).select_option(label="a laptop")
    until(page, "document.querySelectorAll('.choosing select')[2]?.options.length > 1")
    page.locator(".choosing select").last.select_option(index=1)
    until(page, "document.querySelectorAll('.half .counter').length === 2")
    said = page.locator(".beside").inner_text()
    assert "different campaigns" in said and "of different kinds" in said
    assert f"with={scene.estimated}" in page.url


def test_a_run_under_way_stands_beside_one_that_is_done(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stage = Stage(tmp_path_factory.mktemp("beside"))
    try:
        queued, fence = stage.running()
        stage.serve()
        sender = Sender(stage, queued, fence)
        shape = Shape(arms=2, faults=False, load_s=1, warm_up_s=1, idle_s=1, window_s=3, rate=5)
        pieces = list(batches(shape))
        ends = [i for i, piece in enumerate(pieces) if any(e.k == "end" for e in piece)]
        for piece in pieces[: ends[0] + 1]:
            sender.send(piece)
        visit = begin(chromium, Outlet("stage", f"{stage.url}/"))
        page = visit.page
        page.goto(f"{stage.url}/live/{queued}")
        until(page, "!!document.querySelector('.beside button')")
        page.get_by_role("button", name="Put two runs side by side").click()
        page.locator(".choosing select").last.select_option(index=1)
        assert "left=now&right=" in page.url
        # At its own pace: what stands beside it is as far as it is.
        begun, first = time.monotonic(), pieces[ends[0] + 1][0].at
        for piece in pieces[ends[0] + 1 : ends[1]]:
            sender.send(piece)
            gone = time.monotonic() - begun
            page.wait_for_timeout(max(0, piece[-1].at - first - 1000 * gone))
        for half in (".is-left", ".is-right"):
            words = f"document.querySelector('.half{half} .for-tokens')?.textContent ?? 'for 0 '"
            until(page, f"!/for 0 /.test({words})")
        visit.context.close()
    finally:
        stage.close()


def test_whoever_queued_it_may_cancel_it(scene: Scene, look: Callable[..., Visit]) -> None:
    added = scene.stage.add("to be cancelled")
    others = look(scene.live(added.id)).page
    assert others.get_by_role("button", name="Cancel this campaign").count() == 0
    page = look(scene.live(added.id)).page
    page.evaluate(f"sessionStorage.setItem('lem.owner.{added.id}', '{added.owner_token}')")
    page.reload()
    cancel = page.get_by_role("button", name="Cancel this campaign")
    cancel.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('dialog').open")
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('dialog').open")
    assert page.evaluate("document.activeElement.textContent") == "Cancel this campaign"
    cancel.click()
    page.get_by_role("button", name="Yes, cancel it").click()
    until(page, "document.querySelector('.state-now strong').textContent === 'Cancelled'")
    until(others, "document.querySelector('.state-now strong').textContent === 'Cancelled'")


def test_the_list_of_campaigns_says_who_runs_what_and_what_waits(
    scene: Scene, look: Callable[..., Visit]
) -> None:
    page = look(f"{scene.outlet.url}queue").page
    assert "one that waits" in page.locator("[data-part=waiting]").inner_text()
    finished = page.locator("[data-part=finished]").inner_text()
    assert "batching, small models" in finished and "\\u202e" in finished
    machines = page.locator("[data-part=machines]").inner_text()
    assert "2 × NVIDIA H100 80GB HBM3" in machines and "models Qwen/*" in machines
    link = page.locator("[data-part=waiting] a").first
    assert link.get_attribute("href") == f"/live/{scene.waiting.id}"
    # Somebody queues another one; what has the focus keeps it.
    link.focus()
    scene.stage.add("came later")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    until(page, "document.querySelector('[data-part=waiting]').textContent.includes('came later')")
    assert page.evaluate("document.activeElement.textContent") == "one that waits"
    assert page.locator("[role=status]").last.text_content() == "The list has changed."


def test_without_scripts_the_pages_say_what_there_is(scene: Scene, chromium: Browser) -> None:
    one = begin(chromium, scene.outlet, java_script_enabled=False)
    page = one.page
    page.goto(scene.live(scene.waiting.id))
    text = page.locator("main").inner_text()
    assert "number 1 in the queue" in text and "with JavaScript it moves" in text
    page.locator("summary").last.click()
    assert "<script>window.hit = 1</script>" in page.locator("pre").inner_text()
    page.goto(scene.live(scene.small))
    assert "Finished" in page.locator("main").inner_text()
    assert page.locator("a[download]").get_attribute("href").endswith("/recording")
    page.goto(f"{scene.outlet.url}queue")
    assert page.locator("main tbody tr").count() >= 5
    one.context.close()
