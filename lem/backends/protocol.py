"""What a backend is: a folder of this package whose ``backend.plugin`` makes a :class:`Backend`.

``plugin`` is the class (or any callable) that gives the backend when called without arguments:
``plugins.load("backends", name)()``. Every backend passes ``tests/backends/conformance.py``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Tokenizer

Load = Literal["offline", "served"]
"""How requests reach an engine: through its own batch interface in the agent's process (arrival
``offline``), or through its own server (every other arrival)."""

CPU_TORCH = "--extra-index-url https://download.pytorch.org/whl/cpu"
"""Words for pip, in a backend's ``cpu_packages``: PyPI's PyTorch is built for CUDA."""


ScoredBy = Literal["forward pass", "prompt log-probabilities", "forced tokens"]
"""How an engine tells likelihoods. ``forward pass``: one of the model over each text, in batches.
``prompt log-probabilities``: the engine's own, beside an answer of one token. ``forced tokens``:
one step for each scored token, whose energy is more than reading it would take."""


class Engine(Protocol):
    """A loaded model, ready to answer."""

    atomic_batches: bool
    """True where a batch runs to its end before the next begins (static batching), so that only
    whole batches can be a window. Such an engine asks ``source.take`` with nothing left to do on
    the device: the meters' counters are watched at rest in that call."""

    def serve(self, source: Source, sink: Sink) -> None:
        """Take requests from ``source`` as the engine has room (``source.take(room, busy)``), tell
        ``sink`` of every token and end, and return when ``take`` gives None and all is answered.

        An end-of-text token counts as an output token. Raises :class:`lem.errors.RunFailed`
        (``out_of_memory``, ``engine_error``); a single request that cannot be answered is told to
        ``sink.failed`` instead.
        """

    def facts(self) -> dict[str, Scalar]:
        """What the engine says it uses (dtype, attention kernel, threads, device), and
        ``peak_memory_bytes.<device class>`` figures."""

    def nll(self, token_ids: list[int]) -> float | None:
        """Mean negative log-likelihood (natural) per token of a text, each piece of
        :func:`lem.workloads.datasets.chunks` scored by itself without its first token; None where
        the engine has no prompt log-probabilities or too short a context."""

    def close(self) -> None: ...


@runtime_checkable
class Scoring(Protocol):
    """What an :class:`Engine` has besides where it may tell how likely it finds given tokens."""

    scored_by: ScoredBy

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored] | None:
        """Of each piece, in their order, batched as the engine batches; all are shorter than its
        context (``max_model_len`` of its facts). None where this engine cannot, as it was started;
        then it cannot for any.

        The model's own distribution is meant, whatever ``generate`` says. Raises
        :class:`lem.errors.RunFailed`.
        """


@runtime_checkable
class Apart(Protocol):
    """What an :class:`Engine` has besides where it works in processes of its own, driven by a
    client in the agent's: only the engine's CPU time and memory are the run's."""

    process: int
    """Root of the engine's process tree."""

    def flags(self) -> set[str]:
        """What the client noticed (:mod:`lem.contract.flags`)."""


class Backend(Protocol):
    """Engine libraries are imported inside the methods, never at the top of the file."""

    name: str
    loads: tuple[Load, ...]
    """What it can be driven with."""
    distribution: str
    """The package whose version is the engine's version."""
    libraries: tuple[str, ...]
    """Other packages whose versions go into the record."""

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        """Make the model loadable: fetch it (``source`` None) or convert it into ``target``.
        Returns the path, relative to ``target``, that ``load`` takes. Idempotent."""

    def tokenizer(self, path: Path) -> Tokenizer:
        """The prepared model's tokenizer, without loading weights."""

    def reject(self, job: Job) -> list[Rejection]:
        """Let the engine itself check the job's arguments; no weights loaded where that works."""

    def load(self, job: Job) -> Engine:
        """Load the model: for the arrival ``offline`` in this process, for any other in the
        engine's own server. Raises :class:`lem.errors.RunFailed` with a typed kind."""
