"""``--web``: a campaign in the browser while it runs here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lem.campaign.execute import Moment, OnMoment
from lem.cli.output import note
from lem.errors import EnvironmentFault

if TYPE_CHECKING:
    from lem.campaign import Campaign

COMMENTARY_S = 0.1
USUAL_S = 1.0
EXTRA = 'pip install "lem-energy[server]"'


@contextmanager
def watched(
    campaign: "Campaign", web: bool, port: int | None, on_moment: OnMoment
) -> Iterator[tuple[OnMoment, float]]:
    """``on_moment``, and with ``web`` also a live view that is told the same; and how often to tell
    of power and tokens, in seconds."""
    if not web:
        yield on_moment, USUAL_S
        return
    try:
        from lem.server.alone import shown
    except ImportError as e:
        raise EnvironmentFault(f"--web needs a package: {e.name}", hint=EXTRA) from e
    with shown(campaign.folder, campaign.file.spec.name, port or 0, note) as show:

        def both(moment: Moment) -> None:
            on_moment(moment)
            show(moment)

        yield both, COMMENTARY_S
