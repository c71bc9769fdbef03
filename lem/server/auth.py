"""Who may do what: most of the API needs no token, administration needs an admin's."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from lem.archive.identities import Grant, role_of
from lem.server.problems import HttpProblem
from lem.server.service import Service

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="lem"'}
MAX_TOKEN = 200


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


def granted(service: Service, request: Request) -> Grant | None:
    """What the request's token grants; None without one. Raises :class:`HttpProblem` (401) for a
    token that is unknown, revoked or past its time: they are not told apart."""
    token = bearer(request)
    if token is None:
        return None
    with service.database.reading() as connection:
        grant = role_of(connection, token)
    if grant is None:
        raise HttpProblem(401, "bad_token", "the token is not valid here", headers=CHALLENGE)
    return grant


def needs(role: str) -> Callable[[Request], Grant]:
    """A dependency: only holders of a token of this role, or an admin's, come through."""

    def check(request: Request) -> Grant:
        grant = granted(the_service(request), request)
        if grant is None:
            raise HttpProblem(
                401,
                "token_needed",
                f"this needs the token of a {role}",
                hint="lem archive token makes one",
                headers=CHALLENGE,
            )
        if grant.role not in (role, "admin"):
            raise HttpProblem(403, "not_allowed", f"this needs the token of a {role}")
        return grant

    return check
