"""Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

HOW = "apt-get install chromium, or LEM_CHROMIUM=path of one"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def program() -> str | None:
    """Its path, or None."""
    if named := os.environ.get("LEM_CHROMIUM"):
        return named
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for n in names if (found := shutil.which(n))), None)


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser without a profile. While it is open, nothing else here can use asyncio."""
    found = program()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"Chromium is not here: {HOW}")
        pytest.skip(f"Chromium is not here: {HOW}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
