"""Runs and campaigns, listed and shown in full: what ``lem results list`` and ``show`` print."""

from typing import TYPE_CHECKING, Any

from lem.cli.output import emit, note, out, visible
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.analysis.results import Campaign
    from lem.contract.record import Record
    from lem.stores.rows import Row

LIST_METRICS = ["energy_per_output_token_j", "cpu_time_per_output_token_s"]


def print_whole(renderable: Any) -> None:
    """To stdout, laid out for its width also where that is not a terminal."""
    out().print(renderable, soft_wrap=False)


def summary(campaign: "Campaign") -> dict[str, Any]:
    from lem.analysis.blocks import decide
    from lem.stores.counted import counted

    outcomes = campaign.outcomes()
    counting = counted(outcomes)
    planned = decide(campaign.lock, outcomes).n if campaign.lock else None
    done = len({o.block for o in counting})
    return {
        "name": campaign.name,
        "folder": str(campaign.folder),
        "arms": len(campaign.lock.arms) if campaign.lock else len({o.arm_id for o in outcomes}),
        "blocks": f"{done} of {planned}" if planned and done < planned else str(done),
        "counted": len(counting),
        "failed": sum(o.kind == "failure" for o in outcomes),
        "last_run": max((o.ended_at for o in outcomes), default=""),
    }


def campaign_json(campaign: "Campaign") -> dict[str, Any]:
    rows = campaign.rows(LIST_METRICS)
    return {**summary(campaign), "attempts": _attempts_json(campaign, rows)}


def _attempts_json(campaign: "Campaign", rows: "list[Row]") -> list[dict[str, Any]]:
    from lem.analysis.standing import standing

    standings = standing(campaign.rows([]))
    return [
        {
            **{k: v for k, v in r.outcome._asdict().items() if k != "costs"},
            "run_id": r.run_id,
            "experiment_id": r.experiment_id,
            "stands": standings[r.outcome.path],
            "flags": list(r.flags),
            "metrics": {
                m: {p or "value": v._asdict() for p, v in parts.items()}
                for m, parts in r.metrics.items()
            },
        }
        for r in rows
    ]


def print_attempts(campaign: "Campaign", rows: "list[Row]", limit: int) -> None:
    from lem.analysis.naming import readable_names
    from lem.analysis.standing import standing
    from lem.analysis.text import plain
    from lem.report.listing import attempts_table

    standings = standing(campaign.rows([]))
    rows = sorted(rows, key=lambda r: (r.outcome.block, r.outcome.started_at or "~"))
    print_whole(visible(f"{plain(campaign.name)} ({campaign.folder})"))
    print_whole(attempts_table(rows[-limit:], readable_names(campaign.arms()), standings))
    if len(rows) > limit:
        note(f"the last {limit} of {len(rows)} attempts; --limit {len(rows)} shows all")


def show_campaigns(campaigns: "list[Campaign]", as_json: bool) -> None:
    if as_json:
        emit({"schema_version": 1, "campaigns": [campaign_json(c) for c in campaigns]})
        return
    for campaign in campaigns:
        print_attempts(campaign, campaign.rows(LIST_METRICS), 100)


def refuse_budget() -> None:
    raise BadInput(
        "--budget is of one run",
        hint="name a run's id or its folder; `lem results list PATH` shows them",
    )


def show_matches(wanted: str, campaigns: "list[Campaign]", as_json: bool, budget: bool) -> None:
    found = []
    for campaign in campaigns:
        rows = campaign.rows(LIST_METRICS)
        exact = [r for r in rows if r.run_id == wanted]
        ids = [
            r
            for r in rows
            if len(wanted) >= 4
            and any(
                i.startswith(wanted) for i in (r.run_id, r.outcome.arm_id, r.experiment_id) if i
            )
        ]
        named = (
            [] if exact or ids else [r for r in rows if r.outcome.arm_id == _arm(campaign, wanted)]
        )
        if exact or ids or named:
            found.append((campaign, exact or ids or named))
    if not found:
        if "/" in wanted:
            raise BadInput(
                f"{wanted} is not there",
                hint="`lem results list PATH` shows the runs; `show` takes their ids",
            )
        raise BadInput(
            f"no run, arm or experiment goes by {wanted!r}",
            hint=_meant(wanted, campaigns)
            or "`lem results list PATH` shows the runs' ids (4 characters are enough) and the "
            "arms' names",
        )
    if len(found) == 1 and len(found[0][1]) == 1:
        campaign, (row,) = found[0]
        show_run(campaign, row.outcome.path, as_json, budget)
    elif budget:
        refuse_budget()
    elif as_json:
        attempts = [a for c, rows in found for a in _attempts_json(c, rows)]
        emit({"schema_version": 1, "attempts": attempts})
    else:
        for campaign, rows in found:
            print_attempts(campaign, rows, 100)


def _meant(wanted: str, campaigns: "list[Campaign]", most: int = 5) -> str | None:
    """The arms whose names have ``wanted`` as a part, as a hint; None where there are none."""
    from lem.analysis.naming import readable_names

    def padded(text: str) -> str:
        # "batch size 1" is no part of "batch size 16".
        return f" {' '.join(text.lower().replace(',', ' ').split())} "

    names = dict.fromkeys(n for c in campaigns for n in readable_names(c.arms()).values())
    found = [n for n in names if padded(wanted) in padded(n)] if wanted.strip() else []
    if not found:
        return None
    more = f" (and {len(found) - most} more)" if len(found) > most else ""
    return "perhaps " + " or ".join(repr(n) for n in found[:most]) + more


def _arm(campaign: "Campaign", wanted: str) -> str | None:
    """The id of the arm that ``compare`` would know by this name, if it is one."""
    from lem.analysis.naming import find_arm

    try:
        return find_arm(campaign.arms(), wanted).arm_id
    except BadInput:
        return None


def show_run(campaign: "Campaign", path: str, as_json: bool, budget: bool) -> None:
    from lem.analysis.standing import standing
    from lem.report.record import failure_view, record_view

    try:
        entry = campaign.entry(path)
    except KeyError:
        raise BadInput(f"{campaign.folder} has no attempt {path}") from None
    document = entry.record or entry.failure
    if document is None:
        raise BadInput(
            entry.problem or f"{path} was not finished: it has neither record nor failure",
            hint="`lem campaign run` makes that run again",
        )
    if budget:
        _show_budget(entry.record, as_json)
    elif as_json:
        emit(document.model_dump(mode="json"))
    elif entry.failure is not None:
        print_whole(failure_view(entry.failure, path))
    elif entry.record is not None:
        stands = standing(campaign.rows([]))[path]
        print_whole(record_view(entry.record, stands, path))


def _show_budget(record: "Record | None", as_json: bool) -> None:
    from lem.report.budget import budgets_view
    from lem.trust.budget import metrics, readings

    if record is None:
        raise BadInput("a run that failed has no figures, so it has no budget")
    of_readings, of_metrics = list(readings(record)), list(metrics(record))
    if as_json:
        emit(
            {
                "schema_version": 1,
                "run_id": record.run_id,
                "readings": [b.to_json() for b in of_readings],
                "metrics": [b.to_json() for b in of_metrics],
            }
        )
    else:
        print_whole(budgets_view(record.run_id, of_readings, of_metrics))
