"""The agent's wheel: installs, holds all that the agent needs, and is the same for the same
sources."""

import csv
import io
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import lem
from lem.launchers.wheel import NODE, PARTS, agent_wheel

SOURCES = Path(lem.__file__).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    name, data = agent_wheel()
    (place / name).write_bytes(data)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(place / "site"), str(place / name)], check=True)
    return place / "site"


def python(site: Path, code: str) -> str:
    """Run with this wheel and the other installed packages, but without the clone."""
    paths = [str(site), sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path += {paths!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_is_the_version_that_runs(installed: Path) -> None:
    said = python(
        installed,
        "import lem; from importlib.metadata import version\n"
        "print(lem.__file__, lem.__version__, version('lem-energy'))",
    )
    assert said.split() == [str(installed / "lem/__init__.py"), lem.__version__, lem.__version__]


def test_holds_all_that_the_agent_imports(installed: Path) -> None:
    code = """
import importlib, pkgutil, lem
for part in pkgutil.walk_packages(lem.__path__, "lem."):
    if not part.name.endswith(".__main__"):
        importlib.import_module(part.name)
import lem.agent.__main__ as agent
print(agent.main(["describe", "transformers"]))
"""
    assert python(installed, code).splitlines()[-1] == "0"


NODE_ALONE = """
import importlib.abc
ALLOWED = set(sys.stdlib_module_names) | {
    "lem", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"
}
class OnlyPydantic(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED and not top.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is not in an image")
sys.meta_path.insert(0, OnlyPydantic())
import lem.campaign.node
from lem import plugins
for name in sorted(plugins.own("launchers")):
    plugins.load("launchers", name)
print(*sorted(m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "lem"), sep="\\n")
"""


def test_holds_all_that_makes_runs_on_a_node_and_no_more(installed: Path) -> None:
    """With nothing but pydantic there."""
    used = {
        str(Path(p).relative_to(installed / "lem")) for p in python(installed, NODE_ALONE).split()
    }
    assert used
    by_path = {"launchers/supervise.py", "boards/__init__.py"}
    listed = {p for p in NODE if p.endswith(".py")}
    assert listed - used <= by_path


def test_parts_exist() -> None:
    assert [p for p in (*PARTS, *NODE) if not (SOURCES / p).exists()] == []


def test_leaves_the_host_s_half_out() -> None:
    names = zipfile.ZipFile(io.BytesIO(agent_wheel()[1])).namelist()
    assert "lem/agent/run.py" in names
    assert not [n for n in names if n.startswith(("lem/cli", "lem/config", "lem/report"))]
    assert "lem/campaign/campaign.py" not in names
    assert not [n for n in names if "__pycache__" in n]


def test_record_lists_every_file() -> None:
    archive = zipfile.ZipFile(io.BytesIO(agent_wheel()[1]))
    (record,) = (n for n in archive.namelist() if n.endswith("/RECORD"))
    listed = {row[0] for row in csv.reader(archive.read(record).decode().splitlines())}
    assert listed == set(archive.namelist())


def test_same_sources_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        folder = tmp_path / name
        for part in (*PARTS, *NODE):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            if "." in part:
                (folder / part).write_text(part)
            else:
                (folder / part).mkdir()
                (folder / part / "module.py").write_text(part)
    one, two = agent_wheel(tmp_path / "first", "1.0"), agent_wheel(tmp_path / "second", "1.0")
    assert one == two
    (tmp_path / "second" / "agent" / "module.py").write_text("changed")
    assert agent_wheel(tmp_path / "second", "1.0") != one
