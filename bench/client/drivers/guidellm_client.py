"""GuideLLM as one of the tools compared; runs in an environment of its own.

Its ``inter_token_latency_ms`` is (last − first token) ÷ (n − 1) of a request, which others call
TPOT; its ``time_per_output_token_ms`` has the time to first token in it. Gaps between chunks it
does not report.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def main(task: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        backend = {
            "kind": "openai_http",
            "target": f"http://{task['host']}:{task['port']}",
            "model": task["model"],
            "request_format": "/v1/completions",
            "validate_backend": False,
            "extras": {"body": {"temperature": 0, **task["extra"]}},
        }
        data = {
            "kind": "synthetic_text",
            "prompt_tokens": task["input_tokens"],
            "output_tokens": task["output_tokens"],
        }
        command = [
            *(str(Path(sys.executable).parent / "guidellm"), "run", "--disable-console"),
            *("--backend", json.dumps(backend)),
            *("--profile", f"kind=concurrent,streams={task['concurrency']}"),
            *("--constraint", f"kind=max_requests,count={task['requests']}"),
            *("--tokenizer", f"kind=huggingface_auto,model={task['tokenizer']}"),
            *("--data", json.dumps(data)),
            *("--output", f"kind=json,path={file}"),
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (found,) = json.loads(file.read_text())["benchmarks"]
    metrics = found["metrics"]
    tokens = metrics["output_token_count"]["successful"]["total_sum"]
    named = {"ttft": "time_to_first_token_ms", "tpot": "inter_token_latency_ms"}
    figures = {
        f"{name}_p{q}_ms": metrics[key]["successful"]["percentiles"][f"p{q}"]
        for name, key in named.items()
        for q in (50, 99)
    }
    result = {
        "start": found["start_time"],
        "end": found["end_time"],
        "failed": task["requests"] - metrics["request_totals"]["successful"],
        "output_tokens": tokens,
        "tokens_per_s": tokens / (found["end_time"] - found["start_time"]),
        **figures,
    }
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
