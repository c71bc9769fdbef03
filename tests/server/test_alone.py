"""``lem campaign run --web``: the live view of one's own campaign, over HTTP."""

import gzip
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tick

from lem.campaign.execute import Moment
from lem.errors import EnvironmentFault, Interrupted
from lem.live.feed import Feed
from lem.live.hub import Hub
from lem.server import alone

MEASURE = {
    "preset": "quick",
    "window_s": 0.4,
    "idle_s": 0.05,
    "settle_s": 0,
    "warm_up_cap_s": 0.2,
}


class Web:
    """A command with ``--web`` that runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        file = tick.write_campaign(
            folder / "campaign.yaml",
            name="web",
            backends={"tick": {"args": {"token_ms": 3, "spoken": True}}},
            sweep={"engine.max_batch_size": [1, 4]},
            measure=MEASURE,
        )
        self.out = folder / "out"
        self.process = subprocess.Popen(
            [*tick.LEM, "campaign", "run", str(file), "--out", str(self.out), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=tick.environment(folder / "cache"),
        )
        self.said: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"watch it at (http://\S+)", line):
                self.url = found[1]
                break
        else:
            pytest.fail("".join(self.said))

    def end(self) -> int:
        out, err = self.process.communicate(timeout=120)
        self.said += [out, err]
        return self.process.returncode


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path, "--web", "--blocks", "2")
    yield made
    made.process.kill()
    made.process.communicate()


def frames(
    url: str, after: int = 0, connected: threading.Event | None = None
) -> Iterator[tuple[int, str]]:
    """Number and events of each batch, until the end."""
    with httpx.stream("GET", f"{url}events?after={after}", timeout=60) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        number, is_end = 0, False
        for line in answer.iter_lines():
            if connected is not None:
                connected.set()
            if line.startswith("id: "):
                number = int(line[4:])
            elif line == "event: end":
                is_end = True
            elif line.startswith("data: ") and not is_end:
                yield number, line[6:]
            elif line.startswith("data: "):
                assert int(line[6:]) == number
                return
    pytest.fail("it broke off without an end")


@pytest.mark.slow
def test_a_campaign_is_shown_from_its_first_run_to_its_end(web: Web) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[A-Za-z0-9_-]{32}/", web.url)
    page = httpx.get(web.url)
    assert page.status_code == 200 and page.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    island = re.search(r'<script type="application/json">(.*?)</script>', page.text)
    assert island is not None
    told = json.loads(island[1])
    assert (told["events"], told["recording"], told["cancel"]) == ("./events", "./recording", None)
    # Everything is found from where the page lies.
    assert not re.search(r'(?:src|href)="(?!\./|#|")', page.text)
    asset = re.search(r'src="\./(assets/[^"]+)"', page.text)
    assert asset is not None
    script = httpx.get(web.url + asset[1])
    assert script.status_code == 200 and "javascript" in script.headers["content-type"]

    seen = list(frames(web.url))
    assert [n for n, _ in seen] == list(range(1, len(seen) + 1))
    events = [e for _, data in seen for e in json.loads(data)]
    assert events[0]["k"] == "campaign" and events[0]["name"] == "web"
    kinds = [e["k"] for e in events]
    assert kinds.count("begin") == kinds.count("end") == 4
    assert {"plan", "phase", "power", "tokens", "text", "table"} <= set(kinds)
    assert events[-1] == {"k": "state", "at": events[-1]["at"], "state": "done", "message": ""}
    assert [e for e in events if e["k"] == "table"][-1]["provisional"] is False
    assert web.end() == 0
    assert "the live view has ended" not in "".join(web.said)
    # Nothing of it is left.
    with pytest.raises(httpx.ConnectError):
        httpx.get(web.url)
    assert {p.name for p in web.out.iterdir()} >= {"campaign.lock.json", "blocks"}
    assert not list(web.out.rglob("*live*"))


@pytest.mark.slow
def test_who_does_not_know_the_address_sees_nothing(web: Web) -> None:
    root = web.url.rsplit("/", 2)[0]
    for path in ("/", "/events", "/recording", "/wrong/", "/wrong/events", "/assets/icon.svg"):
        assert httpx.get(root + path).status_code == 404, path
    token = web.url.rsplit("/", 2)[1]
    assert httpx.get(f"{root}/{token}").headers["location"] == f"/{token}/"
    for path in ("assets/%2e%2e%2fevents", "assets/nothing.js", "assets//etc/passwd", "other"):
        assert httpx.get(web.url + path).status_code in (404, 400), path
    for method in ("POST", "PUT", "DELETE"):
        assert httpx.request(method, web.url + "events").status_code == 405
    assert "access-control-allow-origin" not in httpx.get(web.url).headers
    head = httpx.head(web.url + "events")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.slow
def test_who_breaks_off_goes_on_and_the_recording_has_it_all(web: Web) -> None:
    first = frames(web.url)
    seen = [next(first) for _ in range(5)]
    first.close()
    seen += list(frames(web.url, after=seen[-1][0]))
    assert [n for n, _ in seen] == list(range(1, len(seen) + 1))


def test_a_port_that_is_taken_is_said_before_anything_runs(tmp_path: Path) -> None:
    sock = alone._bind(0)
    sock.listen()
    port = sock.getsockname()[1]
    with (
        pytest.raises(EnvironmentFault, match=rf"cannot listen at port {port}"),
        alone.shown(tmp_path, "x", port, lambda _: None),
    ):
        pytest.fail("it began")
    sock.close()


def watched(folder: Path, error: BaseException | None) -> list[str]:
    """What a viewer is told of a campaign in ``folder`` that ends so."""
    said: list[str] = []
    found: list[str] = []
    connected = threading.Event()

    def look() -> None:
        url = said[0].removeprefix("watch it at ")
        found.extend(data for _, data in frames(url, connected=connected))

    try:
        with alone.shown(folder, "x", 0, said.append):
            thread = threading.Thread(target=look)
            thread.start()
            assert connected.wait(20)
            if error is not None:
                raise error
    except BaseException as e:  # noqa: BLE001 - what was raised above
        assert e is error
    thread.join(20)
    return found


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (None, "done", ""),
        (Interrupted("stopped"), "cancelled", "stopped by the user"),
        (KeyboardInterrupt(), "cancelled", "stopped by the user"),
        (EnvironmentFault("the disk is full"), "failed", "the disk is full"),
        (ValueError("wrong"), "failed", "wrong"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_how_it_ended_is_told(
    tmp_path: Path, error: BaseException | None, state: str, message: str
) -> None:
    (last,) = json.loads(watched(tmp_path, error)[-1])
    assert (last["state"], last["message"]) == (state, message)


def test_a_broken_view_does_not_touch_the_campaign(tmp_path: Path) -> None:
    said: list[str] = []
    hub = Hub(tmp_path / "log")
    feed = Feed(tmp_path, hub.channel("c"), said.append)
    feed.on_moment(Moment("plan", None))  # type: ignore[arg-type]
    feed.on_moment(Moment("plan", None))  # type: ignore[arg-type]
    hub.close()
    feed.end("done")
    assert len(said) == 1 and said[0].startswith("the live view has ended: ")


def test_a_full_disk_ends_the_view_and_no_more(tmp_path: Path) -> None:
    said: list[str] = []
    hub = Hub(tmp_path / "log")
    feed = Feed(tmp_path, hub.channel("c"), said.append)
    hub.close()
    feed.end("done")
    feed.end("done")
    assert len(said) <= 1


def test_without_its_packages_the_fix_is_named(tmp_path: Path) -> None:
    blocked = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from lem.cli.main import main\n"
        "main(['campaign', 'run', 'campaign.yaml', '--web'])\n"
    )
    tick.write_campaign(tmp_path / "campaign.yaml")
    done = subprocess.run(
        [sys.executable, "-c", blocked],
        cwd=tmp_path,
        env=tick.environment(tmp_path / "cache"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EnvironmentFault("").exit_code
    assert 'pip install "lem-energy[server]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_gzip_and_plain_recordings_are_the_same(tmp_path: Path) -> None:
    said: list[str] = []
    with alone.shown(tmp_path, "x", 0, said.append):
        url = said[0].removeprefix("watch it at ") + "recording"
        plain = httpx.get(url, headers={"Accept-Encoding": "identity"})
        with httpx.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
            packed = b"".join(answer.iter_raw())
        assert gzip.decompress(packed) == plain.content
