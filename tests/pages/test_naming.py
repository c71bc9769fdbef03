from typing import Any

from lem.archive.queries.answer import Configuration
from lem.pages.naming import apart


def configuration(number: int, **changes: Any) -> Configuration:
    given: dict[str, Any] = {
        "id": f"{number:064x}"[::-1],
        "model": "org/Model-1B",
        "backend": "vllm",
        "device_model": "H100",
        "device_count": 1,
        "dataset": "prompts",
        "arrival": "offline",
        "dtype": "",
        "quantization": "",
        "semantics_version": 4,
        "disagrees": False,
    }
    for name, field in Configuration.model_fields.items():
        given.setdefault(name, "" if field.annotation is str else None)
    return Configuration.model_validate(given | changes)


def test_what_differs_comes_first() -> None:
    names = apart(
        [configuration(1), configuration(2, dtype="float16"), configuration(3, max_batch_size=8)]
    )
    assert names == [
        "as the software comes, Model-1B, vllm, H100",
        "float16, Model-1B, vllm, H100",
        "batch 8, Model-1B, vllm, H100",
    ]


def test_what_was_asked_tells_apart_too() -> None:
    names = apart([configuration(1), configuration(2, arrival="concurrency", load=4)])
    assert [n.split(", ")[:2] for n in names] == [
        ["prompts", "offline"],
        ["prompts", "4 at a time"],
    ]


def test_where_nothing_in_a_name_differs_the_id_does() -> None:
    assert apart([configuration(1)]) == ["Model-1B, vllm, H100"]
    one, two = apart([configuration(1), configuration(2)])
    assert one == "Model-1B, vllm, H100 [10000000]" and two.endswith("[20000000]")
