"""The store: a database with short transactions, SQLite in one file or PostgreSQL by URL, migrated when it is opened.

What is acknowledged is on the disk: SQLite runs with a write-ahead log that is synced at each commit. Writers take
their turn from the beginning of their transaction, so that none of them fails half-way. What the tables hold is said
in `microcalc.reader.store.models`, how they came about in `microcalc.reader.store.migrations`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from microcalc.errors import InputError, MicrocalcError, MissingDependencyError
from microcalc.reader.store.models import Setting, new_id

__all__ = ["AUDIT_LOCK", "Store", "sqlite_url"]

MIGRATIONS = Path(__file__).parent / "migrations"

WRITERS_WAIT_MS = 30_000
"""How long a writer waits for the others before it gives up."""

MIGRATION_LOCK, AUDIT_LOCK = 0x6D696372, 0x6D696373
"""Names of PostgreSQL advisory locks."""

CONNECTIONS, MORE_CONNECTIONS = 10, 40
"""Kept open, and opened on top when many ask at once; above the 40 threads that serve requests."""


def sqlite_url(path: Path) -> str:
    """URL of a database in a file."""
    return f"sqlite:///{path}"


class Store:
    """A database that is ready for use; open it with `open`."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._writing = engine.execution_options(microcalc_write=True)
        self.name = name
        self.is_sqlite = engine.dialect.name == "sqlite"

    @classmethod
    def open(cls, url: str) -> "Store":
        """Open a database, make or migrate its tables, and read its random name.

        Args:
            url: of SQLAlchemy: ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.

        Raises:
            InputError: the URL cannot be used, or the database cannot be reached.
            MissingDependencyError: the driver is not installed.
            MicrocalcError: the tables were made by a newer version.
        """
        engine = _engine(url)
        try:
            return cls(engine, _migrate(engine))
        except SQLAlchemyError as error:
            engine.dispose()
            kind = type(getattr(error, "orig", None) or error).__name__
            raise InputError(
                f"{make_url(url).render_as_string(hide_password=True)}: the database must be reachable and writable; "
                f"opening it ended with {kind}: {_first_line(error)}. Mend the URL, or start the database"
            ) from error
        except BaseException:
            engine.dispose()
            raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only looks."""
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are committed at its end, all or none; what is committed is on the disk."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputError(
            "a database must be given as a URL, sqlite:///FILE or postgresql://USER@HOST/NAME; what was given is none"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise InputError(f"a database must be SQLite or PostgreSQL; {parsed.get_backend_name()} is not known")
    try:
        # Parameters are patients' data: they never appear in an error message or a log.
        engine = create_engine(
            parsed, hide_parameters=True, pool_size=CONNECTIONS, max_overflow=MORE_CONNECTIONS, pool_pre_ping=True
        )
    except ImportError as error:
        raise MissingDependencyError(
            "PostgreSQL needs the package psycopg, which is not installed: pip install 'microcalc[postgres]'"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:  # noqa: ARG001
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says so, not where the driver guesses
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {WRITERS_WAIT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer locks at once: a reader that turns writer would be refused if another wrote in between."""
    writes = connection.get_execution_options().get("microcalc_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> str:
    """Bring the tables to this version, one process at a time; return the store's name."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(microcalc_write=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise MicrocalcError(
                "the database must be of this version of microcalc or an older one; it was made by a newer one. "
                "Install that version, or give another database"
            ) from error
        return _name(connection)


def _name(connection: Connection) -> str:
    with Session(connection) as session:
        found = session.get(Setting, "name")
        if found is None:
            found = Setting(name="name", value=new_id())
            session.add(found)
            session.flush()
        return found.value


def _first_line(error: SQLAlchemyError) -> str:
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else ""
