"""Run by an interpreter that has ``lm_eval``: what the harness's own Hugging Face model makes of
tasks with given answers.

Reads ``{"tasks", "include_path", "model", "packages"}`` on stdin; ``packages`` is a folder that has
torch and transformers, where the interpreter has not. Writes for each task, question by question,
the pairs of texts, their log-likelihoods and greedy flags, the metrics, and their aggregates.
"""

import contextlib
import json
import sys

orders = json.loads(sys.stdin.read())
sys.path.append(orders["packages"])
with contextlib.redirect_stdout(sys.stderr):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    done = simple_evaluate(
        model="hf",
        model_args={"pretrained": orders["model"], "dtype": "float32"},
        device="cpu",
        batch_size=1,
        tasks=orders["tasks"],
        task_manager=TaskManager(include_path=orders["include_path"], include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
found = {}
for task in orders["tasks"]:
    samples = sorted(done["samples"][task], key=lambda s: s["doc_id"])
    found[task] = {
        "questions": [
            {
                "pairs": s["arguments"],
                "told": [r[0] if isinstance(r[0], (list, tuple)) else r for r in s["resps"]],
                "metrics": {m: s[m] for m in s["metrics"]},
            }
            for s in samples
        ],
        "metrics": {
            name.partition(",")[0]: value
            for name, value in done["results"][task].items()
            if "," in name and "stderr" not in name
        },
    }
sys.stdout.write(json.dumps(found, default=str))
