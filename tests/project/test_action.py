"""The GitHub Action: its own shell steps, run in order as a runner would, over the test engine."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tick import environment, write_campaign

import lem
from lem.config import parse

BASH = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
"""How a runner starts `shell: bash`."""


class Job(NamedTuple):
    code: int
    log: str
    summary: str
    outputs: dict[str, str]
    """Of the action, as action.yml maps them."""


def action(root: Path) -> Any:
    return yaml.safe_load((root / "action.yml").read_text(encoding="utf-8"))


def filled(text: str, inputs: dict[str, str], outputs: dict[str, dict[str, str]]) -> str:
    """The two kinds of expressions that the action uses, replaced by their values."""
    text = re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: inputs[m[1]], text)
    text = re.sub(
        r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}",
        lambda m: outputs.get(m[1], {}).get(m[2], ""),
        text,
    )
    assert "${{" not in text
    return text


def run_job(root: Path, folder: Path, env: dict[str, str], **given: str) -> Job:
    """The action's steps, one after the other until one fails, in ``folder``."""
    spec = action(root)
    inputs = {name: i.get("default", "") for name, i in spec["inputs"].items()} | given
    temp = folder / "temp"
    temp.mkdir()
    summary = temp / "summary"
    summary.touch()
    outputs: dict[str, dict[str, str]] = {}
    log, code = "", 0
    for step in spec["runs"]["steps"]:
        output = temp / f"output-{step['id']}"
        output.touch()
        script = temp / f"{step['id']}.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=folder,
            env={
                **env,
                **{k: filled(v, inputs, outputs) for k, v in step["env"].items()},
                "GITHUB_ACTION_PATH": str(root),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                "RUNNER_TEMP": str(temp),
            },
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=300,
        )
        log += done.stdout + done.stderr
        code = done.returncode
        pairs = (line.split("=", 1) for line in output.read_text().splitlines())
        outputs[step["id"]] = dict(pairs)
        if code:
            break
    mapped = {n: filled(o["value"], inputs, outputs) for n, o in spec["outputs"].items()}
    return Job(code, log, summary.read_text(), mapped)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "cache")


@pytest.fixture
def here(tmp_path: Path) -> str:
    """A lem on the runner."""
    command = tmp_path / "a lem"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m lem.cli.main "$@"\n')
    command.chmod(0o755)
    return str(command)


def workspace(tmp_path: Path, baseline: int, **changes: Any) -> Path:
    """A checkout with a campaign of two arms: a batch of 4 costs a quarter of one by one."""
    folder = tmp_path / "work"
    folder.mkdir()
    settings: dict[str, Any] = {
        "sweep": {"engine.max_batch_size": [1, 4]},
        "baseline": {"engine.max_batch_size": baseline},
    }
    write_campaign(folder / "energy.yaml", **settings | changes)
    return folder


def test_it_fits_githubs_schema(root: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*command, "vendor.github-actions", str(root / "action.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_input_becomes_part_of_a_script(root: Path) -> None:
    steps = action(root)["runs"]["steps"]
    assert len(steps) == 3
    for step in steps:
        assert "${{" not in step["run"] and step["shell"] == "bash"


def test_a_regression_fails_the_job(
    root: Path, tmp_path: Path, env: dict[str, str], here: str
) -> None:
    folder = workspace(tmp_path, baseline=4)
    job = run_job(root, folder, env, campaign="energy.yaml", lem=here)
    assert job.code == 1, job.log
    assert "::error title=lem::An arm costs more" in job.log
    assert "times as much CPU time per output token" in job.summary
    assert job.summary.count("<pre>") == job.summary.count("</pre>") == 1
    document = json.loads(Path(job.outputs["comparison"]).read_text())
    assert document["gate"]["failed"] is True
    assert (folder / job.outputs["folder"] / "campaign.lock.json").is_file()


def test_an_improvement_passes(root: Path, tmp_path: Path, env: dict[str, str], here: str) -> None:
    job = run_job(root, workspace(tmp_path, 1), env, campaign="energy.yaml", lem=here, gate="10%")
    assert job.code == 0, job.log
    assert "gate: no arm is shown to be worse" in job.summary
    assert json.loads(Path(job.outputs["comparison"]).read_text())["gate"]["failed"] is False


def test_the_baseline_and_options_can_be_given(
    root: Path, tmp_path: Path, env: dict[str, str], here: str
) -> None:
    job = run_job(
        root,
        workspace(tmp_path, baseline=1),
        env,
        campaign="energy.yaml",
        lem=here,
        baseline="engine.max_batch_size=4",
        args="--blocks '4'",
        out="else where",
    )
    assert job.code == 1, job.log
    assert job.outputs["folder"] == "else where"
    assert json.loads(Path(job.outputs["comparison"]).read_text())["blocks_planned"] == 4


def test_a_failed_experiment_fails_the_job_and_still_shows_the_table(
    root: Path, tmp_path: Path, env: dict[str, str], here: str
) -> None:
    broken = [{"backend": "tick", "args.raise": "broken"}]
    folder = workspace(tmp_path, baseline=1, experiments=broken)
    job = run_job(root, folder, env, campaign="energy.yaml", lem=here)
    assert job.code == 1, job.log
    assert "::error title=lem::Some experiments failed" in job.log
    assert "failed in 3 blocks: engine_error" in job.summary and "broken" in job.summary


def test_a_wrong_file_or_gate_fails(
    root: Path, tmp_path: Path, env: dict[str, str], here: str
) -> None:
    folder = workspace(tmp_path, baseline=1)
    (folder / "energy.yaml").write_text("version: 1\n")
    assert run_job(root, folder, env, campaign="energy.yaml", lem=here).code == 2


def test_nothing_is_imported_from_the_checkout(
    root: Path, tmp_path: Path, env: dict[str, str], here: str
) -> None:
    folder = workspace(tmp_path, baseline=1)
    (folder / "energy.yaml").write_text("version: 1\n")
    for name in ("shlex", "secrets", "venv", "pip"):
        (folder / f"{name}.py").write_text(f"open('imported-{name}', 'w')\n")
    assert run_job(root, folder, env, campaign="energy.yaml", lem=here).code == 2
    # A Python that only notes how it is called: installing takes the network.
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nmkdir -p "$RUNNER_TEMP/lem/bin"\ncp "$0" "$RUNNER_TEMP/lem/bin/python"\n'
        f'echo "$@" >> "{tmp_path}/calls"\n'
    )
    python.chmod(0o755)
    (folder / "temp").rename(tmp_path / "before")
    run_job(root, folder, env, campaign="energy.yaml", python=str(python))
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [c.split()[:3] for c in calls[:2]] == [["-I", "-m", "venv"], ["-I", "-m", "pip"]]
    assert list(folder.glob("imported-*")) == []


def test_results_of_an_earlier_job_are_refused(
    root: Path, tmp_path: Path, env: dict[str, str], here: str
) -> None:
    folder = workspace(tmp_path, baseline=1)
    (folder / "lem-results").mkdir()
    job = run_job(root, folder, env, campaign="energy.yaml", lem=here)
    assert job.code == 2 and "earlier job" in job.log


@pytest.mark.parametrize("name", ["campaign", "baseline", "gate", "out", "args", "extras", "lem"])
@pytest.mark.parametrize(
    "text",
    [
        "$(touch pwned)",
        "`touch pwned`",
        '"; touch pwned; "',
        "'; touch pwned; '",
        "x\ntouch pwned\n",
        "--help; touch pwned",
        "*",
    ],
)
def test_what_an_input_says_is_never_run(
    root: Path, tmp_path: Path, env: dict[str, str], name: str, text: str
) -> None:
    """Over a command that only notes its arguments: what arrives is the text, whole."""
    folder = workspace(tmp_path, baseline=1)
    told = tmp_path / "told"
    command = tmp_path / "lem"
    command.write_text(f'#!/bin/sh\nprintf "[%s]" "$@" >> {told}\n')
    command.chmod(0o755)
    given = {"campaign": "energy.yaml", "lem": str(command)} | {name: text}
    run_job(root, folder, env, **given)
    assert not list(tmp_path.rglob("pwned"))
    if name in ("campaign", "gate", "baseline"):
        assert text in told.read_text()


def test_a_campaigns_output_gives_the_runner_no_commands(
    root: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    folder = workspace(tmp_path, baseline=1)
    command = tmp_path / "lem"
    evil = "::set-env name=PATH::/evil"
    says = f'echo "{evil}"; echo "</pre><script>x & y</script>"'
    command.write_text(f'#!/bin/sh\n[ "$1" = --version ] || {{ {says}; }}\n')
    command.chmod(0o755)
    job = run_job(root, folder, env, campaign="energy.yaml", lem=str(command))
    token = None
    stopped = []
    for line in job.log.splitlines():
        if found := re.fullmatch(r"::stop-commands::(lem-[0-9a-f]{32})", line):
            token = found[1]
        elif line == f"::{token}::":
            token = None
        elif line == evil:
            stopped.append(token is not None)
    assert stopped == [True, True]
    assert job.summary.count("</pre>") == 1 and "&lt;script>x &amp; y" in job.summary


@pytest.mark.slow
def test_it_installs_lem_from_its_own_folder(
    root: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    """With pip for real; what lem depends on is taken from here, so that no index is needed."""
    folder = workspace(tmp_path, baseline=1)
    env |= {
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as: without
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
    }
    extras = {"extras": "transformers,llama_cpp"}
    job = run_job(root, folder, env, campaign="missing.yaml", python=sys.executable, **extras)
    assert f"lem, version {lem.__version__}\n" in job.log, job.log
    assert (folder / "temp/lem/bin/lem").is_file()
    assert job.code == 2 and "missing.yaml" in job.log


# The example of docs/ci.md.


def example(root: Path) -> str:
    text = (root / "docs/ci.md").read_text(encoding="utf-8")
    found = re.search(r"```yaml\n(name: energy\n.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_fits_githubs_schema(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "energy.yml"
    file.write_text(example(root))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run(
        [*command, "vendor.github-workflows", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_example_gives_the_action_what_it_takes(root: Path) -> None:
    steps = yaml.safe_load(example(root))["jobs"]["gate"]["steps"]
    (step,) = [s for s in steps if str(s.get("uses", "")).startswith("lem-energy/lem@")]
    assert set(step["with"]) <= set(action(root)["inputs"])
    assert "campaign" in step["with"]


def test_the_docs_name_every_input(root: Path) -> None:
    text = (root / "docs/ci.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert rows == list(action(root)["inputs"])


@pytest.mark.parametrize("changed", [True, False])
def test_the_examples_first_step_makes_two_arms(root: Path, tmp_path: Path, changed: bool) -> None:
    def git(*arguments: str, at: Path) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=at, check=True, capture_output=True)

    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git("init", "-q", "-b", "main", at=origin)
    energy = {
        "version": 1,
        "name": "energy",
        "models": [{"id": "nothing", "synthetic": {}}],
        "backends": {"tick": {}},
    }
    (origin / "energy.json").write_text(json.dumps(energy))
    (origin / "serving.json").write_text(json.dumps({"speed": 1, "cache": True}))
    git("add", ".", at=origin)
    git("commit", "-q", "-m", "main", at=origin)
    git("clone", "-q", str(origin), str(clone), at=tmp_path)
    git("checkout", "-q", "-b", "pull-request", at=clone)
    (clone / "serving.json").write_text(json.dumps({"speed": 1, "cache": not changed}))
    git("commit", "-q", "--allow-empty", "-am", "change", at=clone)
    (step,) = [
        s for s in yaml.safe_load(example(root))["jobs"]["gate"]["steps"] if s.get("id") == "arms"
    ]
    output = tmp_path / "output"
    done = subprocess.run(
        [*BASH[:4], "pipefail", "-c", step["run"]],
        cwd=clone,
        env={**os.environ, "BASE": "main", "GITHUB_OUTPUT": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.read_text() == f"changed={str(changed).lower()}\n"
    if changed:
        file = parse((clone / "energy-pr.json").read_text(), "energy-pr.json")
        assert [d.args for d in file.drafts] == [
            {"speed": 1, "cache": True},
            {"speed": 1, "cache": False},
        ]
        assert file.baseline == 0
