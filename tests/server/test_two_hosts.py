"""The whole way between machines: hosts with boards of their own measure the same experiment and
submit it over a network; one of them disagrees.

The hosts are network namespaces, each with a played NVIDIA board of its own; what runs in them are
the commands of a user.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_process import Process
from tick import write_campaign

from tests.meters import played

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
if os.geteuid() != 0 and not os.environ.get("CI"):
    pytestmark.append(pytest.mark.skip(reason="network namespaces need root"))

WATTS = 250.0
BLOCKS = 5


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


class Host:
    """A machine with its own network, home and board; ``gain`` is how far that board's readings
    are off."""

    def __init__(self, folder: Path, number: int, library: Path, gain: float) -> None:
        self.number, self.folder = number, folder / f"host-{number}"
        self.folder.mkdir()
        # Agents are not told where the played file is: it lies beside the library.
        self.library = self.folder / library.name
        shutil.copy(library, self.library)
        self.space = f"lem-test-{os.getpid()}-{number}"
        # Of this process alone, in case that several run these tests.
        own = os.getpid()
        network = f"10.{200 + number}.{own % 250}"
        self.address, self.server = f"{network}.2", f"{network}.1"
        here, there = f"lem{own}-{number}a", f"lem{own}-{number}b"
        ip("netns", "add", self.space)
        ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.space)
        ip("addr", "add", f"{self.server}/24", "dev", here)
        ip("link", "set", here, "up")
        ip("-n", self.space, "addr", "add", f"{self.address}/24", "dev", there)
        ip("-n", self.space, "link", "set", there, "up")
        ip("-n", self.space, "link", "set", "lo", "up")
        self.config = self.folder / "played.txt"
        options = {"gain": gain, "serial": number, "noise_w": 8.0, "seed": number}
        played.Play([(played.NEVER, WATTS, WATTS)], options).write(self.config)

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.space], check=False, timeout=20)

    def lem(self, *arguments: str | Path, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        home = {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "LEM_CACHE": str(self.folder / "cache"),
            "NO_COLOR": "1",
            "COLUMNS": "120",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LEM_", "XDG_"))}
        done = subprocess.run(
            [
                *("ip", "netns", "exec", self.space),
                *(sys.executable, "-m", "lem.cli.main", *map(str, arguments)),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            input=stdin,
            env=kept | home | played.environment(self.library, self.config),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def measure(self) -> None:
        campaign = write_campaign(
            self.folder / "campaign.yaml",
            backends={"tick": {"args": {"token_ms": 20, "paced": True}}},
            sweep={"engine.max_batch_size": [1, 4]},
            gpus=[0],
            measure={
                "preset": "quick",
                "window_s": 2.0,
                "idle_s": 0.3,
                "settle_s": 0,
                "warm_up_cap_s": 0.2,
                "meters": ["nvml"],
            },
            workload={
                "requests": 200,
                "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 4},
            },
            submit="never",
        )
        out = self.folder / "out"
        self.lem("campaign", "run", campaign, "--out", out, "--blocks", str(BLOCKS))

    def push(self) -> Any:
        url, out = f"http://{self.server}:{self.port}", self.folder / "out"
        return json.loads(
            self.lem(
                *("results", "push", out, "--server", url, "--plain-http", "--yes", "--json")
            ).stdout
        )

    port = 0


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """All have measured, at the same time."""
    folder = tmp_path_factory.mktemp("hosts")
    library = played.build_library(folder)
    made: list[Host] = []
    try:
        # Honest boards differ by some per cent; the third reads a fifth too much.
        for number, gain in ((1, 1.01), (2, 0.985), (3, 1.2)):
            made.append(Host(folder, number, library, gain))
        with ThreadPoolExecutor(len(made)) as together:
            list(together.map(Host.measure, made))
            for host in made:
                host.lem("key", "new")
        yield made
    finally:
        for host in made:
            host.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_agree_and_a_third_is_shown_to_disagree(
    kind: str, hosts: list[Host], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {}
    if kind == "postgresql":
        environment["LEM_DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
    data = tmp_path / "archive"
    server = Process(data, ["--host", "0.0.0.0", "--enrolment", "invitation"], environment)
    try:
        with httpx.Client(base_url=f"{server.url}/api/v1", timeout=30) as client:
            for host in hosts:
                host.port = server.port
                invite = subprocess.run(
                    [
                        *(sys.executable, "-m", "lem.cli.main", "archive", "invite"),
                        *("--name", f"host {host.number}", "--data", str(data)),
                        *("--url", f"http://{host.server}:{server.port}"),
                    ],
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                    env=dict(os.environ) | environment,
                )
                host.lem("key", "enrol", "--plain-http", "--link-file", "-", stdin=invite.stdout)
            first, second, third = hosts
            first.push()
            alone = board_when(client, "recomputed")
            before = client.get("/log/head").json()
            first.push()
            assert client.get("/log/head").json() == before
            assert board_when(client, "recomputed") == alone
            assert {r["figure"]["tier"] for r in alone["rows"]} == {"recomputed"}
            second.push()
            both = board_when(client, "replicated")
            assert len(both["rows"]) == 2
            assert {r["figure"]["submitters"] for r in both["rows"]} == {2}
            assert not any(r["configuration"]["disagrees"] for r in both["rows"])
            third.push()
            contested = board_when(client, "replicated", disagreeing=True)
            # It is shown, and not averaged in.
            for before, after in zip(both["rows"], contested["rows"], strict=True):
                assert after["figure"]["submitters"] == 2
                assert after["figure"]["value"] == before["figure"]["value"]
                known = after["configuration"]["id"]
                detail = client.get(f"/configurations/{known}").json()
                verdicts = sorted(r["verdict"] for r in detail["replications"])
                assert verdicts == ["agrees", "disagrees", "disagrees"]
    finally:
        server.terminate()


def board_when(client: httpx.Client, tier: str, disagreeing: bool = False) -> Any:
    """The leaderboard, once every row of it is of this tier."""
    until = time.monotonic() + 60
    while True:
        found = client.get("/leaderboard", params={"class": "gpu"}).json()
        rows = found.get("rows", [])
        if rows and all(
            r["figure"]["tier"] == tier and r["configuration"]["disagrees"] >= disagreeing
            for r in rows
        ):
            return found
        if time.monotonic() > until:
            entries = client.get("/log").json()
            pytest.fail(json.dumps([entries, found], indent=1)[:8000])
        time.sleep(0.3)
