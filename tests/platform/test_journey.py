"""What a newcomer does with nothing but a browser: from the first page to a finished campaign in
the archive. Server and PostgreSQL in their containers, a runner that starts engines in theirs, a
real small model; the runner is killed and the server too while somebody watches."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import composed
import httpx
import pytest
from browser import chromium as browsers
from composed import Project
from playwright.sync_api import Page, expect
from runner_folder import furnish
from tick import LEM, environment
from tick_image import need_docker

PATIENCE_MS = 60_000
A_CAMPAIGN_MS = 300_000

SHORT = "measure: {preset: quick, blocks: 2, window_s: 3, idle_s: 0.5, warm_up_cap_s: 3}"


class Runner:
    """``lem runner`` as its owner starts it, in a session of its own."""

    def __init__(self, project: Project, folder: Path) -> None:
        policy = furnish(folder)
        token = project.run(
            *("exec", "-T", "server", "lem", "archive", "token"),
            "--role",
            "runner",
            "--name",
            "box",
        )
        (folder / "token").write_bytes(token)
        (folder / "token").chmod(0o600)
        homes = {f"XDG_{n}_HOME": str(folder / n.lower()) for n in ("CONFIG", "STATE", "DATA")}
        self._environment = environment(folder / "cache") | homes
        self._command = [
            *(*LEM, "runner", "--server", project.url, "--token-file", str(folder / "token")),
            *("--policy", str(policy), "--data", str(folder / "data")),
            *("--name", "Box in the cellar", "--launcher", "docker"),
        ]
        self.log = folder / "log"
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def kill(self) -> None:
        """Without a word, and whatever it has started with it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    need_docker()
    with composed.project() as found:
        yield found


@pytest.fixture
def runner(project: Project, tmp_path: Path) -> Iterator[Runner]:
    found = Runner(project, tmp_path / "runner")
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def page(project: Project) -> Iterator[Page]:
    with browsers.opened() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        opened = context.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        try:
            yield opened
        finally:
            context.close()
            expect.set_options(timeout=5_000)


@pytest.mark.docker
@pytest.mark.engines
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_the_first_page_to_the_archive(
    project: Project, runner: Runner, page: Page, tmp_path: Path
) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith(project.url) else None)
    try:
        build(page, project)
        queued = join_and_queue(page)
        watch(page, project, runner, queued)
        look_at_what_came_of_it(page, project, queued, tmp_path)
    except BaseException:
        page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
        print(runner.log.read_text(errors="replace")[-4000:])
        raise
    assert wrong == []


def build(page: Page, project: Project) -> None:
    """From the first page to a draft: with the form, and with the file beside it."""
    page.goto(project.url)
    page.get_by_role("link", name="Run a campaign").first.click()
    file = page.get_by_label("Campaign file (YAML)")
    expect(file).to_have_value(re.compile("SmolLM2"))
    page.get_by_role("checkbox", name=re.compile("^transformers")).uncheck()
    expect(file).not_to_have_value(re.compile("transformers"))
    text = re.sub(r"^measure: .*$", SHORT, file.input_value(), flags=re.MULTILINE)
    file.fill(text.replace("[1, 4, 16]", "[1, 4]"))
    expect(page.get_by_label("Values, with commas between them").first).to_have_value("1, 4")
    expect(page.get_by_text("No problems.")).to_be_visible()


def join_and_queue(page: Page) -> str:
    """Becomes somebody, comes back to the draft, and queues it. Returns its id."""
    page.get_by_role("link", name="Sign in or join").click()
    page.get_by_label("Name").fill("Ada")
    page.get_by_role("button", name="Join").click()
    page.get_by_role("link", name="Build a campaign").click()
    expect(page.get_by_label("Campaign file (YAML)")).to_have_value(re.compile(r"\[1, 4\]"))
    page.get_by_role("checkbox", name=re.compile("CC BY 4.0")).check()
    page.get_by_role("button", name="Queue the campaign").click()
    page.wait_for_url(re.compile(r"/live/q[0-9a-f]{20}$"))
    return page.url.rsplit("/", 1)[1]


def watch(page: Page, project: Project, runner: Runner, queued: str) -> None:
    """Sees it run; the runner is killed and started anew, and then the server."""
    done = page.get_by_role("table", name="Experiments by blocks").get_by_text("done", exact=False)
    expect(page.get_by_text("being written").first).to_be_visible(timeout=A_CAMPAIGN_MS)
    expect(page.get_by_text(" W", exact=False).first).to_be_visible()
    runner.kill()
    runner.start()
    expect(done.first).to_be_attached(timeout=A_CAMPAIGN_MS)
    project.run("kill", "-s", "KILL", "server")
    expect(page.get_by_text("Reconnecting… nothing is lost.")).to_be_visible()
    project.up()
    expect(page.get_by_text("Finished", exact=True).first).to_be_visible(timeout=A_CAMPAIGN_MS)
    state = httpx.get(f"{project.url}/api/v1/queue/{queued}").json()
    assert state["state"] == "done" and state["campaign_state"] == "complete", state


def look_at_what_came_of_it(page: Page, project: Project, queued: str, tmp_path: Path) -> None:
    """The board, the comparison, the recording and the replay of it."""
    recording = events(httpx.get(f"{project.url}/api/v1/campaigns/{queued}/recording").text)
    ended = [e for e in recording if e["k"] == "end" and e["outcome"] == "record"]
    assert sorted({(e["block"], e["arm"]) for e in ended}) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    # What counts is what the archive has: each block of each experiment once.
    found = httpx.get(f"{project.url}/api/v1/results", params={"class": "estimated"}).json()["rows"]
    counted = sorted((r["configuration"], r["block"]) for r in found if r["counted"])
    assert [block for _, block in counted] == [0, 1, 0, 1] and len(set(counted)) == 4, found

    page.reload()
    page.get_by_role("link", name="Which choice mattered in this campaign").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download the recording of this page").click()
    file = tmp_path / "recording.ndjson"
    downloading.value.save_as(file)
    assert events(file.read_text("utf-8")) == recording

    position = page.get_by_role("slider", name="Position")
    position.focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("No run made yet")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_text("4 of 4 runs made")).to_be_visible()

    page.get_by_role("link", name="Compare its configurations").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="Explore", exact=True).first.click()
    expect(page.get_by_text("SmolLM2-135M-Instruct").first).to_be_visible()


def events(text: str) -> list[dict[str, object]]:
    return [event for line in text.splitlines() for event in json.loads(line)[2]]
