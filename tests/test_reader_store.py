"""The store on SQLite and on a real PostgreSQL: migrations, durability, the append-only log and its chain."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, func, null, select, text
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.orm import Session

from microcalc.errors import InputError, MicrocalcError
from microcalc.reader.room.watch import refused_files
from microcalc.reader.store import audit
from microcalc.reader.store import database as store_module
from microcalc.reader.store.audit import Head
from microcalc.reader.store.database import Store, sqlite_url
from microcalc.reader.store.models import (
    Account,
    Annotation,
    AnnotationVersion,
    Base,
    Completion,
    Exam,
    Image,
    WatchedFile,
    now,
)
from services import PostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "store.sqlite")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store of each kind."""
    store = Store.open(url)
    yield store
    store.close()


def test_the_migrations_make_the_tables_that_the_models_name(store: Store):
    with store.reading() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Base.metadata) == []


def of_version(url: str, revision: str) -> Engine:
    """A database as an earlier version left it."""
    engine = create_engine(store_module._engine(url).url)
    config = Config()
    config.set_main_option("script_location", str(store_module.MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def test_a_store_of_the_first_version_keeps_its_content_and_gets_the_tables_of_this_one(url: str):
    first = of_version(url, "r0001")
    with Session(first) as session:
        session.add(Account(name="anna", role="admin"))
        session.commit()
    first.dispose()
    store = Store.open(url)
    with store.reading() as session:
        assert session.scalars(select(Account.name)).all() == ["anna"]
        assert compare_metadata(MigrationContext.configure(session.connection()), Base.metadata) == []
    store.close()


def test_an_exam_that_mixed_patients_is_parted_when_the_store_is_opened(url: str):
    mixed = of_version(url, "r0003")
    facts = [{"patient_id": "AAA"}, {"patient_id": "BBB", "patient_name": "Beta^B", "study_date": "2020-01-02"},
             {"patient_id": "BBB", "patient_name": "Beta"}, {"patient_id": "AAA "}, {}]  # fmt: skip
    with Session(mixed) as session:
        anna = Account(name="anna", role="reader")
        exam = Exam(study_uid="1.2", patient_id="AAA", patient_name="Alpha^A", source="watch")
        session.add_all([anna, exam])
        session.flush()
        session.add(Completion(exam_id=exam.id, account_id=anna.id))
        for number, values in enumerate(facts):
            session.add(Image(exam_id=exam.id, sop_uid=str(number), sha256="", accepted=True, code="", facts=values))
        session.commit()
    mixed.dispose()
    for _ in range(2):  # opened again, it stays as it is
        store = Store.open(url)
        with store.reading() as session:
            query = select(Exam, Image.sop_uid).join(Image, Image.exam_id == Exam.id).order_by(Image.sop_uid)
            found = [(e.patient_id, e.patient_name, e.date, e.source, uid) for e, uid in session.execute(query)]
            assert found[1] == ("BBB", "Beta^B", "2020-01-02", "watch", "1")
            assert [row[0] for row in found] == ["AAA", "BBB", "BBB", "AAA", "AAA"]
            assert session.scalar(select(func.count()).select_from(Exam)) == 2
            assert session.scalar(select(func.count()).select_from(Completion)) == 2
        store.close()


def test_files_that_were_refused_are_found_among_those_that_were_taken(store: Store):
    lost = {"files": [{"file": "letter.txt", "code": "not_dicom", "message": "no image"}]}
    with store.writing() as session:
        session.add_all([WatchedFile(key="a", code="accepted"), WatchedFile(key="b", code="not_dicom", refused=lost)])
        session.add(WatchedFile(key="c", code="accepted", refused=None))
    with store.reading() as session:
        assert [each["file"] for each in refused_files(session)] == ["letter.txt"]
        assert session.scalar(select(func.count()).where(WatchedFile.refused.is_not(null()))) == 1


def test_a_store_keeps_its_name_and_content_when_it_is_opened_again(url: str):
    first = Store.open(url)
    with first.writing() as session:
        session.add(Account(name="anna", role="admin"))
    first.close()
    second = Store.open(url)
    assert second.name == first.name
    with second.reading() as session:
        account = session.query(Account).one()
        assert account.name == "anna"
        assert account.created.tzinfo is not None
        assert abs((now() - account.created).total_seconds()) < 60
    second.close()


def test_many_that_open_a_new_store_at_once_migrate_it_once(url: str):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(url), range(4)))
    assert len({store.name for store in stores}) == 1
    for store in stores:
        store.close()


def test_a_store_of_a_newer_version_is_refused(url: str):
    store = Store.open(url)
    with store.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    store.close()
    with pytest.raises(MicrocalcError, match="made by a newer one"):
        Store.open(url)


def test_foreign_keys_hold_and_a_broken_transaction_leaves_nothing(store: Store):
    exam = Exam(id="e", study_uid="1.2")
    stray = Image(exam_id="nobody", sop_uid="1", sha256="x", accepted=True, code="accepted")
    with pytest.raises(IntegrityError), store.writing() as session:
        session.add_all([exam, stray])
    with store.reading() as session:
        assert session.query(Exam).count() == 0


@pytest.mark.parametrize("table", ["audit", "annotation_versions"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_the_log(store: Store, table: str, verb: str):
    _fill(store)
    change = verb.format(table, "action")
    with pytest.raises(DatabaseError, match="append-only"), store.writing() as session:
        session.execute(text(change))


def test_the_database_refuses_to_empty_or_replace_the_log(store: Store):
    _fill(store)
    change = (
        "INSERT OR REPLACE INTO audit VALUES (1, '', '', '', '', '', '', '')" if store.is_sqlite else "TRUNCATE audit"
    )
    with pytest.raises(DatabaseError, match="append-only"), store.writing() as session:
        session.execute(text(change))
    assert audit.verify(store).broken_at is None


def _fill(store: Store) -> None:
    """A line of the log and a version of an annotation."""
    audit.record(store, "anna", "login")
    with store.writing() as session:
        session.add_all([Account(id="a", name="anna", role="reader"), Exam(id="e", study_uid="1.2")])
        session.flush()
        session.add(Image(id="i", exam_id="e", sop_uid="1.2.3", sha256="", accepted=True, code="accepted"))
        session.flush()
        session.add(Annotation(id="n", image_id="i", account_id="a"))
        session.flush()
        session.add(
            AnnotationVersion(annotation_id="n", revision=1, action="created", account_id="a", row=1, col=1, side=1)
        )


def test_entries_of_many_at_once_make_one_whole_chain(store: Store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: audit.record(store, f"reader{n}", "view", ("image", str(n)), n=n), range(60)))
    state = audit.verify(store)
    assert (state.head.number, state.broken_at) == (60, None)


def tampered(path: Path, change: str) -> Store:
    """A store whose log somebody changed behind the triggers."""
    store = Store.open(sqlite_url(path))
    for n in range(5):
        audit.record(store, "anna", "view", ("image", str(n)))
    store.close()
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(change)
    connection.close()
    return Store.open(sqlite_url(path))


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        ("UPDATE audit SET account = 'berta' WHERE number = 3", 3, "line 3 was changed"),
        ("UPDATE audit SET object_id = '9' WHERE number = 5", 5, "line 5 was changed"),
        ("DELETE FROM audit WHERE number = 2", 3, "line 2 is missing"),
        ("DELETE FROM audit WHERE number = 1", 2, "line 1 is missing"),
        ("UPDATE audit SET at = '2020-01-01' WHERE number = 1", 1, "line 1 was changed"),
    ],
)
def test_a_changed_or_missing_line_shows(tmp_path: Path, change: str, line: int, reason: str):
    store = tampered(tmp_path / "s.sqlite", change)
    state = audit.verify(store)
    assert state.broken_at == line
    assert reason in state.reason
    store.close()


def test_removed_last_lines_show_to_whoever_noted_one(tmp_path: Path):
    path = tmp_path / "s.sqlite"
    store = Store.open(sqlite_url(path))
    for n in range(3):
        audit.record(store, "anna", "view", ("image", str(n)))
    noted = audit.verify(store).head
    store.close()
    shorter = tampered(path, "DELETE FROM audit WHERE number > 2")
    assert audit.verify(shorter).broken_at is None
    state = audit.verify(shorter, noted)
    assert (state.broken_at, state.reason) == (3, "the log ends at line 2; line 3 was noted")
    assert audit.verify(shorter, Head(1, "f" * 64)).reason == "line 1 is not the one that was noted"
    shorter.close()


def test_a_database_that_cannot_be_reached_is_explained_without_its_password():
    with pytest.raises(InputError, match="must be reachable") as error:
        Store.open("postgresql://anna:secret@127.0.0.1:1/x")
    assert "secret" not in str(error.value)
    with pytest.raises(InputError, match="must be SQLite or PostgreSQL; mysql"):
        Store.open("mysql://x/y")
    with pytest.raises(InputError, match="must be given as a URL"):
        Store.open("nonsense")


def test_errors_of_the_database_do_not_hold_what_was_stored(store: Store):
    with pytest.raises(IntegrityError) as error, store.writing() as session:
        session.add_all([Exam(study_uid="1.2.3", patient_name="Secret^Person") for _ in range(2)])
    assert "Secret" not in str(error.value)


WRITER = """
import sys
from pathlib import Path
from microcalc.reader.store import audit
from microcalc.reader.store.database import Store, sqlite_url
store = Store.open(sqlite_url(Path(sys.argv[1])))
for n in range(100000):
    audit.record(store, "anna", "view", ("image", str(n)))
    print(n + 1, flush=True)
"""


def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path: Path):
    path = tmp_path / "s.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(20)]
    writer.kill()
    acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
    writer.wait()
    writer.stdout.close()
    store = Store.open(sqlite_url(path))
    state = audit.verify(store)
    assert state.broken_at is None
    assert acknowledged[-1] <= state.head.number <= acknowledged[-1] + 1
    store.close()
