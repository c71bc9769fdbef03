"""A campaign: its file, its folder, what is done and what is missing.

What it offers is loaded on first use: a scheduler's job imports :mod:`lem.campaign.node`, in images
where of lem's libraries only pydantic and nvidia-ml-py are installed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lem.campaign.campaign import Campaign, automatic_launcher
    from lem.campaign.overview import Overview

__all__ = ["Campaign", "Overview", "automatic_launcher"]


def __getattr__(name: str) -> Any:
    if name in ("Campaign", "automatic_launcher"):
        from lem.campaign import campaign

        return getattr(campaign, name)
    if name == "Overview":
        from lem.campaign.overview import Overview

        return Overview
    raise AttributeError(f"module 'lem.campaign' has no attribute {name!r}")
