"""Which campaigns a command of ``lem results`` is about."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.analysis.results import Campaign

DEFAULT = "results"

PATHS = click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")


def open_campaigns(paths: tuple[Path, ...]) -> "list[Campaign]":
    """The campaigns at or below ``paths`` (none: ./results), each once."""
    from lem.analysis.results import open_results

    campaigns: dict[Path, Campaign] = {}
    for path in paths or (Path(DEFAULT),):
        for campaign in open_results(path).campaigns:
            campaigns.setdefault(campaign.folder.resolve(), campaign)
    return list(campaigns.values())


def only(paths: tuple[Path, ...], why: str) -> "Campaign":
    """The one campaign there. Raises :class:`BadInput` where there are several."""
    campaigns = open_campaigns(paths)
    if len(campaigns) > 1:
        name_one(campaigns, why)
    return campaigns[0]


def name_one(campaigns: "list[Campaign]", why: str = "") -> None:
    """Raise :class:`BadInput` with the campaigns to choose from."""
    listed = "\n".join(f"    {c.folder}" for c in campaigns[:20])
    text = f"there are {len(campaigns)} campaigns{f', {why}' if why else ''}:\n{listed}"
    raise BadInput(text, hint="name one of them")
