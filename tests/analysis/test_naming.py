"""Names of arms, and selecting one."""

import pytest

from lem.analysis.comparison import ArmInfo
from lem.analysis.naming import find_arm, flat, readable_names
from lem.errors import BadInput


def arm(n, settings, label=None, **paths):
    return ArmInfo(f"{n:064x}", f"{n + 99:064x}", label or f"arm {n}", settings, settings | paths)


def test_nested_arguments_are_one_path_each():
    args = {"c": {"p": {"fuse": True, "sizes": [1, {"x": 2}]}, "mode": 3}}
    assert flat({"args": args}) == {
        "args.c.p.fuse": True,
        "args.c.p.sizes": '[1, {"x": 2}]',
        "args.c.mode": 3,
    }


def test_backends_and_settings():
    arms = [
        arm(n, {"backend": b, "engine.max_batch_size": size, "llama_cpp.args.flash_attn": True})
        for n, (b, size) in enumerate([("transformers", 1), ("llama_cpp", 16)])
    ]
    assert list(readable_names(arms).values()) == [
        "transformers with batch size 1",
        "llama_cpp with batch size 16",
    ]


def test_settings_in_words():
    arms = [
        arm(0, {"vllm.args.enable_prefix_caching": True, "engine.dtype": "float16"}),
        arm(1, {"vllm.args.enable_prefix_caching": False, "engine.dtype": None}),
    ]
    assert list(readable_names(arms).values()) == [
        "enable prefix caching on, float16",
        "enable prefix caching off, default precision",
    ]


def test_a_value_stands_before_its_unit_and_a_whole_number_without_point():
    rate, limit, degrees = "workload.arrival.rate", "device.power_limit_w", "generate.temperature"
    arms = [
        arm(0, {rate: 1.0, limit: 300, degrees: 0.5}),
        arm(1, {rate: 2.5, limit: None, degrees: 1.0}),
    ]
    assert list(readable_names(arms).values()) == [
        "rate 1 requests/s, power limit 300 W, temperature 0.5",
        "rate 2.5 requests/s, power limit unset, temperature 1",
    ]


def test_arms_that_settings_cannot_tell_apart_go_by_label_or_id():
    assert set(readable_names([arm(0, {}), arm(1, {})]).values()) == {"arm 0", "arm 1"}
    twins = [arm(0, {}, "x"), arm(1, {}, "x")]
    assert len(set(readable_names(twins).values())) == 2


def test_selecting():
    arms = [
        arm(0, {"engine.max_batch_size": 1}, backend="a"),
        arm(1, {"engine.max_batch_size": 16}, "the label, with=signs", backend="a"),
        arm(2, {"engine.max_batch_size": True}, backend="b"),
    ]
    assert find_arm(arms, "engine.max_batch_size=16,backend=a") is arms[1]
    assert find_arm(arms, "engine.max_batch_size=1") is arms[0]
    assert find_arm(arms, "engine.max_batch_size=true") is arms[2]
    assert find_arm(arms, "the label, with=signs") is arms[1]
    assert find_arm(arms, arms[2].experiment_id) is arms[2]
    for wanted in ("backend=a", "000", "", "=", "nothing=1"):
        with pytest.raises(BadInput):
            find_arm(arms, wanted)


def test_arms_to_choose_from_are_listed_as_tables_name_them():
    arms = [
        arm(n, {"engine.max_batch_size": b}, f"b · max_batch_size {b}") for n, b in ((0, 1), (1, 4))
    ]
    with pytest.raises(BadInput) as e:
        find_arm(arms, "nosuch")
    for one, name in zip(arms, ("batch size 1", "batch size 4"), strict=True):
        assert f"    {one.arm_id[:12]}  {name}\n" in f"{e.value.message}\n"
        assert find_arm(arms, name) is one
