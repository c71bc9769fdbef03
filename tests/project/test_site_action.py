"""The GitHub Action that makes a site of dumps: its own shell step, run as a runner would.

What it installs is stood in for by this environment's lem: the test needs no network.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.test_archive import said

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "site"
PYTHON = """#!/bin/sh
# Makes what `python -m venv` and `pip install` would leave.
[ "$1 $2 $3 $4" = "-I -m venv --clear" ] || { echo "not expected: $*" >&2; exit 9; }
mkdir -p "$5/bin"
printf '#!/bin/sh\\necho "$@" >>"%s"\\n' "$5/installed" >"$5/bin/python"
printf '#!/bin/sh\\nexec "{python}" -P -m lem.cli.main "$@"\\n' >"$5/bin/lem"
chmod 755 "$5/bin/python" "$5/bin/lem"
"""


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two dumps of the records that come with lem."""
    folder = tmp_path_factory.mktemp("checkout")
    said("seed", "--data", folder / "data")
    said("export", folder / "dumps" / "the first", "--data", folder / "data")
    said("export", folder / "dumps" / "second", "--data", folder / "data")
    return folder


def run(checkout: Path, temp: Path, **given: str) -> subprocess.CompletedProcess[str]:
    spec = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
    (step,) = spec["runs"]["steps"]
    assert step["shell"] == "bash"
    inputs = {name: one.get("default", "") for name, one in spec["inputs"].items()} | given
    values = {f"${{{{ inputs.{name} }}}}": value for name, value in inputs.items()}
    values["${{ github.action_path }}/../../.."] = str(ROOT)
    python = temp / "stand-in"
    python.write_text(PYTHON.replace("{python}", sys.executable))
    python.chmod(0o755)
    values["${{ inputs.python }}"] = str(python)
    assert "${{" not in step["run"]
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=checkout,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(temp),
            "RUNNER_TEMP": str(temp),
            **{name: values[value] for name, value in step["env"].items()},
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=300,
    )


def test_all_dumps_that_fit_make_one_site(dumps: Path, tmp_path: Path) -> None:
    done = run(dumps, tmp_path, dumps="dumps/*", out="the site", url="https://energy.example/lem/")
    assert done.returncode == 0, done.stderr
    assert "SmolLM2" in (dumps / "the site" / "explore" / "index.html").read_text(encoding="utf-8")
    assert any("energy.example" in p.read_text() for p in (dumps / "the site").rglob("*.html"))
    installed = (tmp_path / "lem-site" / "installed").read_text()
    assert installed.rstrip().endswith(f"{ROOT}[server]")


def test_a_pattern_that_nothing_fits_is_an_error(dumps: Path, tmp_path: Path) -> None:
    done = run(dumps, tmp_path, dumps="nothing/*; touch pasted")
    assert done.returncode == 2
    assert "no folder fits nothing/*; touch pasted" in done.stderr
    assert not (dumps / "pasted").exists() and not (dumps / "public").exists()
