"""Run by an interpreter that has ``lm_eval``: makes questions of one of its tasks.

Reads ``{"task", "include_path", "fewshot", "limit", "metric"}`` on stdin and writes a question a
line, as ``lem/workloads/questions.py`` reads them. It imports nothing of lem, which need not be
there.
Exit status 3: no usable harness; 4: not a task that can be answered this way, with the reason.
"""

import contextlib
import json
import random
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

FILTERS = ("regex", "remove_whitespace", "lowercase", "uppercase", "take_first")
OPTIONS = ("ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore")
"""Of the metric ``exact_match``."""
IN_METRIC = ("metric", "aggregation", "higher_is_better", *OPTIONS)
GIVEN = {
    "multiple_choice": ("acc", "acc_norm", "acc_bytes", "exact_match"),
    "loglikelihood": ("acc", "perplexity"),
}
"""Kinds of tasks whose answers are given, and the metrics that lem works out for them."""
TRIALS = 4
"""Made-up likelihoods for each question, for which the task must score as lem will."""

Told = tuple[float, bool]
"""As the harness has it: log-likelihood, and whether the model would write it by itself."""


class NotPossible(Exception):
    pass


def main() -> int:
    orders = json.loads(sys.stdin.buffer.read())
    # What the harness prints must not come between the questions.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            from lm_eval.tasks import TaskManager  # type: ignore[import-not-found, unused-ignore]
        except ImportError as e:
            print(e, file=sys.stderr)
            return 3
        try:
            lines = questions(TaskManager, orders)
        except NotPossible as e:
            print(e, file=sys.stderr)
            return 4
    sys.stdout.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return 0


def questions(manager: Any, orders: dict[str, Any]) -> list[dict[str, Any]]:
    """The task's questions. Raises :class:`NotPossible` for tasks of other kinds."""
    name, own = orders["task"], orders["include_path"]
    # Reading all of the harness's own tasks takes long, and is not needed for one of these.
    tasks = None if own is None else manager(include_path=own, include_defaults=False)
    if tasks is None or name not in tasks.all_tasks:
        tasks = manager(include_path=own)
    if name not in tasks.all_tasks:
        raise NotPossible(f"the harness has no task named {name!r}")
    if name not in tasks.all_subtasks:
        raise NotPossible(f"{name!r} is a group of tasks; name one of them")
    task = tasks.load([name])["tasks"][name]
    given = task.config.output_type in GIVEN
    scored = {} if given else scoring(task.config)
    if given:
        check_given(task.config)
    if orders["fewshot"] is not None:
        task.set_config(key="num_fewshot", value=orders["fewshot"])
    # The seed that the harness's own command line uses: it picks the solved examples.
    task.set_fewshot_seed(seed=1234)
    task.build_all_requests(limit=orders["limit"])
    if given:
        return [
            given_answers(task, list(asked), orders["metric"])
            for _, asked in groupby(task.instances, key=lambda one: one.doc_id)
        ]
    if orders["metric"] is not None:
        raise NotPossible("metric is for tasks that score given answers; its model writes them")
    return [question(task, instance, scored) for instance in task.instances]


def scoring(config: Any) -> dict[str, Any]:
    """How the task scores an answer, in the words of ``lem/workloads/scoring.py``."""
    if config.output_type != "generate_until":
        raise NotPossible(
            f"it scores the likelihood of whole texts ({config.output_type}), none of which is "
            "correct or wrong; quality: [nll] measures that"
        )
    if config.process_results is not None:
        raise NotPossible("it scores answers by code of its own (process_results)")
    if (config.repeats or 1) != 1:
        raise NotPossible(f"it asks each question {config.repeats} times")
    metrics = config.metric_list or []
    if [m.get("metric") for m in metrics] != ["exact_match"]:
        raise NotPossible(f"its metrics are {_names(metrics, 'metric')}, not exact_match alone")
    (metric,) = metrics
    if unknown := sorted(set(metric) - set(IN_METRIC)):
        raise NotPossible(f"its exact_match has the unknown option {unknown[0]}")
    pipelines = config.filter_list or []
    # Where a task has several, the first is the one that it is usually quoted by.
    steps = pipelines[0]["filter"] if pipelines else []
    for step in steps:
        if step["function"] not in FILTERS:
            raise NotPossible(f"its filter {step['function']} is not known here")
    asked = config.generation_kwargs or {}
    if asked.get("do_sample") and asked.get("temperature", 1.0) > 0:
        raise NotPossible("it samples its answers")
    return {
        "filters": [_filter(s) for s in steps],
        **{name: metric[name] for name in OPTIONS if metric.get(name)},
    }


def question(task: Any, instance: Any, scored: dict[str, Any]) -> dict[str, Any]:
    """One line."""
    context, asked = instance.args[0], instance.args[1]
    if not isinstance(context, str):
        raise NotPossible("its questions are no plain text")
    until = asked.get("until") or []
    stop = [until] if isinstance(until, str) else list(until)
    gold = task.doc_to_target(instance.doc)
    if task.config.doc_to_choice is not None and isinstance(gold, int):
        gold = task.doc_to_choice(instance.doc)[gold]
    answers = [str(g) for g in gold] if isinstance(gold, list | tuple) else str(gold)
    line = {
        "question": context,
        "answer": answers,
        "chat": False,
        "task": {"stop": [s for s in stop if s], **scored},
    }
    most = asked.get("max_gen_toks") or asked.get("max_new_tokens") or asked.get("max_tokens")
    return line if most is None else {**line, "output_tokens": int(most)}


def check_given(config: Any) -> None:
    """Raise :class:`NotPossible` where a task with given answers scores in a way of its own."""
    if config.process_results is not None:
        raise NotPossible("it scores answers by code of its own (process_results)")
    if (config.repeats or 1) != 1:
        raise NotPossible(f"it asks each question {config.repeats} times")
    for pipeline in config.filter_list or []:
        for step in pipeline["filter"]:
            if step["function"] != "take_first":
                raise NotPossible(f"its filter {step['function']} is not known here")
    if config.doc_to_image or config.doc_to_audio:
        raise NotPossible("its questions are no plain text")


def given_answers(task: Any, asked: list[Any], wanted: str | None) -> dict[str, Any]:
    """One line of a task whose answers are given. ``asked``: the harness's requests of one
    question; ``wanted``: the metric that says what is correct."""
    kind, doc = task.config.output_type, asked[0].doc
    known = [m for m in task._metric_fn_list if m in GIVEN[kind]]
    deciding = [m for m in known if m != "perplexity"]
    metric = wanted or ("acc" if "acc" in deciding else next(iter(deciding), None))
    if metric not in deciding:
        those = ", ".join(task._metric_fn_list) or "none"
        raise NotPossible(f"its metrics are {those}; {metric or 'acc'} is not among them")
    if kind == "multiple_choice":
        names = [str(name) for name in task.doc_to_choice(doc)]
    else:
        names = [str(asked[0].args[1])]
    # For acc_mutual_info the answers come once more, after nothing.
    pairs = [one.args[:2] for one in sorted(asked, key=lambda one: one.idx)][: len(names)]
    if any(not isinstance(part, str) for pair in pairs for part in pair):
        raise NotPossible("its questions are no plain text")
    if any(not text for _, text in pairs):
        raise NotPossible("one of its answers is empty")
    scorer = _Scorer(task, doc, names, known, len(asked))
    question = pairs[0][0] or pairs[0][1]
    return {
        "question": question,
        "chat": False,
        "likelihood": {
            "kind": kind,
            "given": [
                {"text": text, "name": name} | ({} if context == question else {"context": context})
                for (context, text), name in zip(pairs, names, strict=True)
            ],
            "accepted": scorer.accepted(),
            "metric": metric,
            "metrics": known,
        },
    }


class _Scorer:
    """How the task itself scores one question."""

    def __init__(self, task: Any, doc: Any, names: list[str], known: list[str], n: int) -> None:
        self._task, self._doc, self._names, self._known, self._n = task, doc, names, known, n
        if {"acc_norm", "acc_bytes"} & set(known) and not all(names):
            raise NotPossible("one of its answers is empty")

    def accepted(self) -> list[int]:
        """The answers that it takes as correct, found out by making each the best one. Raises
        :class:`NotPossible` where it scores otherwise than lem will."""
        places = range(len(self._names))
        if self._task.config.output_type == "loglikelihood":
            found = [0]
        else:
            found = [i for i in places if self._correct_alone(i)]
        draw = random.Random(1)
        for _ in range(TRIALS):
            told = [(-20 * draw.random(), draw.random() < 0.5) for _ in places]
            if self._says(told) != self._expected(told, found):
                raise NotPossible("its metrics do not follow the harness's usual rules")
        return found

    def _correct_alone(self, place: int) -> bool:
        """The longest answer is far from being twice as good for its length."""
        length = max(map(len, self._names)) * 8
        told = [
            (-1e-3 if i == place else -1e3 * length, i == place) for i in range(len(self._names))
        ]
        values = {self._says(told)[m] for m in self._known}
        if len(values) != 1:
            raise NotPossible("its metrics do not agree on which answer is correct")
        return values == {1.0}

    def _says(self, told: list[Told]) -> dict[str, float]:
        # What is asked besides (for acc_mutual_info) is as likely as can be.
        results = [*told, *([(0.0, False)] * (self._n - len(told)))]
        found = self._task.process_results(self._doc, results)
        return {m: float(found[m]) for m in self._known}

    def _expected(self, told: list[Told], accepted: Sequence[int]) -> dict[str, float]:
        lengths = {
            "acc": [1] * len(told),
            "acc_norm": [len(n) for n in self._names],
            "acc_bytes": [len(n.encode()) for n in self._names],
        }
        found: dict[str, float] = {}
        for m in self._known:
            if m == "perplexity":
                found[m] = told[0][0]
            elif m == "exact_match" or self._task.config.output_type == "loglikelihood":
                found[m] = float(any(told[i][1] for i in accepted))
            else:
                values = [p / n for (p, _), n in zip(told, lengths[m], strict=True)]
                found[m] = float(values.index(max(values)) in accepted)
        return found


def _filter(step: dict[str, Any]) -> dict[str, Any]:
    kept = {"kind": step["function"]}
    if step["function"] == "regex":
        if "regex_pattern" in step:
            kept["pattern"] = step["regex_pattern"]
        kept |= {k: step[k] for k in ("group_select", "fallback") if k in step}
    return kept


def _names(parts: list[dict[str, Any]], key: str) -> str:
    return ", ".join(str(p.get(key)) for p in parts) or "none"


if __name__ == "__main__":
    sys.exit(main())
