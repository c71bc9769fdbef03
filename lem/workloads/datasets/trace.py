"""Recorded traces: lengths and times of real traffic, without its text.

Mooncake's JSON lines (github.com/kvcache-ai/Mooncake, FAST25-release): ``timestamp`` in
milliseconds, ``input_length``, ``output_length``, and ``hash_ids``, one for each block of 512
tokens of the prompt; equal ids stand for equal blocks after an equal beginning.

Azure's CSV (github.com/Azure/AzurePublicDataset, AzureLLMInferenceTrace): ``TIMESTAMP``,
``ContextTokens``, ``GeneratedTokens``; other columns mean nothing here.
"""

import csv
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from lem.contract.workload import TraceDataset
from lem.workloads.datasets.chat import too_few
from lem.workloads.datasets.drawing import stream
from lem.workloads.datasets.file import DataFile
from lem.workloads.datasets.synthetic import PlainIds
from lem.workloads.requests import Request, Tokenizer

BLOCK_TOKENS = 512
MAX_CELLS = 1000
_AZURE = ("timestamp", "contexttokens", "generatedtokens")


class Row(NamedTuple):
    line: int
    s: float
    """Seconds on the trace's own clock."""
    input_tokens: int
    output_tokens: int
    hash_ids: tuple[int, ...]


def rows(file: DataFile) -> Iterator[Row]:
    """A trace's requests. Raises :class:`lem.errors.BadInput` at the first bad line, also where
    time goes back."""
    is_json = file.data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    before = -math.inf
    for row in _mooncake(file) if is_json else _azure(file):
        if row.s < before:
            raise file.bad("is earlier than the line before; sort the file by time", row.line)
        before = row.s
        yield row


def requests(
    dataset: TraceDataset, n: int, tokenizer: Tokenizer, file: DataFile, seed: int
) -> Iterator[Request]:
    """The first ``n`` requests of the trace that are short enough, with their times: the first
    one's is 0. Those without a prompt or an answer are left out."""
    plain = PlainIds(tokenizer)
    blocks: dict[int, list[int]] = {}

    def block(hash_id: int) -> list[int]:
        if hash_id not in blocks:
            blocks[hash_id] = plain.drawn(BLOCK_TOKENS, stream(seed, "block", hash_id))
        return blocks[hash_id]

    own = stream(seed, "trace")
    first: float | None = None
    made = left_out = 0
    for row in rows(file):
        if not _is_sent(row, dataset.max_input_tokens):
            left_out += 1
            continue
        first = row.s if first is None else first
        ids = [i for h in row.hash_ids for i in block(h)][: row.input_tokens]
        ids += plain.drawn(row.input_tokens - len(ids), own)
        at_s = _since(first, row.s)
        yield Request(f"r{made}", ids, row.output_tokens, tokenizer.decode(ids), at_s=at_s)
        made += 1
        if made == n:
            return
    raise too_few(file, made, n, left_out, "requests")


def timed(made: Iterable[Request], n: int, file: DataFile) -> Iterator[Request]:
    """The requests, each with the time of the trace's request of the same number; the first one's
    is 0."""
    first: float | None = None
    given = 0
    for request, row in zip(made, rows(file), strict=False):
        first = row.s if first is None else first
        yield request._replace(at_s=_since(first, row.s))
        given += 1
        if given == n:
            return
    raise too_few(file, given, n, 0, "times")


def check(dataset: TraceDataset, n: int, file: DataFile) -> None:
    """All that can be said of the file without the model's tokenizer."""
    sent = (r for r in rows(file) if _is_sent(r, dataset.max_input_tokens))
    found = sum(1 for _ in islice(sent, n))
    if found < n:
        raise too_few(file, found, n, 0, "requests")


def check_times(n: int, file: DataFile) -> None:
    """As :func:`check`, for a file whose times alone are used."""
    found = sum(1 for _ in islice(rows(file), n))
    if found < n:
        raise too_few(file, found, n, 0, "times")


def _is_sent(row: Row, max_input_tokens: int | None) -> bool:
    if not row.input_tokens or not row.output_tokens:
        return False
    return max_input_tokens is None or row.input_tokens <= max_input_tokens


def _since(first: float, s: float) -> float:
    """In microseconds' steps, as the files have them, so that no last bit differs."""
    return round(s - first, 6)


def _mooncake(file: DataFile) -> Iterator[Row]:
    for line, value in file.objects():
        ms = value.get("timestamp")
        # A number of JSON may be too large for a float.
        if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 <= ms < 2**53:
            raise file.bad("timestamp must be a number of milliseconds from 0", line)
        inputs = file.tokens(value.get("input_length"), "input_length", line, least=0)
        outputs = file.tokens(value.get("output_length"), "output_length", line, least=0)
        yield Row(line, ms / 1000, inputs, outputs, _hash_ids(file, line, value, inputs))


def _hash_ids(
    file: DataFile, line: int, value: dict[str, Any], input_tokens: int
) -> tuple[int, ...]:
    ids = value.get("hash_ids")
    if ids is None:
        return ()
    if not isinstance(ids, list) or any(isinstance(i, bool) or type(i) is not int for i in ids):
        raise file.bad("hash_ids must be a list of whole numbers", line)
    if len(ids) > math.ceil(input_tokens / BLOCK_TOKENS):
        raise file.bad(
            f"has {len(ids)} hash_ids, more than input_length has blocks of {BLOCK_TOKENS}", line
        )
    return tuple(ids)


def _azure(file: DataFile) -> Iterator[Row]:
    columns: dict[str, int] | None = None
    for line, text in file.lines():
        cells = [c.strip() for c in _cells(file, line, text)]
        if columns is None:
            columns = {name.lower(): i for i, name in enumerate(cells)}
            if missing := [c for c in _AZURE if c not in columns]:
                raise file.bad(
                    "is neither Mooncake's JSON lines nor Azure's CSV: its first line has no "
                    f"column {missing[0]}",
                    line,
                )
            continue
        if len(cells) != len(columns):
            raise file.bad(f"has {len(cells)} cells, not {len(columns)}", line)
        time, inputs, outputs = (cells[columns[c]] for c in _AZURE)
        yield Row(
            line,
            _seconds(file, line, time),
            file.tokens(_number(inputs), "ContextTokens", line, least=0),
            file.tokens(_number(outputs), "GeneratedTokens", line, least=0),
            (),
        )


def _cells(file: DataFile, line: int, text: str) -> list[str]:
    try:
        (cells,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as e:
        raise file.bad(f"is not a line of CSV: {e}", line) from None
    if len(cells) > MAX_CELLS:
        raise file.bad(f"has more than {MAX_CELLS} cells", line)
    return cells


def _number(text: str) -> float | None:
    """None for what is no number; :meth:`DataFile.tokens` refuses that."""
    try:
        return float(text) if len(text) < 30 else None
    except ValueError:
        return None


def _seconds(file: DataFile, line: int, text: str) -> float:
    """Of a time as Azure's files write it: with seven digits of the second, with or without a
    zone. Only differences are used."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise file.bad(f"TIMESTAMP {text[:40]!r} is no time", line) from None
