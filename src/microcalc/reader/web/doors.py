"""Who may pass: the dependencies that every route names, from the session cookie, the CSRF token and the role.

A change needs the session's token in the header ``X-CSRF`` and must not come from another site; a look needs the
session alone. What a page asks by itself, to be up to date, says so in ``X-Background`` and is no use of the session:
a page that is left open does not keep it alive. Where an identity provider says who it is, the session must be that
person's.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from sqlalchemy import select

from microcalc.reader.room.people import Person, open_session, person_of_cookie, plain_name, same
from microcalc.reader.room.problems import Problem
from microcalc.reader.room.room import Room
from microcalc.reader.store import audit
from microcalc.reader.store.models import Account

__all__ = ["Admin", "Changer", "ChangingAdmin", "InRoom", "Looker", "client_address", "give_cookie", "same_site"]

_NOT_LOGGED_IN = ("you must be logged in", "log in, or open the address that the server printed")


def room_of(request: Request) -> Room:
    """The reading room that serves a request."""
    room = request.app.state.room
    if not isinstance(room, Room):
        raise TypeError("the application has no reading room")
    return room


InRoom = Annotated[Room, Depends(room_of)]


def looker(request: Request, response: Response, room: InRoom) -> Person:
    """Whoever is logged in.

    Raises:
        Problem: 401, nobody is.
    """
    cookie = request.cookies.get(room.cookie_name, "")
    touch = "x-background" not in request.headers
    person = person_of_cookie(room.store, cookie, idle=room.idle, touch=touch) if cookie else None
    if room.settings.proxy.identity_header:
        return _identified(request, response, room, person)
    if person is None:
        raise Problem(401, *_NOT_LOGGED_IN)
    return person


def _identified(request: Request, response: Response, room: Room, person: Person | None) -> Person:
    """Whom the identity provider names; a session is made for the CSRF token's sake."""
    name = plain_name(str(request.scope.get("microcalc.identity", "")))
    if not name:
        raise Problem(401, "the identity provider must say who you are; it did not", "log in there")
    if person is not None and person.name == name:
        return person
    if request.method != "GET":
        raise Problem(401, *_NOT_LOGGED_IN)
    with room.store.writing() as session:
        account = session.scalar(select(Account).where(Account.name == name, Account.active))
        if account is None:
            raise Problem(403, "you must have an account here; you have none", "ask an administrator for one")
        cookie = open_session(session, account)
        audit.write(session, account.name, "login", way="identity provider")
    give_cookie(response, room, cookie)
    made = person_of_cookie(room.store, cookie, idle=room.idle)
    if made is None:
        raise Problem(401, *_NOT_LOGGED_IN)
    return made


def changer(request: Request, person: Annotated[Person, Depends(looker)]) -> Person:
    """Whoever is logged in and means it: the request comes from our own page.

    Raises:
        Problem: 401 or 403.
    """
    if not same_site(request):
        raise Problem(403, "a change must come from this server's own page; this one comes from elsewhere", "reload it")
    if not same(request.headers.get("x-csrf", ""), person.csrf):
        raise Problem(403, "a change must carry the page's token (header X-CSRF); it is missing or old", "reload it")
    return person


def admin(room: InRoom, person: Annotated[Person, Depends(looker)]) -> Person:
    """An administrator; what others try is logged.

    Raises:
        Problem: 401 or 403.
    """
    if not person.is_admin:
        audit.record(room.store, person.name, "refused", ("role", "admin"))
        raise Problem(403, "only an administrator may do that", "ask one")
    return person


def changing_admin(person: Annotated[Person, Depends(admin)], changed: Annotated[Person, Depends(changer)]) -> Person:
    """An administrator who means it."""
    return changed if changed.id == person.id else person


Looker = Annotated[Person, Depends(looker)]
Changer = Annotated[Person, Depends(changer)]
Admin = Annotated[Person, Depends(admin)]
ChangingAdmin = Annotated[Person, Depends(changing_admin)]


def same_site(request: Request) -> bool:
    """Whether the browser says that a request comes from our own page; others than browsers say nothing."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.casefold() == request.headers.get("host", "").casefold()


def give_cookie(response: Response, room: Room, cookie: str) -> None:
    """Set the session cookie: not for scripts, not for other sites, not in the clear where there is TLS."""
    response.set_cookie(
        room.cookie_name, cookie, httponly=True, samesite="strict", secure=room.settings.https, path="/"
    )


def client_address(request: Request) -> str:
    """Where a request comes from, for slowing down guesses; it is not logged."""
    return request.client.host if request.client else ""
