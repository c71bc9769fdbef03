"""Run by an interpreter that has ``lm_eval``: makes questions of one of its tasks.

Reads ``{"task", "include_path", "fewshot", "limit"}`` on stdin and writes a question a line, as
``lem/workloads/questions.py`` reads them. It imports nothing of lem, which need not be there.
Exit status 3: no usable harness; 4: not a task that can be answered this way, with the reason.
"""

import contextlib
import json
import sys
from typing import Any

FILTERS = ("regex", "remove_whitespace", "lowercase", "uppercase", "take_first")
OPTIONS = ("ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore")
"""Of the metric ``exact_match``."""
IN_METRIC = ("metric", "aggregation", "higher_is_better", *OPTIONS)


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
    scored = scoring(task.config)
    if orders["fewshot"] is not None:
        task.set_config(key="num_fewshot", value=orders["fewshot"])
    # The seed that the harness's own command line uses: it picks the solved examples.
    task.set_fewshot_seed(seed=1234)
    task.build_all_requests(limit=orders["limit"])
    return [question(task, instance, scored) for instance in task.instances]


def scoring(config: Any) -> dict[str, Any]:
    """How the task scores an answer, in the words of ``lem/workloads/scoring.py``."""
    if config.output_type != "generate_until":
        raise NotPossible(
            f"it scores the likelihood of given answers ({config.output_type}); only tasks that"
            " have the model write its answer (generate_until) can be measured"
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
