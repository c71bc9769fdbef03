"""A visit: one browser context that notes whatever goes wrong in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request

from tests.browser.outlets import Found, Outlet, somebody

SETTLED = """() => document.fonts.ready.then(() => new Promise(
    done => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))"""

LET_GO = "/assets/icon.svg net::ERR_ABORTED"
"""The browser asks for a page's icon last, and no more once the next page is asked for."""


@dataclass
class Visit:
    """Faults since the last ``take``: errors and warnings of the console (violations of the content
    security policy are among them), scripts that failed, requests that failed or went elsewhere."""

    page: Page
    context: BrowserContext
    outlet: Outlet
    faults: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def go(self, to: Found | str) -> Page:
        """Open a page, until nothing moves any more. Checks that it is one."""
        url = to.url if isinstance(to, Found) else to
        answer = self.page.goto(url)
        if answer is None or answer.status != 200:
            self.faults.append(f"status {answer.status if answer else None}")
        self.settle()
        return self.page

    def settle(self) -> None:
        if self.page.locator("[data-island]").count() and self._runs_scripts():
            self.page.wait_for_load_state("networkidle")
        if self._runs_scripts():
            self.page.evaluate(SETTLED)

    def take(self) -> list[str]:
        found, self.faults = self.faults, []
        return found

    def _runs_scripts(self) -> bool:
        return not getattr(self, "scriptless", False)


def none(faults: Mapping[str, Sequence[str] | str]) -> None:
    """Fails where there are faults (address → what is wrong there), and tells each once."""
    where: dict[str, list[str]] = {}
    for address, wrong in faults.items():
        for fault in [wrong] if isinstance(wrong, str) else wrong:
            where.setdefault(fault, []).append(address)
    if where:
        told = (f"{fault}\n    on {at[0][:150]} ({len(at)})" for fault, at in where.items())
        pytest.fail("\n".join(told), pytrace=False)


def follow(what: Locator) -> None:
    """Click what leads to another page, and be there. A click alone returns before it has come."""
    with what.page.expect_navigation():
        what.click()


def begin(browser: Browser, outlet: Outlet, **options: Any) -> Visit:
    """``options``: as Playwright's ``new_context`` takes them."""
    options = {
        "extra_http_headers": somebody(),
        "viewport": {"width": 1280, "height": 900},
    } | options
    context = browser.new_context(**options)
    page = context.new_page()
    visit = Visit(page, context, outlet)
    if options.get("java_script_enabled") is False:
        visit.scriptless = True  # type: ignore[attr-defined]
    host = urlsplit(outlet.url).netloc

    def said(message: Any) -> None:
        if message.type in ("error", "warning"):
            visit.faults.append(f"console: {message.text}")

    def asked(request: Request) -> None:
        visit.requests.append(request)
        to = urlsplit(request.url)
        if to.scheme not in ("data", "blob", "file") and to.netloc != host:
            visit.faults.append(f"asks elsewhere: {request.url}")

    def failed(request: Request) -> None:
        fault = f"failed: {request.url} {request.failure}"
        if not fault.endswith(LET_GO):
            visit.faults.append(fault)

    page.on("console", said)
    page.on("pageerror", lambda error: visit.faults.append(f"script: {error}"))
    page.on("request", asked)
    page.on("requestfailed", failed)
    page.on("dialog", lambda d: (visit.faults.append(f"dialog: {d.message}"), d.dismiss()))
    return visit
