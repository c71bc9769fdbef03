"""What an agent is told of the host's environment."""

from pathlib import Path

from lem.launchers import environment

HOST = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "OMP_NUM_THREADS": "4",
    "MKL_NUM_THREADS": "4",
    "HTTPS_PROXY": "http://me:pw@proxy:1",
    "GITHUB_TOKEN": "x",
    "LD_PRELOAD": "/evil.so",
    "PYTHONPATH": "/mine",
}


def test_thread_settings_pass() -> None:
    assert environment.settings(HOST) == {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}


def test_a_process_gets_a_short_list() -> None:
    assert environment.of_process(HOST) == {"PATH": "/usr/bin"}


def test_proxies_are_apart() -> None:
    assert environment.of_network(HOST) == {"HTTPS_PROXY": "http://me:pw@proxy:1"}


def test_offline_unless_the_task_may_use_the_network() -> None:
    assert environment.common("/tmp", False, "me")["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in environment.common("/tmp", True, "me")


def test_passwords_of_proxies_are_known_in_both_spellings() -> None:
    host = {
        "HTTPS_PROXY": "http://me:p%40ss@proxy:1",
        "ALL_PROXY": "you:plain@proxy:2",
        "http_proxy": "http://proxy:3",
        "NO_PROXY": "localhost,[::1",
        "GITHUB_TOKEN": "http://x:not-ours@y",
    }
    assert environment.passwords(host) == ["p%40ss", "p@ss", "plain"]


def test_a_bare_process_is_told_of_the_machines_power_meters(tmp_path: Path) -> None:
    """Its home is another one, so the file that was found here is named."""
    assert environment.of_meters({"XDG_CONFIG_HOME": str(tmp_path)}) == {}
    file = tmp_path / "lem/meters.toml"
    file.parent.mkdir()
    file.write_text("")
    assert environment.of_meters({"XDG_CONFIG_HOME": str(tmp_path)}) == {"LEM_METERS": str(file)}
    assert environment.of_meters({"LEM_METERS": str(file)}) == {"LEM_METERS": str(file)}
