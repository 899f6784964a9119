"""`microcalc serve STUDY`: the reading room as a web page on this machine or for several readers; and its accounts.

Each command parses, calls `microcalc.reader` and prints. Refuses to be reached from other machines before there are
accounts and an encrypted way.
"""

import logging
import socket
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from sqlalchemy import select
from typer.core import TyperGroup

from microcalc import RESEARCH_USE
from microcalc.cli.console import files_made, user_name
from microcalc.errors import InputError, ProtocolError
from microcalc.reader.room.backup import back_up
from microcalc.reader.room.people import Role, add_account, change_account, has_accounts, plain_name
from microcalc.reader.room.room import Room, open_room, open_store
from microcalc.reader.settings import Limits, Proxy, Settings, is_loopback, network_of
from microcalc.reader.store import audit
from microcalc.reader.store.models import Account
from microcalc.reader.web.app import app_of

__all__ = ["app"]

DATA = Path("reading-room")
PORT = 8765

Data = Annotated[Path, typer.Option("--data", help="Folder of the images, the annotations and the log; made anew.")]
Database = Annotated[
    str, typer.Option(help="URL of a PostgreSQL database instead of SQLite: postgresql://USER@HOST/NAME")
]


class _RunByDefault(TyperGroup):
    """`serve STUDY` means `serve run STUDY`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the command in front where none is named."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args.insert(0, "run")
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    help=f"The reading room: annotate mammograms and read them with a finished study. {RESEARCH_USE}",
    no_args_is_help=True,
    add_completion=False,
)
accounts = typer.Typer(help="Accounts of the readers.", no_args_is_help=True)
app.add_typer(accounts, name="accounts")

Password = Annotated[
    str, typer.Option(help="At least 12 characters; asked for if it is not given.", envvar="MICROCALC_PASSWORD")
]


@accounts.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Letters, digits and . @ + - _")],
    role: Annotated[Role, typer.Option(help="reader: annotates and reads; admin: also accounts and the log.")] = (
        Role.READER
    ),
    data: Data = DATA,
    database: Database = "",
    password: Password = "",
    no_password: Annotated[
        bool, typer.Option("--no-password", help="An identity provider logs the person in.")
    ] = False,
) -> None:
    """Make an account."""
    word = "" if no_password else password or typer.prompt("password", hide_input=True, confirmation_prompt=True)
    store = open_store(Settings(study=None, data=data, database=database))
    with store.writing() as session:
        account = add_account(session, name, role, word)
        audit.write(session, _at_the_machine(), "account", ("account", account.id), role=role.value)
    store.close()
    typer.echo(f"{account.name} may log in as {role.value}")


@accounts.command("change")
def change(
    name: str,
    role: Annotated[Role | None, typer.Option(help="New role.")] = None,
    close: Annotated[bool, typer.Option("--close", help="The person may not log in any more.")] = False,
    reopen: Annotated[bool, typer.Option("--reopen", help="The person may log in again.")] = False,
    new_password: Annotated[bool, typer.Option("--new-password", help="Ask for another password.")] = False,
    data: Data = DATA,
    database: Database = "",
) -> None:
    """Change a role or a password, or close an account; it ends the person's sessions."""
    word = typer.prompt("password", hide_input=True, confirmation_prompt=True) if new_password else None
    store = open_store(Settings(study=None, data=data, database=database))
    with store.writing() as session:
        account = session.scalar(select(Account).where(Account.name == plain_name(name)))
        if account is None:
            raise InputError(
                f"there must be an account of that name; {name} has none. See: microcalc serve accounts list"
            )
        active = False if close else True if reopen else None
        change_account(session, account, role=role, password=word, active=active)
        audit.write(session, _at_the_machine(), "account", ("account", account.id))
    store.close()
    typer.echo(f"{account.name}: {account.role}, {'open' if account.active else 'closed'}")


@accounts.command("list")
def list_(data: Data = DATA, database: Database = "") -> None:
    """Name the accounts."""
    store = open_store(Settings(study=None, data=data, database=database))
    with store.reading() as session:
        for account in session.scalars(select(Account).order_by(Account.name)):
            way = "password" if account.password else "token or identity provider"
            typer.echo(f"{account.name}: {account.role}, {'open' if account.active else 'closed'}, by {way}")
    store.close()


@app.command("audit")
def audit_(
    data: Data = DATA,
    database: Database = "",
    noted: Annotated[str, typer.Option(help="NUMBER:HASH of a line noted earlier, which must be there still.")] = "",
) -> None:
    """Check that no line of the log was changed or removed."""
    store = open_store(Settings(study=None, data=data, database=database))
    state = audit.verify(store, _noted(noted) if noted else None)
    store.close()
    if state.broken_at is not None:
        raise InputError(f"the log must be whole; it is not from line {state.broken_at} on: {state.reason}")
    typer.echo(f"the log is whole, {state.head.number} lines; note this: {state.head.number}:{state.head.hash}")


@app.command()
def backup(
    out: Annotated[Path, typer.Argument(help="Folder of the copy: new, or of an earlier backup, which is completed.")],
    data: Data = DATA,
) -> None:
    """Copy the data folder, whether the server runs or not."""
    done = back_up(data, out)
    typer.echo(f"{done.files} files copied, {done.there} were there; decoded pixels are left out")
    if not done.database:
        typer.echo("no SQLite database is in the data folder: copy the PostgreSQL one with pg_dump")
    typer.echo("made:")
    files_made(out)


def _noted(text: str) -> audit.Head:
    number, _, code = text.partition(":")
    if not number.isdecimal() or not code:
        raise InputError(f"a noted line must be given as NUMBER:HASH; got {text!r}")
    return audit.Head(int(number), code)


def _at_the_machine() -> str:
    return f"{user_name()} (command line)"


@app.command()
def run(
    study: Annotated[
        Path | None, typer.Argument(help="Folder of a finished study; without one: annotate only.")
    ] = None,
    data: Data = DATA,
    database: Database = "",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = PORT,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="Host name by which browsers call the server; may be repeated.")
    ] = None,
    watch: Annotated[Path | None, typer.Option(help="Folder whose files are taken in.")] = None,
    pacs: Annotated[Path | None, typer.Option(help="Which PACS and how it is reached; see docs/pacs.md.")] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Readers see each other's marks only when both have finished an exam.")
    ] = False,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM); needs --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).")] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="Address or network of a reverse proxy; may be repeated.")
    ] = None,
    identity_header: Annotated[
        str, typer.Option(help="Header in which the proxy's identity provider names the person.")
    ] = "",
    largest_upload: Annotated[int, typer.Option(min=1, help="MiB that one upload may have.")] = 2048,
    runtime: Annotated[
        str, typer.Option(help="auto, or torch-f32 (as the study computed), torch-mixed, openvino-f32, ...")
    ] = "auto",
) -> None:
    """Start the page (also without the word run: microcalc serve STUDY)."""
    proxy = Proxy(tuple(network_of(text) for text in trusted_proxy or ()), identity_header)
    settings = Settings(
        study=study, data=data, database=database, host=host, port=port, names=tuple(names or ()),
        token_login=is_loopback(host) and not proxy.trusted, owner=user_name(),
        https=bool(certificate or proxy.trusted), proxy=proxy, blind=blind, watch=watch, pacs=pacs, runtime=runtime,
        limits=Limits(upload_bytes=largest_upload << 20),
    )  # fmt: skip
    if watch is not None and not watch.is_dir():
        raise InputError(f"{watch}: a watched folder must be there; it is not. Make it, or name another")
    if (certificate is None) != (key is None):
        raise ProtocolError("a certificate must come with its key; give both --certificate and --key")
    with _listen(host, port) as listening:
        room = open_room(replace(settings, port=listening.getsockname()[1]))
        try:
            _refuse_open_doors(room)
            if study is not None:
                typer.echo(f"loading the networks of {study}")
                room.desk.load()
            _tell(room, "https" if certificate else "http")
        except BaseException:
            room.close()
            raise
        _serve(room, listening, certificate, key)


def _refuse_open_doors(room: Room) -> None:
    """Others may reach the server only if they must say who they are, over an encrypted way."""
    settings = room.settings
    if settings.token_login:
        return
    if not settings.proxy.identity_header and not has_accounts(room.store):
        raise ProtocolError(
            "a server that others can reach must have accounts; there is none. Make one first: "
            f"microcalc serve accounts add NAME --role admin --data {settings.data}"
        )
    if not settings.https:
        raise ProtocolError(
            "passwords and patients' images must not cross a network in the clear; give --certificate and --key, or "
            "put a reverse proxy in front and name it (--trusted-proxy ADDRESS)"
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only on sockets that are said to be TCP; else each one that the
    # browser asks for on an open connection waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # whoever comes before the server is ready waits
    except OSError as error:
        listening.close()
        raise InputError(
            f"{host}:{port}: the address must be free and this machine's own; {error.strerror}. Choose another --port"
        ) from error
    return listening


def _tell(room: Room, scheme: str) -> None:
    settings = room.settings
    head = audit.verify(room.store)
    if head.broken_at is not None:
        typer.echo(typer.style("the log was tampered with: ", fg="red") + head.reason)
    typer.echo(f"data in {settings.data}; log at line {head.head.number}, {head.head.hash[:16]}")
    if settings.token_login:
        typer.echo("open this address; it is good for one log-in, the next one is printed after it:")
        room.announce = lambda url: typer.echo(f"  {url}")
        room.announce(room.token_url)
    else:
        behind = " for the proxy in front" if settings.proxy.trusted else ""
        typer.echo(f"listening on {scheme}://{settings.host}:{settings.port}{behind}")
    typer.echo(f"{RESEARCH_USE}\nstop it with Ctrl+C; what was saved stays")


def _keep_a_log() -> None:
    """Write our own lines, and of the libraries' warnings no more than that there was one.

    What highdicom and pydicom log has UIDs and values of patients in it.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("microcalc").setLevel(logging.INFO)
    logging.captureWarnings(True)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_others_words)


def _without_others_words(record: logging.LogRecord) -> bool:
    """Keep back what a library says; uvicorn speaks of connections alone."""
    if record.name.partition(".")[0] not in ("microcalc", "uvicorn"):
        record.msg, record.args = f"{record.name} has said something; it is kept back, as it may name a patient", ()
        record.exc_info = record.exc_text = record.stack_info = None
    return True


def _serve(room: Room, listening: socket.socket, certificate: Path | None, key: Path | None) -> None:
    """Run until stopped. uvicorn's own line for each request has the query in it, so it is off."""
    _keep_a_log()
    config = uvicorn.Config(
        app_of(room), access_log=False, log_config=None, proxy_headers=False, server_header=False, lifespan="on",
        ssl_certfile=certificate, ssl_keyfile=key, timeout_keep_alive=30, timeout_graceful_shutdown=10,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listening])
