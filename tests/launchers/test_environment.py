"""What an agent is told of the host's environment."""

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
