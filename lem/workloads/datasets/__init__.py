"""Makes request lists. The same workload, tokenizer, files and seed give the same list everywhere.

Each kind of data set is a module of its own. What they share: ids are exact, since engines are
given ids; whatever comes from a file is hostile until parsed; no list is made that could not be
read again.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lem.contract.workload import (
    MAX_REQUEST_TOKENS,
    FromFile,
    JsonlDataset,
    LongContextDataset,
    PromptsDataset,
    RandomDataset,
    ShareGptDataset,
    TraceArrival,
    TraceDataset,
    Workload,
)
from lem.errors import BadInput
from lem.workloads.datasets import jsonl, long_context, sharegpt, shipped, synthetic, trace
from lem.workloads.datasets.file import DataFile, read
from lem.workloads.datasets.shipped import (
    NLL_CHUNK_TOKENS,
    NLL_SHA256,
    chunks,
    nll_text,
    prompts,
)
from lem.workloads.requests import Request, Tokenizer

MAX_LIST_TOKENS = 2**27
"""Of all prompts of a list together: about what a file of the largest size holds."""


def make(
    workload: Workload, tokenizer: Tokenizer, seed: int, files: Path | None = None
) -> list[Request]:
    """The request list of a workload: ``workload.requests`` of them, with ids ``r0``, ``r1``, …

    ``files`` is the folder where the files that it names lie under their SHA-256. Raises
    :class:`BadInput` for what a file says wrongly, and for lists that cannot be made.
    """
    made = _within_limits(_made(workload, tokenizer, seed, files))
    timed = _timed(workload, made, files)
    return list(timed)


def files_of(workload: Workload) -> list[FromFile]:
    """The parts of a workload that name a file."""
    return [p for p in (workload.dataset, workload.arrival) if isinstance(p, FromFile)]


def check(workload: Workload, part: FromFile, file: DataFile) -> None:
    """Whether ``file`` is what ``part`` of the workload takes, as far as that can be seen without
    the model's tokenizer. Raises :class:`BadInput` if it is not."""
    n = workload.requests
    if isinstance(part, JsonlDataset):
        jsonl.check(part, n, file)
    elif isinstance(part, ShareGptDataset):
        sharegpt.check(part, n, file)
    elif isinstance(part, TraceDataset):
        trace.check(part, n, file)
    elif isinstance(part, TraceArrival) and not _own_times(workload):
        trace.check_times(n, file)


def _made(
    workload: Workload, tokenizer: Tokenizer, seed: int, files: Path | None
) -> Iterator[Request]:
    dataset, n = workload.dataset, workload.requests
    if isinstance(dataset, RandomDataset):
        return synthetic.requests(dataset, n, tokenizer, seed)
    if isinstance(dataset, PromptsDataset):
        return shipped.requests(dataset, n, tokenizer, seed)
    if isinstance(dataset, LongContextDataset):
        return long_context.requests(dataset, n, tokenizer, seed)
    file = _file(dataset, files)
    if isinstance(dataset, JsonlDataset):
        return jsonl.requests(dataset, n, tokenizer, file)
    if isinstance(dataset, ShareGptDataset):
        return sharegpt.requests(dataset, n, tokenizer, file, seed)
    return trace.requests(dataset, n, tokenizer, file, seed)


def _timed(workload: Workload, made: Iterable[Request], files: Path | None) -> Iterable[Request]:
    """With the times of the trace that the arrival replays."""
    arrival = workload.arrival
    if not isinstance(arrival, TraceArrival) or _own_times(workload):
        return made
    return trace.timed(made, workload.requests, _file(arrival, files))


def _own_times(workload: Workload) -> bool:
    """Whether lengths and times come from the same trace: each request then keeps its own time,
    also where others are left out."""
    dataset, arrival = workload.dataset, workload.arrival
    if not isinstance(dataset, TraceDataset) or not isinstance(arrival, TraceArrival):
        return False
    return dataset.sha256 is not None and dataset.sha256 == arrival.sha256


def _file(part: FromFile, folder: Path | None) -> DataFile:
    if folder is None or part.sha256 is None:
        raise BadInput(f"{part.path} is not here: its content was not looked at")
    return read(folder / part.sha256, part.path, part.sha256)


def _within_limits(made: Iterable[Request]) -> Iterator[Request]:
    total = 0
    for request in made:
        tokens = len(request.input_ids)
        total += tokens
        if max(tokens, request.output_tokens) > MAX_REQUEST_TOKENS:
            raise BadInput(f"a request has more than {MAX_REQUEST_TOKENS:,} tokens")
        if total > MAX_LIST_TOKENS:
            raise BadInput(
                f"the prompts have more than {MAX_LIST_TOKENS:,} tokens together",
                hint="fewer requests (workload.requests) or shorter prompts",
            )
        yield request


__all__ = [
    "MAX_LIST_TOKENS",
    "NLL_CHUNK_TOKENS",
    "NLL_SHA256",
    "check",
    "chunks",
    "files_of",
    "make",
    "nll_text",
    "prompts",
]
