"""lem's client as one of the tools compared: takes its task as JSON, prints its result as JSON."""

import json
import sys
import time
from typing import Any

from lem.workloads import latency
from lem.workloads.client import Client
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.sources import ClosedLoop
from lem.workloads.stock import Stock
from lem.workloads.wire import Wire


def main(task: dict[str, Any]) -> None:
    def body(r: Request) -> dict[str, Any]:
        return {
            "model": task["model"],
            "prompt": r.input_ids,
            "max_tokens": r.output_tokens,
            "stream": True,
            "temperature": 0,
            "ignore_eos": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            **task["extra"],
        }

    n, size = task["requests"], task["input_tokens"]
    ids = [[1000 + (7919 * (i * size + k)) % 40000 for k in range(size)] for i in range(n)]
    stock = Stock([Request(f"r{i}", ids[i], task["output_tokens"], "") for i in range(n)])
    client, log = Client((task["host"], task["port"]), Wire("/v1/completions", body)), Log()
    start = time.time()
    client.serve(ClosedLoop(task["concurrency"], stock, log, limit=n), log)
    end = time.time()
    answers = list(log.responses.values())
    tokens = sum(len(r.token_ns) for r in answers)
    print(
        json.dumps(
            {
                "start": start,
                "end": end,
                "failed": sum(r.status != "done" for r in answers),
                "output_tokens": tokens,
                "tokens_per_s": tokens / (end - start),
                **figures(answers),
            }
        )
    )


def figures(answers: list[Response]) -> dict[str, float]:
    """Milliseconds. ITL: gaps between chunks, so without those of 0 between tokens of one."""
    found = {
        "ttft": latency.ttft_s(answers),
        "tpot": latency.tpot_s(answers),
        "itl": [g for g in latency.itl_s(answers) if g > 0],
    }
    return {
        f"{name}_p{q}_ms": latency.quantile(sorted(values), q / 100) * 1e3
        for name, values in found.items()
        for q in (50, 99)
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
