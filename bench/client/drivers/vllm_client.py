"""``vllm bench serve`` as one of the tools compared; runs in vLLM's own environment."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main(task: dict[str, Any]) -> None:
    from vllm.benchmarks import serve

    times: list[float] = []
    benchmark = serve.benchmark

    async def timed(*arguments: Any, **named: Any) -> Any:
        times.append(time.time())
        try:
            return await benchmark(*arguments, **named)
        finally:
            times.append(time.time())

    serve.benchmark = timed
    parser = argparse.ArgumentParser()
    serve.add_cli_args(parser)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            *("--backend", "openai", "--endpoint", "/v1/completions"),
            *("--host", task["host"], "--port", str(task["port"])),
            *("--model", task["model"], "--tokenizer", task["tokenizer"]),
            *("--dataset-name", "random", "--num-prompts", str(task["requests"])),
            *("--random-input-len", str(task["input_tokens"])),
            *("--random-output-len", str(task["output_tokens"])),
            *("--max-concurrency", str(task["concurrency"]), "--ignore-eos", "--disable-tqdm"),
            *("--percentile-metrics", "ttft,tpot,itl", "--metric-percentiles", "50,99"),
            *("--temperature", "0", "--ready-check-timeout-sec", "0"),
            *("--extra-body", json.dumps(task["extra"])),
            *("--save-result", "--result-dir", folder, "--result-filename", "result.json"),
        ]
        serve.main(parser.parse_args(arguments))
        found = json.loads((Path(folder) / "result.json").read_text())
    figures = {
        f"{name}_p{q}_ms": found[f"p{q}_{name}_ms"]
        for name in ("ttft", "tpot", "itl")
        for q in (50, 99)
    }
    result = {
        "start": times[0],
        "end": times[1],
        "failed": task["requests"] - found["completed"],
        "output_tokens": found["total_output_tokens"],
        "tokens_per_s": found["output_throughput"],
        **figures,
    }
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
