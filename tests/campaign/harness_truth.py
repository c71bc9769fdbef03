"""Run by an interpreter that has ``lm_eval``: how the harness itself scores given answers.

Reads ``{"task", "include_path", "answers"}`` on stdin; writes the contexts that its model was given
and each answer's ``exact_match``, in the order of the questions.
"""

import contextlib
import json
import sys

orders = json.loads(sys.stdin.read())
with contextlib.redirect_stdout(sys.stderr):
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Prepared(LM):
        """Answers with what was prepared, cut at the stop sequences as every model there does."""

        def __init__(self):
            super().__init__()
            self.contexts = []

        def generate_until(self, requests, disable_tqdm=False):
            texts = []
            for request, text in zip(requests, orders["answers"], strict=True):
                self.contexts.append(request.args[0])
                for stop in request.args[1]["until"]:
                    text = text.split(stop)[0]
                texts.append(text)
            return texts

        def loglikelihood(self, requests, disable_tqdm=False):
            raise NotImplementedError

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            raise NotImplementedError

    model = Prepared()
    done = simple_evaluate(
        model=model,
        tasks=[orders["task"]],
        limit=len(orders["answers"]),
        task_manager=TaskManager(include_path=orders["include_path"], include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    samples = sorted(done["samples"][orders["task"]], key=lambda s: s["doc_id"])
sys.stdout.write(
    json.dumps({"contexts": model.contexts, "scores": [s["exact_match"] for s in samples]})
)
