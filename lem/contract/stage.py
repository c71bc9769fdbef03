"""The documents of ``stage``, ``describe`` and ``validate``."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part, Sha256
from lem.contract.spec import ModelSpec
from lem.contract.workload import Workload


class StageTask(Document):
    """Make one model ready for one backend, and the request lists for some workloads.

    ``source`` is where the host put a local model (folder or file), or null where the agent must
    fetch it from the hub. ``target`` is the folder to fill.
    """

    schema_version: Literal[1] = 1
    contract_version: int
    backend: str
    model: ModelSpec
    source: str | None
    target: str
    requests_folder: str
    files_folder: str | None = None
    """Where the host put the files that ``workloads`` name, each under its SHA-256."""
    workloads: list[Workload]
    """Request lists to make; empty where another backend makes them."""
    seed: int
    trust_remote_code: bool = False
    agreement: bool = False
    """Whether to make the list of prompts whose answers are compared between runs."""
    questions: str | None = None
    """A file of questions to make a list of; null where there are none or another backend does."""
    questions_sha256: Sha256 | None = None
    questions_limit: Annotated[int, Field(ge=1)] | None = None
    questions_output_tokens: Annotated[int, Field(ge=1)] | None = None


class RequestList(Part):
    workload: Workload
    sha256: Sha256
    requests: int
    input_tokens: int


class Staged(Document):
    """``path`` is relative to the task's target folder."""

    schema_version: Literal[1] = 1
    path: str
    revision: str | None
    content: str
    weights: Literal["trained", "random"]
    engine_version: str
    requests: list[RequestList]
    agreement_list: Sha256 | None = None
    questions_list: Sha256 | None = None
    notes: list[str] = []


class Described(Document):
    schema_version: Literal[1] = 1
    contract_version: int
    lem_version: str
    backend: str
    engine_version: str
    libraries: dict[str, str]
