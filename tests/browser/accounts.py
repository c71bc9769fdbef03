"""A server with accounts, for browsers: people, tokens and runners, some of them with names that
try something."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from playwright.sync_api import Page

from lem.archive import identities
from lem.archive.database import Database
from lem.archive.queue import admin, people
from lem.archive.queue.tables import RUNNER, SESSION
from lem.archive.schema import INVITATION, PERSON, TOKEN
from lem.contract.queue import Accepts, Device, Hardware, Hello
from tests.browser import hostile
from tests.browser.outlets import Outlet
from tests.browser.visits import Visit
from tests.server_process import Process

Start = Callable[..., Visit]
EACH = ("element", "attribute", "attribute-single", "end-of-data", "template", "formula")


class Held:
    """A server that people join by invitation, and its database."""

    def __init__(self, process: Process, database: Database) -> None:
        self.database = database
        self.outlet = Outlet("sqlite", f"{process.url}/")
        self.url = process.url

    def secret(self, role: Any = "submitter", name: str = "Grace") -> str:
        with self.database.writing() as c:
            return admin.issue(c, role, name)

    def invitation(self, name: str = "Lab") -> str:
        with self.database.writing() as c:
            return identities.invite(c, name)

    def state(self) -> list[Any]:
        """How many there are of each kind."""
        with self.database.reading() as c:
            count = sa.func.count()
            return [
                c.scalar(sa.select(count).select_from(t))
                for t in (PERSON, TOKEN, SESSION, INVITATION)
            ] + [c.scalar(sa.select(count).where(TOKEN.c.revoked_at.is_not(None)))]


def signed_in(held: Held, visit: Start, token: str, **options: Any) -> Visit:
    one = visit(held.outlet, **options)
    page = one.go(f"{held.url}/account")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    wait_for_account(page)
    return one


def wait_for_account(page: Page) -> None:
    """For what the page asks for: campaigns, of which there are none, and tokens."""
    page.locator("main .empty").wait_for()
    page.locator("main table").wait_for()


def with_hostile_names(held: Held) -> None:
    with held.database.writing() as c:
        if c.scalar(sa.select(sa.func.count()).select_from(RUNNER)):
            return
        token = admin.issue(c, "runner", hostile.TEXTS["attribute"])
        for n, which in enumerate(EACH):
            name = hostile.TEXTS[which][:80]
            secret = identities.invite(c, name)
            people.join(c, name, secret, "invitation")
            identities.invite(c, name)
            hardware = Hardware(
                cpu=name, cores=1, memory_bytes=1, devices=[Device(model=name, count=1)]
            )
            hello = Hello(
                instance=f"{n:032}",
                name=name,
                lem_version="1",
                key="0" * 64,
                launcher="docker",
                hardware=hardware,
                accepts=Accepts(models=["*"], backends=["vllm"]),
            )
            c.execute(
                RUNNER.insert().values(
                    handle=f"r{n:020}",
                    token_hash=identities.hash_of(token),
                    instance=hello.instance,
                    name=name,
                    hello=hello.model_dump_json(),
                    doing=name,
                    registered_at="2026-05-04T12:00:00.000+00:00",
                    seen_at=0.0,
                )
            )
