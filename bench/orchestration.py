"""What the docker launcher costs beside a bare ``docker run`` of the same agent command."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line, in_turn, median_ms
from lem import plugins
from lem.errors import LemError
from lem.launchers.protocol import BackendSetup, Folders, Prepared, Task

ROUNDS = 10
BACKEND = "llama_cpp"
WHAT = "a run by the docker launcher"


def lines(folder: Path) -> Iterator[Line]:
    if shutil.which("docker") is None:
        yield Line(WHAT, "not measured: there is no docker command here")
        return
    launcher = plugins.load("launchers", "docker")()
    try:
        prepared: Prepared = launcher.prepare(
            BackendSetup(BACKEND, image=os.environ.get("LEM_BENCH_IMAGE")), lambda line: None
        )
    except LemError as e:
        said = " ".join(e.message.split())
        yield Line(WHAT, f"not measured: {said[:200]}")
        return
    # A job that the agent refuses at once: all that is left is starting and ending.
    (folder / "job.json").write_text("{}")
    folder.chmod(0o777)
    task = Task("run", prepared, Folders(run=folder), "job.json", owner="bench")

    def by_lem() -> None:
        with launcher.start(task) as agent:
            ended = agent.wait(60)
        assert ended is not None and ended.status == 1, ended

    def bare() -> None:
        mount = f"type=bind,source={folder},target=/run"
        how = ["--rm", "--network=none", "--mount", mount, "--entrypoint=python3"]
        agent = ["-m", "lem.agent", "run", "/run/job.json"]
        done = subprocess.run(
            ["docker", "run", *how, prepared.image or "", *agent],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1, done

    actions = {"lem": by_lem, "bare": bare}
    in_turn(actions, 1)
    taken = in_turn(actions, ROUNDS)
    more = sorted(a - b for a, b in zip(taken["lem"], taken["bare"], strict=True))
    middle = more[len(more) // 2]
    yield Line(
        WHAT,
        median_ms(taken["lem"]),
        f"bare docker run: {median_ms(taken['bare'])}; {1000 * middle:+.0f} ms",
        "≤ 500 ms more",
    )
