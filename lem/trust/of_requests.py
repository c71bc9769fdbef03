"""Whether requests and answers are the workload's."""

import hashlib
import re
from collections.abc import Sequence

from lem.contract.workload import (
    Concurrency,
    Length,
    LongContextDataset,
    RandomDataset,
    TraceArrival,
    TraceDataset,
)
from lem.trust import boards
from lem.trust.case import Case, Check, Found
from lem.trust.of_windows import phases
from lem.workloads import edges
from lem.workloads.load import Response

MOST_LISTED = 200_000
NAMED = re.compile(r"r(\d{1,7})(?:#(\d{1,7}))?")
"""A request's place in its list, and the how-manieth time that the list is gone through."""
SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s?([bBmM])(?![a-zA-Z0-9])")
"""A model's number of parameters, as it stands in nearly every name: ``0.6B``, ``135M``."""
SPECULATES = re.compile(r"specul|draft|eagle|medusa|mtp|ngram|lookahead|prompt_lookup", re.I)
LEAST_BYTES = 0.45
"""Of one weight: four bits and their scales, with some room."""
BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
BANDWIDTH_ROOM = 1.5


def of_phase(case: Case) -> tuple[list[Response], list[Response]]:
    """Those of the windows' phase, and those of the prefill phase, by when they were sent."""
    begun = next((p.start_ns for p in phases(case) if p.name == "prefill"), None)
    if begun is None:
        return case.responses, []
    main = [r for r in case.responses if r.sent_ns < begun]
    return main, [r for r in case.responses if r.sent_ns >= begun]


def inputs(case: Case) -> Found:
    data = case.record.experiment.workload.dataset
    low, high = 0, None
    if isinstance(data, RandomDataset):
        low, high = _range(data.input_tokens)
        if data.turns is not None and data.turns > 1:
            # Each turn's prompt holds those before it, and as many random tokens as their answers.
            high = data.turns * (high + _range(data.output_tokens)[1])
    elif isinstance(data, LongContextDataset):
        low = high = data.input_tokens
    else:
        high = getattr(data, "max_input_tokens", None)
    for r in case.responses:
        n = len(r.request.input_ids)
        if n < low or (high is not None and n > high):
            wanted = f"{low}" if low == high else f"{low} to {'any' if high is None else high}"
            yield "input_tokens_not_as_asked", f"{r.request.id[:40]}: {n} of {wanted}"
            return


def outputs(case: Case) -> Found:
    """``ignore_eos``: answers go on to their full length, or the run says that some did not."""
    record = case.record
    low, high = asked(case)
    main, alone = of_phase(case)
    whole = record.experiment.generate.get("ignore_eos", False) is True
    if "answers_ended_early" in record.flags:
        whole = False
    for r in main:
        n = len(r.token_ns)
        short = whole and r.status == "done" and low is not None and n < low
        if short or (high is not None and n > high):
            yield "output_tokens_not_as_asked", f"{r.request.id[:40]}: {n} of {low} to {high}"
            return
    for r in alone:
        if len(r.token_ns) > 1:
            yield "output_tokens_not_as_asked", f"{r.request.id[:40]}: more than its first token"
            return


def asked(case: Case) -> tuple[int | None, int | None]:
    """The least and the most output tokens that any request asks for, where the data set says."""
    data = case.record.experiment.workload.dataset
    if isinstance(data, TraceDataset):
        return None, None
    told = getattr(data, "output_tokens", None)
    if told is None or data.kind == "jsonl":
        return None, None
    return _range(told)


def _range(length: Length) -> tuple[int, int]:
    return (length, length) if isinstance(length, int) else (length.low, length.high)


def in_turn(case: Case) -> Found:
    """Which request comes when follows from the campaign's seed, the block and the list alone. So a
    run of another block does not pass for this one's, and none can be left out of the middle."""
    lock, experiment = case.lock, case.record.experiment
    listed = None if lock is None else lock.requests.get(experiment.requests_sha256)
    if lock is None:
        return
    data, arrival = experiment.workload.dataset, experiment.workload.arrival
    if getattr(data, "turns", None) or isinstance(arrival, TraceArrival):
        return
    if listed is None or not 0 < listed <= MOST_LISTED:
        yield "requests_not_in_order", "how long their list is, the campaign's lock does not tell"
        return
    prefix = hashlib.sha256(f"{lock.seed}/{case.record.block}/".encode())

    def rank(name: str) -> bytes:
        h = prefix.copy()
        h.update(name.encode())
        return h.digest()

    order = sorted((f"r{i}" for i in range(listed)), key=rank)
    place = {name: i for i, name in enumerate(order)}
    for responses in of_phase(case):
        before: int | None = None
        for r in responses:
            now = _place(r.request.id, place, listed)
            if now is None:
                yield "requests_not_in_order", f"{r.request.id[:40]} is not in the list"
                return
            if before is not None and now != before + 1:
                yield "requests_not_in_order", f"{r.request.id[:40]} was not the next one"
                return
            before = now


def _place(name: str, place: dict[str, int], listed: int) -> int | None:
    found = NAMED.fullmatch(name)
    if found is None or f"r{found[1]}" not in place:
        return None
    turn = int(found[2]) - 1 if found[2] else 0
    return turn * listed + place[f"r{found[1]}"]


def load(case: Case) -> Found:
    """Little's law at every moment: never more under way than there are clients."""
    arrival = case.record.experiment.workload.arrival
    if not isinstance(arrival, Concurrency):
        return
    for responses in of_phase(case):
        most = edges.most_open(responses)
        if most > arrival.concurrency:
            yield "load_not_as_asked", f"{most} open of {arrival.concurrency} clients"


def bandwidth(case: Case) -> Found:
    """Each step reads every weight that it uses from the board's memory once, and makes one token
    for each request that is being answered. Engines that guess ahead make more, and are passed
    over."""
    record = case.record
    known = [boards.known().find(g.name) for g in record.environment.gpus]
    size = parameters(record.experiment.model.id)
    args = f"{record.experiment.args} {record.experiment.engine}"
    if not known or size is None or SPECULATES.search(args):
        return
    engine = record.experiment.engine
    quantized = engine.get("quantization") is not None or "quant" in args.lower()
    plain = BYTES.get(str(engine.get("dtype")), LEAST_BYTES)
    model = record.experiment.model.id.lower()
    if quantized or re.search(r"awq|gptq|int4|int8|fp8|fp4|4bit|8bit|gguf|q\d", model):
        plain = LEAST_BYTES
    bytes_s = 0.0
    for board in known:
        if board is None:
            return
        bytes_s += board.bandwidth_gb_s * 1e9
    steps_s = BANDWIDTH_ROOM * bytes_s / (size * plain)
    for w in case.again.figures.windows:
        at_once = _decoding(case.responses, w.start_ns, w.end_ns)
        tokens_s = w.output_tokens / ((w.end_ns - w.start_ns) / 1e9)
        if at_once and tokens_s > steps_s * at_once:
            detail = (
                f"{tokens_s:.0f} tokens/s of {at_once} at once, at most {steps_s * at_once:.0f}"
            )
            yield "tokens_beyond_bandwidth", detail


def _decoding(responses: Sequence[Response], start_ns: int, end_ns: int) -> int:
    """The most requests that were ever being answered at once, with those whose last token came
    with the end of another."""
    own = [
        Response(r.request, r.token_ns[0], [], r.end_ns)
        for r in responses
        if r.token_ns and r.end_ns is not None and r.end_ns > start_ns and r.token_ns[0] <= end_ns
    ]
    return edges.most_open(own)


def parameters(name: str) -> float | None:
    """The smallest number of parameters in a model's name: of mixtures (``30B-A3B``), those that
    a token uses. None where none is there."""
    found = [
        float(n) * (1e9 if unit in "bB" else 1e6)
        for n, unit in SIZE.findall(re.sub(r"-A(\d)", r"- \1", name))
    ]
    return min(found, default=None)


CHECKS: tuple[Check, ...] = (inputs, outputs, in_turn, load, bandwidth)
