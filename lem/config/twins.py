"""The same thing said twice in a campaign."""

import itertools
from collections.abc import Iterator

from lem.config.axes import Axis, Found
from lem.config.schema import CampaignSpec
from lem.config.yaml_source import KeyPath


def twins(spec: CampaignSpec, backend: str, axes: list[Axis]) -> Iterator[Found]:
    """What is said twice for one backend, at the second place. ``axes``: those that apply to it."""
    own = spec.backends[backend].args
    for key in own:
        if key in spec.args:
            yield _twice(("backends", backend, "args", key), f"args.{key}")
    for first, second in itertools.combinations(axes, 2):
        a, b = first.path.keys, second.path.keys
        if a == b[: len(a)]:
            yield _twice(second.at, str(first.at[-1]))
    engine = {k for k, v in spec.engine if v is not None}
    engine |= {a.path.keys[1] for a in axes if a.path.section == "engine"}
    places: dict[str, KeyPath] = {k: ("args", k) for k in spec.args}
    places |= {k: ("backends", backend, "args", k) for k in own}
    places |= {a.path.keys[1]: a.at for a in axes if a.path.section == "args"}
    for key, place in places.items():
        if key.replace("-", "_") in engine:
            yield _twice(place, f"engine.{key.replace('-', '_')}")


def _twice(at: KeyPath, other: str) -> Found:
    return at, f"says the same as {other}; keep one of them"
