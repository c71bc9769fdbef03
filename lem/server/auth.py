"""Who may do what: most of the API needs nothing, the rest a token or, in a browser, a session.

A token comes as ``Authorization: Bearer …``, a session as a cookie. A page from elsewhere can make
a browser send neither the one nor, since the cookie is ``SameSite=Strict``, the other; a sibling
host or another port of this one could make it send the cookie. So what changes anything by cookie
needs a header that only a page of this server can set.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from lem.archive.identities import Grant, role_of
from lem.archive.queue import people
from lem.archive.refused import Refused
from lem.server.clients import Client
from lem.server.problems import HttpProblem
from lem.server.rates import client_group
from lem.server.service import Service

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="lem"'}
MAX_TOKEN = 200
COOKIE = "lem_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""By TLS. Browsers take this name only from this very host, by TLS and for all of its paths."""
PAGE_HEADER = "lem-page"


class Asking(NamedTuple):
    """Who asks. ``session``: where it is a browser that is signed in."""

    grant: Grant
    session: people.Session | None


def the_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(the_service)]


def bearer(request: Request) -> str | None:
    """The token of ``Authorization: Bearer …``, if there is one."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if len(values) != 1 or scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise HttpProblem(
            401, "bad_token", "the Authorization header holds no bearer token", headers=CHALLENGE
        )
    return token


def cookie(request: Request) -> str | None:
    """What the session's cookie says. None without one, and where there are two: somebody else set
    one of them."""
    name = _cookie_name(request)
    found = [
        value.strip()
        for header in request.headers.getlist("cookie")
        for key, _, value in (part.partition("=") for part in header.split(";"))
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 and 0 < len(found[0]) <= MAX_TOKEN else None


def asking(service: Service, request: Request) -> Asking | None:
    """Who asks; None for the public, and for a browser whose session has ended. Raises
    :class:`HttpProblem`: 401 for a token that is unknown, revoked or past its time (they are not
    told apart), 400 for a token and a cookie in one request, 403 for a change by cookie that no
    page of this server asks for."""
    token, in_browser = bearer(request), cookie(request)
    if token is None and in_browser is None:
        return None
    if token is not None and in_browser is not None:
        raise HttpProblem(
            400, "two_credentials", "the request holds a token and a session's cookie: one or other"
        )
    if token is not None:
        with service.database.reading() as connection:
            grant = role_of(connection, token)
        if grant is None:
            raise wrong_token(service, request)
        note_use(service, grant)
        return Asking(grant, None)
    assert in_browser is not None
    with service.database.reading() as connection:
        session = people.session_of(connection, in_browser)
    if session is None:
        return None
    if request.method not in ("GET", "HEAD"):
        from_own_page(request)
    _touch(service, session)
    return Asking(session.grant, session)


def wrong_token(service: Service, request: Request) -> HttpProblem:
    """The answer to a token that is not valid here, which is counted: 429 beyond what may be."""
    service.rates.check("wrong", client_group(request.scope["lem.client"].address))
    return HttpProblem(401, "bad_token", "the token is not valid here", headers=CHALLENGE)


def granted(service: Service, request: Request) -> Grant | None:
    """What the request's token or session grants; None without one. Raises as :func:`asking`."""
    found = asking(service, request)
    return None if found is None else found.grant


def needs(role: str, *others: str) -> Callable[[Request], Grant]:
    """A dependency: only holders of a token of this role, of one of the others, or an admin's, come
    through; by token or by a session that was opened with it."""

    def check(request: Request) -> Grant:
        return _allowed(asking(the_service(request), request), role, *others).grant

    return check


def needs_person(request: Request) -> Asking:
    """A dependency: only people (:mod:`lem.archive.queue.people`) come through, whom a
    submitter's or an admin's token belongs to."""
    found = _allowed(asking(the_service(request), request), "submitter")
    if found.grant.person_id is None:
        raise HttpProblem(
            403,
            "no_person",
            "this token belongs to nobody",
            hint="lem archive token --person gives a person one",
        )
    return found


def from_own_page(request: Request) -> None:
    """Raises :class:`HttpProblem` (403) where it is no page of this server that asks: a browser
    tells where a request comes from, and asks before it sends this header from elsewhere, which is
    never granted."""
    if request.headers.getlist(PAGE_HEADER) != ["1"]:
        raise HttpProblem(403, "not_from_page", "by cookie, this needs the header Lem-Page: 1")
    not_from_elsewhere(request)


def not_from_elsewhere(request: Request) -> None:
    """Raises :class:`HttpProblem` (403) where a browser says that another site's page asks.
    Programs say nothing of it."""
    site = request.headers.getlist("sec-fetch-site")
    if site and site not in (["same-origin"], ["none"]):
        raise HttpProblem(403, "from_elsewhere", "a page of another site asks for this")
    origin = request.headers.getlist("origin")
    if origin and (len(origin) > 1 or _host(origin[0]) not in _own_hosts(request)):
        raise HttpProblem(403, "from_elsewhere", "a page of another site asks for this")


def set_cookie(request: Request, response: Response, secret: str) -> None:
    """Sign the browser in. The cookie ends with the browser, or with the session on the server."""
    response.set_cookie(
        _cookie_name(request),
        secret,
        path="/",
        secure=_secure(request),
        httponly=True,
        samesite="strict",
    )


def clear_cookie(request: Request, response: Response) -> None:
    response.delete_cookie(
        _cookie_name(request),
        path="/",
        secure=_secure(request),
        httponly=True,
        samesite="strict",
    )


def note_use(service: Service, grant: Grant) -> None:
    """Keep the day on which a token was used: once a day."""
    today = datetime.now(UTC).date()
    if service.used.get(grant.token_hash) == today:
        return
    try:
        with service.database.writing() as connection:
            people.note_use(connection, grant.token_hash, today)
    except Refused:
        return  # too busy: the next request will do
    if len(service.used) >= _MOST_USED:
        service.used.clear()
    service.used[grant.token_hash] = today


_MOST_USED = 10_000


def _touch(service: Service, session: people.Session) -> None:
    note_use(service, session.grant)
    if not session.stale:
        return
    try:
        with service.database.writing() as connection:
            people.touch(connection, session)
    except Refused:
        return


def _allowed(found: Asking | None, role: str, *others: str) -> Asking:
    if found is None:
        raise HttpProblem(
            401,
            "token_needed",
            f"this needs the token of {_NAMED.get(role, role)}",
            hint="lem archive token makes one",
            headers=CHALLENGE,
        )
    if found.grant.role not in (role, *others, "admin"):
        raise HttpProblem(403, "not_allowed", f"this needs the token of {_NAMED.get(role, role)}")
    return found


_NAMED = {"admin": "an admin", "runner": "a runner", "submitter": "a submitter"}


def _cookie_name(request: Request) -> str:
    return SECURE_COOKIE if _secure(request) else COOKIE


def _secure(request: Request) -> bool:
    client: Client = request.scope["lem.client"]
    return client.secure


def _own_hosts(request: Request) -> set[str]:
    """That the request may be meant for. Ports are left out: cookies do not know them either, and a
    proxy may not hand them on."""
    own = (f"//{request.headers.get('host', '')}", the_service(request).settings.public_url or "")
    return {host for host in map(_host, own) if host is not None}


def _host(address: str) -> str | None:
    """Of an origin or a URL, in lower case."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
