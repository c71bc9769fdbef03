"""What a campaign file may say but this version cannot do yet: refused, never silently ignored."""

from lem import plugins
from lem.config.load import CampaignFile
from lem.contract.workload import Arrival, Constant, Gamma, Offline, Poisson, Search
from lem.errors import BadInput, Problem


def check_available(file: CampaignFile) -> None:
    """Raise :class:`BadInput` for every setting that would have no effect."""
    spec = file.spec
    problems: list[Problem] = []

    def refuse(path: str, why: str) -> None:
        line, column = file.where(path) or (None, None)
        text = f"{path}: {why}"
        problems.append(Problem(text, str(file.path), line, column, path))

    for backend, kinds in _not_driven(file).items():
        shown = " or ".join(f"'{k}'" for k in kinds)
        refuse(
            "workload.arrival.kind",
            f"{backend} cannot be driven by the arrival {shown}; use {_instead(kinds)}, or leave "
            f"it out: exclude: [{{backend: {backend}, workload.arrival.kind: {kinds[0]}}}]",
        )
    if any(_searches(d.workload.arrival) and not d.workload.slo.any for d in file.drafts):
        refuse(
            "workload.arrival.rate",
            "a search for goodput needs objectives to keep: set workload.slo",
        )
    if spec.parallel_blocks not in ("auto", 1) and spec.cluster is None:
        refuse("parallel_blocks", "one machine runs one block at a time; use auto or 1")
    if problems:
        raise BadInput(problems)


def _not_driven(file: CampaignFile) -> dict[str, list[str]]:
    """Backend → kinds of arrival that the campaign asks it for and that it cannot be driven by."""
    found: dict[str, list[str]] = {}
    # One from outside that does not say so is refused by the agent.
    loads = {
        b: getattr(plugins.load("backends", b)(), "loads", ("offline", "served"))
        for b in {d.backend for d in file.drafts}
    }
    for draft in file.drafts:
        arrival = draft.workload.arrival
        wanted = "offline" if isinstance(arrival, Offline) else "served"
        kinds = found.setdefault(draft.backend, [])
        if wanted not in loads[draft.backend] and arrival.kind not in kinds:
            kinds.append(arrival.kind)
    return {backend: kinds for backend, kinds in sorted(found.items()) if kinds}


def _instead(kinds: list[str]) -> str:
    return "concurrency, constant, poisson, gamma or trace" if "offline" in kinds else "offline"


def _searches(arrival: Arrival) -> bool:
    return isinstance(arrival, Constant | Poisson | Gamma) and isinstance(arrival.rate, Search)
