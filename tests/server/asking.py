"""Browsers and programs that ask a server, for tests: with cookies, without a browser's policy."""

from http.cookies import SimpleCookie
from typing import Any

import httpx
import sqlalchemy as sa
from server.conftest import Served

from lem.archive.queue.tables import SESSION
from lem.archive.schema import INVITATION, PERSON, TOKEN

API = "/api/v1"
PAGE = {"Lem-Page": "1", "Sec-Fetch-Site": "same-origin"}
HOSTILE = '<img src=x onerror="window.hit=1">'


class Browser:
    """Keeps the cookies that it is given, and sends them with what is asked. Without the policy of
    real ones: what a page from elsewhere could at most send is written out in each test."""

    def __init__(self, served: Served, **headers: str) -> None:
        self.client, self.headers, self.cookies = served.client, headers, dict[str, str]()
        self.set: list[str] = []

    def ask(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        given = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if self.cookies:
            given["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        self.client.cookies.clear()
        answer = self.client.request(method, API + path, json=json, headers=given)
        self.client.cookies.clear()
        self.set = answer.headers.get_list("set-cookie")
        for name, morsel in SimpleCookie("; ".join(self.set)).items():
            if morsel.value:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)
        return answer

    def page(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """As a script of this server's own page asks."""
        return self.ask(method, path, json, **PAGE)

    def sign_in(self, token: str) -> "Browser":
        answer = self.page("POST", "/session", {"token": token})
        assert answer.status_code == 201, answer.text
        return self

    def who(self) -> Any:
        return self.ask("GET", "/session").json()


def joined(served: Served, name: str = "Ada", invitation: str | None = None) -> Any:
    body = {"name": name, "invitation": invitation}
    answer = served.client.post(f"{API}/accounts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def signed_in(served: Served, name: str = "Ada") -> Browser:
    return Browser(served).sign_in(joined(served, name)["token"])


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def state(served: Served) -> list[str]:
    with served.service.database.reading() as c:
        found = []
        for table in (PERSON, TOKEN, SESSION, INVITATION):
            columns = [x for x in table.c if x.name not in ("used_on", "expires_at")]
            found += [str(row) for row in c.execute(sa.select(*columns))]
    return sorted(found)
