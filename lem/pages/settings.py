"""Every setting of an experiment, for a reader: those that nobody set, too."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lem.analysis.naming import flat, noun
from lem.config.schema import EngineSettings, GenerateSettings
from lem.contract.base import Part
from lem.web.strings import catalogue, text

SECTIONS = ("model", "backend", "engine", "args", "generate", "workload", "device")
_WITH_DEFAULTS: Mapping[str, type[Part]] = {
    "engine": EngineSettings,
    "generate": GenerateSettings,
}
_SECTION_OF = {"engine_version": "backend", "requests_sha256": "workload"}


class Setting(NamedTuple):
    path: str
    name: str
    value: Any
    """None: not set, so the engine's own default holds."""


class Section(NamedTuple):
    name: str
    settings: list[Setting]


def sections(experiment: Mapping[str, Any]) -> list[Section]:
    """In the order of :data:`SECTIONS`; engines' own arguments only where there are any."""
    paths = flat(experiment)
    for section, fields in _WITH_DEFAULTS.items():
        for name in fields.model_fields:
            paths.setdefault(f"{section}.{name}", None)
    found: dict[str, list[Setting]] = {name: [] for name in SECTIONS}
    for path, value in paths.items():
        first = path.split(".", 1)[0]
        section = _SECTION_OF.get(first, first)
        if section in found:
            found[section].append(Setting(path, name_of(path), value))
    return [Section(name, settings) for name, settings in found.items() if settings]


def name_of(path: str) -> str:
    """What a path is called on pages: in the catalogue's words, else its last part."""
    key = f"paths.{path}"
    return text(key) if key in catalogue() else noun(path)
