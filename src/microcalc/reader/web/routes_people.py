"""Routes of the people: log in and out, who am I, accounts, the log."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import delete, select

from microcalc import RESEARCH_USE
from microcalc.reader.room.people import (
    Person,
    add_account,
    change_account,
    open_session,
    owner_account,
    password_fits,
    person_of_cookie,
)
from microcalc.reader.room.problems import Problem
from microcalc.reader.room.room import Room
from microcalc.reader.store import audit
from microcalc.reader.store.models import Account, AuditEntry, LoginSession
from microcalc.reader.web.doors import (
    Admin,
    Changer,
    ChangingAdmin,
    InRoom,
    Looker,
    client_address,
    give_cookie,
    same_site,
)
from microcalc.reader.web.forms import AccountChange, AccountForm, LoginForm

__all__ = ["router"]

router = APIRouter(prefix="/api")


@router.post("/login")
def login(form: LoginForm, request: Request, response: Response, room: InRoom) -> dict[str, object]:
    """Log in with a password; guesses are slowed down."""
    if not same_site(request):
        raise Problem(403, "a log-in must come from this server's own page; this one comes from elsewhere", "reload it")
    if room.settings.proxy.identity_header:
        raise Problem(403, "the identity provider logs people in here; passwords do not", "log in there")
    address = client_address(request)
    wait = room.guesses.wait(address, form.name)
    if wait > 0:
        later = {"Retry-After": str(int(wait) + 1)}
        raise Problem(429, "there were too many wrong passwords", f"wait {int(wait) + 1} s", headers=later)
    with room.store.reading() as session:
        account = password_fits(session, form.name, form.password)
    if account is None:
        room.guesses.failed(address, form.name)
        audit.record(room.store, "", "refused", ("login", ""))
        raise Problem(401, "name and password must fit together; these do not", "try again, or ask an administrator")
    return _logged_in(room, response, account, "password")


@router.get("/token")
def token_login(token: Annotated[str, Query(max_length=200)], room: InRoom) -> RedirectResponse:
    """The printed address: log the owner in once, and go to the page."""
    if not room.settings.token_login or not room.token.spend(token):
        raise Problem(
            403,
            "the token in the address must be the one that the server printed last, and be used once; this one is not",
            "take the newest address from the server's window",
        )
    response = RedirectResponse("/", status_code=303)
    with room.store.writing() as session:
        account = owner_account(session, room.settings.owner)
    _logged_in(room, response, account, "token")
    room.new_token()
    return response


@router.get("/me")
def me(person: Looker, room: InRoom) -> dict[str, object]:
    """Who is logged in, and the token that changes must carry."""
    return _me(person, room)


@router.post("/logout", status_code=204)
def logout(person: Changer, room: InRoom, response: Response) -> None:
    """End this session; the browser forgets the images that it keeps."""
    with room.store.writing() as session:
        session.execute(delete(LoginSession).where(LoginSession.id == person.session_id))
        audit.write(session, person.name, "logout")
    response.delete_cookie(room.cookie_name, path="/", httponly=True, samesite="strict", secure=room.settings.https)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


@router.get("/accounts")
def accounts(person: Admin, room: InRoom) -> list[dict[str, object]]:  # noqa: ARG001
    """All accounts."""
    with room.store.reading() as session:
        return [_account(account) for account in session.scalars(select(Account).order_by(Account.name))]


@router.post("/accounts", status_code=201)
def new_account(form: AccountForm, person: ChangingAdmin, room: InRoom) -> dict[str, object]:
    """Make an account."""
    with room.store.writing() as session:
        account = add_account(session, form.name, form.role, form.password)
        audit.write(session, person.name, "account", ("account", account.id), role=account.role)
        return _account(account)


@router.put("/accounts/{account_id}")
def changed_account(account_id: str, form: AccountChange, person: ChangingAdmin, room: InRoom) -> dict[str, object]:
    """Change role or password, or close an account; it ends the person's sessions."""
    with room.store.writing() as session:
        account = session.get(Account, account_id)
        if account is None:
            raise Problem(404, "there is no such account", "look at the list")
        change_account(session, account, role=form.role, password=form.password, active=form.active)
        changed = sorted(form.model_fields_set)
        audit.write(session, person.name, "account", ("account", account.id), changed=changed)
        return _account(account)


@router.get("/audit")
def log_lines(
    person: Admin,
    room: InRoom,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    check: Literal["yes", "no"] = "no",
) -> dict[str, object]:
    """The log, newest lines first; with ``check=yes`` also whether it is whole."""
    query = select(AuditEntry).order_by(AuditEntry.number.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.number < before)
    with room.store.reading() as session:
        lines = [_line(entry) for entry in session.scalars(query)]
    audit.record(room.store, person.name, "log")
    if check == "no":
        return {"entries": lines}
    state = audit.verify(room.store)
    return {"entries": lines, "whole": state.broken_at is None, "reason": state.reason, "head": state.head.hash}


def _logged_in(room: Room, response: Response, account: Account, way: str) -> dict[str, object]:
    with room.store.writing() as session:
        cookie = open_session(session, account)
        audit.write(session, account.name, "login", way=way)
    give_cookie(response, room, cookie)
    person = person_of_cookie(room.store, cookie, idle=room.idle)
    if person is None:
        raise Problem(401, "the account must be open; it was closed at this moment", "ask an administrator")
    return _me(person, room)


def _me(person: Person, room: Room) -> dict[str, object]:
    return {
        "id": person.id,
        "name": person.name,
        "role": person.role.value,
        "csrf": person.csrf,
        "blind": room.settings.blind,
        "upload_bytes": room.settings.limits.upload_bytes,
        "research_use": RESEARCH_USE,
    }


def _account(account: Account) -> dict[str, object]:
    return {
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "active": account.active,
        "password": bool(account.password),
        "created": account.created.isoformat(),
    }


def _line(entry: AuditEntry) -> dict[str, object]:
    names = ("number", "at", "account", "action", "kind", "object_id", "detail", "hash")
    return {name: getattr(entry, name) for name in names}
