"""The isolation as data: who the agent is, what it sees, what it may read."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lem.containers import EngineFacts, Mount
from lem.contract.stage import Described
from lem.launchers import hardening
from lem.launchers.hardening import Identity, Powercap, identity, powercap
from lem.launchers.protocol import BackendSetup, Folders, Prepared, Task

FACTS = EngineFacts("27.0", "1.46", rootless=False, remapped=False, selinux=False, nvidia=False)
USER = Identity(1000, 1000, "1000:1000")
NO_RAPL = Powercap((), ())
GPU_ENVIRONMENT = {"NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    described = Described(
        contract_version=1, lem_version="1", backend="tick", engine_version="1", libraries={}
    )
    prepared = Prepared(BackendSetup("tick"), described, image="sha256:1", digest="sha256:1")
    return Task("run", prepared, Folders(run=tmp_path), "job.json", owner="me")


@pytest.mark.parametrize(
    ("facts", "uid", "expected"),
    [
        (FACTS, 1000, Identity(1000, 1000, "1000:1000")),
        (FACTS, 0, Identity(65534, 65534, "65534:65534")),
        (replace(FACTS, rootless=True), 1000, Identity(1000, 1000, "0:0")),
        (replace(FACTS, remapped=True), 1000, Identity(1000, 1000, "1000:1000", "host")),
    ],
)
def test_identity(facts: EngineFacts, uid: int, expected: Identity) -> None:
    assert identity(facts, uid, uid) == expected


def test_one_container_in_full(task: Task) -> None:
    spec = hardening.container(task, FACTS, USER, NO_RAPL, None, {"OMP_NUM_THREADS": "2"}, "here")
    assert spec.command == ("python3", "-m", "lem.agent", "run", "/run/job.json")
    assert (spec.user, spec.network, spec.pids) == ("1000:1000", "none", 4096)
    assert spec.security == ("no-new-privileges",)
    assert spec.mounts == (Mount(task.folders.run.resolve(), "/run", True),)
    assert spec.labels == {
        "org.lem.owner": "me",
        "org.lem.run": str(task.folders.run),
        "org.lem.host": "here",
    }
    assert spec.environment["OMP_NUM_THREADS"] == "2"
    assert spec.environment["HOME"] == "/tmp"
    assert spec.environment["HF_HUB_OFFLINE"] == "1"
    assert spec.environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_what_engines_compile_has_a_place_of_its_own(task: Task, tmp_path: Path) -> None:
    folders = replace(task.folders, compiled=tmp_path / "c")
    spec = hardening.container(
        replace(task, folders=folders), FACTS, USER, NO_RAPL, None, {}, "here"
    )
    assert Mount((tmp_path / "c").resolve(), "/compiled", True) in spec.mounts
    named = {k: v for k, v in spec.environment.items() if v.startswith("/compiled/")}
    assert {"VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"} <= named.keys()
    assert len(set(named.values())) == len(named)
    # A user's own setting must not lead elsewhere.
    spec = hardening.container(
        replace(task, folders=folders),
        FACTS,
        USER,
        NO_RAPL,
        None,
        {"VLLM_CACHE_ROOT": "/home/me", "VLLM_CPU_KVCACHE_SPACE": "3", "VLLM_API_KEY": "secret"},
        "here",
    )
    assert spec.environment["VLLM_CACHE_ROOT"] == "/compiled/vllm"
    assert spec.environment["VLLM_CPU_KVCACHE_SPACE"] == "3"
    assert "secret" not in spec.environment.values()


def test_tmp_is_within_the_memory_limit(task: Task) -> None:
    small = hardening.container(
        replace(task, memory_bytes=2**30), FACTS, USER, NO_RAPL, None, {}, "here"
    ).tmpfs["/tmp"]
    assert f"size={2**29}" in small
    large = hardening.container(task, FACTS, USER, NO_RAPL, None, {}, "here").tmpfs["/tmp"]
    assert f"size={4 * 2**30}" in large and "exec" in large


def test_network_task_is_not_told_to_stay_offline(task: Task) -> None:
    spec = hardening.container(replace(task, network=True), FACTS, USER, NO_RAPL, None, {}, "here")
    assert spec.network == "bridge"
    assert "HF_HUB_OFFLINE" not in spec.environment


def test_gpus_are_given_and_not_hidden(task: Task) -> None:
    spec = hardening.container(replace(task, gpus=(1, 3)), FACTS, USER, NO_RAPL, None, {}, "here")
    assert spec.gpus == (1, 3)
    assert not GPU_ENVIRONMENT & spec.environment.keys()


def test_models_can_be_written_only_while_staging(task: Task, tmp_path: Path) -> None:
    with_models = replace(task, folders=Folders(run=tmp_path, models=tmp_path))
    for verb, writable in (("run", False), ("stage", True), ("validate", False)):
        spec = hardening.container(
            replace(with_models, verb=verb),  # type: ignore[arg-type]
            FACTS,
            USER,
            NO_RAPL,
            None,
            {},
            "here",
        )
        assert [m.writable for m in spec.mounts if m.target == "/models"] == [writable]


def test_secrets_are_a_file_not_a_variable(task: Task, tmp_path: Path) -> None:
    with_secret = replace(task, secrets={"HF_TOKEN": "hf_xyz"})
    spec = hardening.container(with_secret, FACTS, USER, NO_RAPL, tmp_path, {}, "here")
    assert "hf_xyz" not in repr(spec)
    assert spec.environment["LEM_SECRETS_FILE"] == "/lem-secrets/environment"


def test_a_selinux_engine_lets_the_folders_be_read(task: Task) -> None:
    spec = hardening.container(task, replace(FACTS, selinux=True), USER, NO_RAPL, None, {}, "here")
    assert spec.security == ("no-new-privileges", "label=disable")


def test_a_model_file_keeps_its_name(tmp_path: Path) -> None:
    model = tmp_path / "model.Q4_1.gguf"
    model.touch()
    mount, seen = hardening.source_mount(model)
    assert (mount.source, mount.target) == (model, "/source/model.Q4_1.gguf")
    assert seen == Path("/source/model.Q4_1.gguf")
    assert not mount.writable


def test_a_model_folder(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert hardening.source_mount(tmp_path / "m") == (
        Mount(tmp_path / "m", "/source"),
        Path("/source"),
    )


def test_a_folder_of_the_hub_s_cache_comes_with_its_files(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "beef").write_text("weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/beef")
    mount, seen = hardening.source_mount(snapshot)
    assert (mount.source, mount.target) == (tmp_path / "models--a--b", "/source")
    assert seen == Path("/source/snapshots/0123")


def test_other_links_give_away_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "home" / "work" / "m").mkdir(parents=True)
    (tmp_path / "home" / "secret").write_text("x")
    (tmp_path / "home" / "work" / "m" / "link").symlink_to("../../secret")
    mount, _ = hardening.source_mount(tmp_path / "home" / "work" / "m")
    assert mount.source == tmp_path / "home" / "work" / "m"


def zone(root: Path, name: str, mode: int, gid: int = -1) -> None:
    real = root / "devices" / name
    real.mkdir(parents=True)
    (real / "energy_uj").write_text("1")
    (real / "energy_uj").chmod(mode)
    if gid >= 0:
        os.chown(real / "energy_uj", -1, gid)
    (root / "class").mkdir(exist_ok=True)
    (root / "class" / name).symlink_to(f"../devices/{name}")


def test_readable_counters_are_mounted(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 0o444)
    zone(tmp_path, "intel-rapl:0:0", 0o444)
    nobody = Identity(65533, 65533, "65533:65533")
    zone(tmp_path, "intel-rapl:1", 0o400)
    found = powercap(nobody, [], tmp_path / "class")
    assert found.groups == ()
    assert [(m.source, m.target) for m in found.mounts] == [
        (tmp_path / "devices" / "intel-rapl:0", "/powercap/intel-rapl:0"),
        (tmp_path / "devices" / "intel-rapl:0:0", "/powercap/intel-rapl:0:0"),
    ]
    assert not any(m.writable for m in found.mounts)


def test_counters_of_a_group_that_the_user_is_in(tmp_path: Path) -> None:
    gid = next((g for g in [*os.getgroups(), os.getgid()] if g), None)
    if os.getuid() == 0:
        gid = 4321
    if gid is None:
        pytest.fail("this user is in no group but root's: run as root or as an ordinary user")
    zone(tmp_path, "intel-rapl:0", 0o440, gid)
    other = Identity(65533, 65533, "65533:65533")
    assert powercap(other, [], tmp_path / "class") == NO_RAPL
    assert powercap(other, [gid], tmp_path / "class").groups == (gid,)


def test_machine_without_counters(tmp_path: Path) -> None:
    assert powercap(USER, [], tmp_path / "absent") == NO_RAPL
