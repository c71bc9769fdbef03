"""What it costs an engine to be driven by lem: ``python -m bench.offline BACKEND MODEL [ROUNDS]``.

In one process, with one loaded engine, rounds of the same requests in turn: by the backend's
``serve``, as a run does it (with a log of every token's time and the search for windows), and by a
bare call of the engine as a script would make it. Compared is CPU time, all threads of the process:
on a shared machine wall time says more of the neighbours. Needs the engine in this Python; MODEL is
a prepared model (a folder, for llama_cpp a GGUF file).
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lem import plugins
from lem.contract.base import CONTRACT_VERSION
from lem.contract.job import Job
from lem.contract.spec import DeviceSettings, ExperimentModel, Limits, Measurement
from lem.contract.workload import Workload
from lem.workloads.load import Log
from lem.workloads.requests import Request, dump
from lem.workloads.sources import Backlog
from lem.workloads.steady import Phase
from lem.workloads.stock import Stock

SLOTS = 8
REQUESTS = 16
INPUT_TOKENS, OUTPUT_TOKENS = 32, 16
ARGS: dict[str, dict[str, Any]] = {"vllm": {"enforce_eager": True}}


def job(backend: str, model: Path, folder: Path, requests: list[Request]) -> Job:
    data, sha256 = dump(requests)
    path = folder / f"{sha256}.jsonl.gz"
    path.write_bytes(data)
    return Job(
        contract_version=CONTRACT_VERSION,
        run_id="bench",
        arm_id="bench",
        experiment_id="0" * 64,
        campaign="bench",
        block=0,
        block_pass=0,
        attempt=0,
        backend=backend,
        engine_version="1",
        model=str(model),
        model_identity=ExperimentModel(
            id="m", revision=None, content="sha256:" + "0" * 64, weights="trained"
        ),
        engine={"max_batch_size": SLOTS, "threads": 1},
        args=ARGS.get(backend, {}),
        generate={"temperature": 0, "ignore_eos": True},
        workload=Workload(),
        requests=str(path),
        requests_sha256=sha256,
        device=DeviceSettings(),
        measure=Measurement(windows=1, window_s=1, idle_s=0, warm_up_cap_s=1),
        limits=Limits(),
        seed=1,
        gpus=[],
        launcher="process",
        image_digest=None,
    )


def requests(turn: int) -> list[Request]:
    """Other prompts each turn, so that none is found in a cache."""
    return [
        Request(
            f"t{turn}r{i}",
            [1000 + (7919 * (turn * REQUESTS + i) + 31 * j) % 40000 for j in range(INPUT_TOKENS)],
            OUTPUT_TOKENS,
            "",
        )
        for i in range(REQUESTS)
    ]


def by_lem(engine: Any, wanted: list[Request]) -> int:
    log = Log()
    source = Backlog(Stock(wanted), log, limit=len(wanted))
    engine.serve(Phase(source, log, atomic=engine.atomic_batches, window_s=1e6), log)
    return log.tokens


def bare_vllm(engine: Any, wanted: list[Request]) -> int:
    from vllm import SamplingParams

    parameters = SamplingParams(temperature=0, ignore_eos=True, max_tokens=OUTPUT_TOKENS)
    found = engine._llm.generate(
        [{"prompt_token_ids": r.input_ids} for r in wanted], parameters, use_tqdm=False
    )
    return sum(len(f.outputs[0].token_ids) for f in found)


def bare_transformers(engine: Any, wanted: list[Request]) -> int:
    import torch

    tokens = 0
    for i in range(0, len(wanted), SLOTS):
        ids = torch.tensor([r.input_ids for r in wanted[i : i + SLOTS]])
        with torch.inference_mode():
            out = engine._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=OUTPUT_TOKENS,
                min_new_tokens=OUTPUT_TOKENS,
                do_sample=False,
            )
        engine._tokenizer.inner.batch_decode(out[:, INPUT_TOKENS:], skip_special_tokens=True)
        tokens += out[:, INPUT_TOKENS:].numel()
    return tokens


def bare_llama_cpp(engine: Any, wanted: list[Request]) -> int:
    def answer(request: Request) -> int:
        found = engine._server.handle_completions(
            {
                "prompt": request.input_ids,
                "n_predict": OUTPUT_TOKENS,
                "temperature": 0,
                "ignore_eos": True,
                "cache_prompt": False,
            }
        )
        return int(found["usage"]["completion_tokens"])

    with ThreadPoolExecutor(SLOTS) as pool:
        return sum(pool.map(answer, wanted))


BARE: dict[str, Callable[[Any, list[Request]], int]] = {
    "vllm": bare_vllm,
    "transformers": bare_transformers,
    "llama_cpp": bare_llama_cpp,
}


def main(backend: str, model: Path, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = plugins.load("backends", backend)().load(
            job(backend, model, Path(folder), requests(0))
        )
    ways = {"lem": by_lem, "bare": BARE[backend]}
    for way in ways.values():
        way(engine, requests(1))
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(2, 2 + rounds):
        # Which of the two is first changes from round to round.
        for name in sorted(ways, reverse=bool(turn % 2)):
            start, used = time.perf_counter(), time.process_time()
            tokens = ways[name](engine, requests(2 * turn + (name == "lem")))
            cpu[name].append((time.process_time() - used) / tokens * 1e3)
            wall[name].append((time.perf_counter() - start) / tokens * 1e3)
    print("| engine | CPU time a token, bare | by lem | lem ÷ bare | wall, lem ÷ bare |")
    print("|---|---|---|---|---|")
    print(
        f"| {backend} | {statistics.median(cpu['bare']):.3f} ms | "
        f"{statistics.median(cpu['lem']):.3f} ms | {ratio(cpu)} | {ratio(wall)} |"
    )
    engine.close()


def ratio(taken: dict[str, list[float]]) -> str:
    """Median over rounds of lem ÷ bare within a round, and its standard error (of a median, from
    the median absolute deviation)."""
    found = [a / b for a, b in zip(taken["lem"], taken["bare"], strict=True)]
    middle = statistics.median(found)
    spread = 1.4826 * statistics.median([abs(f - middle) for f in found])
    return f"{middle:.4f} ± {1.2533 * spread / len(found) ** 0.5:.4f}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 12)
