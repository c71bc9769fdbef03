"""A sweep's bounds and its sampler, as the campaign file says them."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lem.contract.base import Part, wrong
from lem.contract.objectives import objective

MAX_EXPERIMENTS = 10_000
MAX_AXES = 64
"""Of one sweep."""
DEFAULT_GENERATION = 4
DEFAULT_OBJECTIVES = ("energy", "latency")


class Range(Part):
    """A sweep by bounds: ``num`` values, or every ``step``, from ``low`` to ``high``. With neither,
    any value between them, for a sampler that draws."""

    low: float | int
    high: float | int
    num: Annotated[int, Field(ge=1, le=MAX_EXPERIMENTS)] | None = None
    step: Annotated[float, Field(gt=0)] | Annotated[int, Field(gt=0)] | None = None
    scale: Literal["linear", "log", "log2"] = "linear"

    @model_validator(mode="after")
    def _complete(self) -> "Range":
        if self.low > self.high:
            raise wrong(f"low ({self.low}) is above high ({self.high})")
        if self.scale != "linear" and self.low <= 0:
            raise wrong(f"a {self.scale} scale needs low above 0")
        if self.scale == "log2" and (self.num is not None or self.step is not None):
            raise wrong("a log2 scale gives every power of two; it takes no num or step")
        if self.scale == "log" and self.step is not None:
            raise wrong("a log scale needs num (and takes no step)")
        if self.scale == "linear" and self.num is not None and self.step is not None:
            raise wrong("num and step say the same thing twice; keep one of them")
        if self.step is not None and (self.high - self.low) / self.step > MAX_EXPERIMENTS:
            raise wrong(f"gives more than {MAX_EXPERIMENTS:,} values")
        return self

    @property
    def is_open(self) -> bool:
        """Whether these bounds name no values of their own: only what lies between."""
        return self.scale != "log2" and self.num is None and self.step is None

    def needs(self) -> str:
        """What open bounds lack for a grid."""
        if self.scale == "log":
            return "a log scale needs num (and takes no step)"
        return (
            "needs num or step, or scale: log2 (every power of two); any value between the two is "
            "for samplers other than grid"
        )


class SamplerSpec(Part):
    """Which points of the sweep's space become experiments."""

    kind: Literal["grid", "random", "sobol", "pareto"] = "grid"
    budget: Annotated[int, Field(ge=1, le=MAX_EXPERIMENTS)] | None = None
    """How many experiments are drawn, beside the baseline and ``experiments``."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Of the drawing; default 1."""
    generation: Annotated[int, Field(ge=1, le=1000)] | None = None
    """pareto: how many are chosen at a time, by what was measured before; default 4."""
    objectives: Annotated[list[str], Field(min_length=2, max_length=4)] | None = None
    """pareto: what to lower (to raise, where more is better); default energy and latency."""

    @model_validator(mode="after")
    def _fitting(self) -> "SamplerSpec":
        if self.kind == "grid":
            for key in ("budget", "seed"):
                if getattr(self, key) is not None:
                    raise wrong(f"a grid is every combination and takes no {key}")
        elif self.budget is None:
            raise wrong(f"kind {self.kind} needs a budget: how many experiments to draw")
        for key in ("generation", "objectives"):
            if self.kind != "pareto" and getattr(self, key) is not None:
                raise wrong(f"{key} goes with kind pareto")
        for name in self.objectives or ():
            try:
                objective(name)
            except ValueError as e:
                raise wrong(str(e)) from None
        if len(set(self.objectives or ())) < len(self.objectives or ()):
            raise wrong("names an objective twice")
        return self

    def settings(self) -> dict[str, Any]:
        """With the defaults of this kind spelled out."""
        seed = 1 if self.seed is None else self.seed
        found: dict[str, Any] = {"kind": self.kind, "budget": self.budget, "seed": seed}
        if self.kind == "pareto":
            found["generation"] = self.generation or DEFAULT_GENERATION
            found["objectives"] = list(self.objectives or DEFAULT_OBJECTIVES)
        return found
