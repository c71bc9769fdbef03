"""A campaign without the experiments that somebody has measured already.

A comparison is made within blocks: a baseline that others measured, on another board on another
day, says nothing of this one. So a campaign is queued whole unless its author asks otherwise, and
then its baseline stays: what goes are other experiments, by entries of ``exclude`` that name their
settings. Where such entries would take away anything else, nothing is rewritten.
"""

import json
from collections.abc import Sequence

from lem.archive.queries.plan import PlannedExperiment
from lem.archive.reasons import refused
from lem.config import CampaignFile, Draft, experiment_id, experiment_of, model_name, parse, select
from lem.config.identity import PROVISIONAL
from lem.config.yaml_source import read
from lem.contract.base import Scalar
from lem.contract.spec import ExperimentModel
from lem.errors import BadInput

MAX_ENTRIES = 100
"""Of ``exclude``, as campaign files bound it."""


def without_measured(
    text: str, campaign: CampaignFile, planned: Sequence[PlannedExperiment]
) -> str:
    """The campaign's text with ``exclude`` for each experiment that is measured, but the baseline.
    ``planned``: its experiments, in order. Raises ``Refused`` (``not_expressible``)."""
    if campaign.candidates is not None:
        raise refused("not_expressible", "its experiments are chosen as it goes")
    drafts = campaign.drafts
    gone = [i for i, p in enumerate(planned) if p.measured and i != campaign.baseline]
    if not gone:
        return text
    entries = [_selector(drafts[i], drafts) for i in gone]
    for i, entry in zip(gone, entries, strict=True):
        if not entry or select(entry, drafts) != [i]:
            raise refused("not_expressible", f"nothing tells {drafts[i].label} from the others")
    made = _with_entries(text, campaign, entries)
    kept = [_id(d) for i, d in enumerate(drafts) if i not in set(gone)]
    try:
        again = parse(made, "campaign")
    except BadInput as e:
        raise refused("not_expressible", f"without them it says something else: {e}"[:500]) from e
    same = again.spec.model_copy(update={"exclude": campaign.spec.exclude}) == campaign.spec
    if not same or [_id(d) for d in again.drafts] != kept:
        raise refused("not_expressible", "exclude does not reach some of them")
    return made


def _selector(draft: Draft, drafts: Sequence[Draft]) -> dict[str, Scalar]:
    """What tells an experiment from the others, as far as it was swept or listed."""
    found: dict[str, Scalar] = {}
    if len({d.backend for d in drafts}) > 1:
        found["backend"] = draft.backend
    if len({d.model.id for d in drafts}) > 1:
        found["model.id"] = draft.model.id
    if len({d.model.revision for d in drafts if d.model.id == draft.model.id}) > 1:
        found["model.revision"] = draft.model.revision
    return found | draft.settings


def _with_entries(text: str, campaign: CampaignFile, entries: list[dict[str, Scalar]]) -> str:
    if len(campaign.spec.exclude) + len(entries) > MAX_ENTRIES:
        raise refused("not_expressible", f"it would exclude more than {MAX_ENTRIES} by name")
    data = read(text, "campaign").data
    block = not text.lstrip().startswith("{") and "..." not in text.split()
    if block and not data.get("exclude") and "exclude" not in data:
        # As it was written, comments and all.
        lines = "".join(f"- {json.dumps(e)}\n" for e in entries)
        return f"{text.rstrip()}\nexclude:  # measured already\n{lines}"
    # JSON is YAML in which nothing can be misread.
    return json.dumps({**data, "exclude": [*(data.get("exclude") or []), *entries]}, indent=1)


def _id(draft: Draft) -> str:
    model = ExperimentModel(
        id=model_name(draft.model),
        revision=draft.model.revision,
        content=PROVISIONAL,
        weights="random" if draft.model.synthetic is not None else "trained",
    )
    return experiment_id(experiment_of(draft, model, PROVISIONAL, PROVISIONAL))
