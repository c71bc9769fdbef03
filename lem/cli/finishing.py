"""What ``lem campaign run`` says before and after."""

import sys
from typing import TYPE_CHECKING

from lem.cli.output import emit, note, out
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.campaign import Campaign, Overview
    from lem.campaign.overview import Estimate


def announce(campaign: "Campaign") -> None:
    """What a person wants to know before they wait."""
    from lem.cli.plan_view import decision_in_words, roughly

    overview = campaign.plan()
    expected = expected_of(campaign, overview)
    if expected.runs:
        runs = "1 run" if expected.runs == 1 else f"{expected.runs} runs"
        note(
            f"{runs} to make, about {roughly(expected.elapsed_s)} ({expected.basis}); "
            f"results: {campaign.folder}"
        )
        note(decision_in_words(overview))


def expected_of(campaign: "Campaign", overview: "Overview", nodes: int | None = None) -> "Estimate":
    """What is still to come, on so many nodes; None: as many as the campaign itself names."""
    from lem.campaign.overview import estimate

    cluster, at_once = campaign.cluster, campaign.file.spec.parallel_blocks
    if nodes is None:
        nodes = at_once if cluster is not None and isinstance(at_once, int) else 1
    per_job = 1 if cluster is None else cluster.blocks_per_job
    return estimate(overview, campaign.power_w(), nodes, per_job)


def finish(
    campaign: "Campaign", overview: "Overview", nothing_new: bool, as_json: bool, strict: bool
) -> int:
    """Print the table of results; the exit status."""
    from lem.analysis.results import open_results
    from lem.cli.plan_view import decision_in_words, failed_runs, missed_precision, summary
    from lem.report.table import render

    failed = failed_runs(overview)
    comparison = None
    complaint = ""
    try:
        comparison = open_results(campaign.folder).compare()
    except BadInput as e:
        complaint = e.message
    missed = missed_precision(comparison) if comparison else []
    if overview.lock.precision is not None and comparison is None:
        missed = [f"there is no interval: {complaint}"]
    if as_json:
        emit(
            summary(overview, campaign.folder, nothing_new)
            | {"comparison": comparison and comparison.to_json(), "complaint": complaint}
            | {"missed_precision": missed}
        )
    else:
        if nothing_new:
            note(
                "nothing to do: every run of this campaign is made "
                f"({decision_in_words(overview)}); --out FOLDER begins it anew elsewhere"
            )
        if comparison is not None:
            render(comparison, out(), campaign.folder)
        else:
            note(f"no table: {complaint}")
        for line in missed:
            note(f"precision missed: {line}")
        for line in failed:
            note(line)
        if failed:
            note(f"try them again with: {again()} --retry-failed")
    return 1 if failed or (strict and missed) else 0


def again() -> str:
    import shlex

    return shlex.join(["lem", *(a for a in sys.argv[1:] if a != "--retry-failed")])
