"""The first tables, and the triggers that keep the log and the history of the annotations append-only."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "r0001"
down_revision: str | None = None

APPEND_ONLY = {"audit": "number", "annotation_versions": "id"}
"""Tables whose rows are never changed or removed, and their keys."""

_TABLES = sa.MetaData()


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


sa.Table(
    "accounts",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(64), unique=True, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created", _moment(), nullable=False),
)
sa.Table(
    "audit",
    _TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("action", sa.String(32), index=True, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("object_id", sa.String(64), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)
sa.Table(
    "exams",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("study_uid", sa.String(128), unique=True, nullable=False),
    sa.Column("patient_id", sa.Text, nullable=False),
    sa.Column("patient_name", sa.Text, nullable=False),
    sa.Column("date", sa.String(32), index=True, nullable=False),
    sa.Column("accession", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("created", _moment(), nullable=False),
)
sa.Table(
    "settings",
    _TABLES,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
sa.Table(
    "watched_files",
    _TABLES,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("code", sa.String(32), nullable=False),
    sa.Column("at", _moment(), nullable=False),
)
sa.Table(
    "completions",
    _TABLES,
    sa.Column("exam_id", sa.String(32), sa.ForeignKey("exams.id"), primary_key=True),
    sa.Column("account_id", sa.String(32), sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("at", _moment(), nullable=False),
)
sa.Table(
    "images",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("exam_id", sa.String(32), sa.ForeignKey("exams.id"), index=True, nullable=False),
    sa.Column("sop_uid", sa.String(128), unique=True, nullable=False),
    sa.Column("sha256", sa.String(64), index=True, nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.Column("code", sa.String(32), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("laterality", sa.String(8), nullable=False),
    sa.Column("view", sa.String(16), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("columns", sa.Integer, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("notes", sa.JSON, nullable=False),
    sa.Column("created", _moment(), nullable=False),
)
sa.Table(
    "sessions",
    _TABLES,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(32), sa.ForeignKey("accounts.id"), index=True, nullable=False),
    sa.Column("csrf", sa.String(64), nullable=False),
    sa.Column("created", _moment(), nullable=False),
    sa.Column("seen", _moment(), nullable=False),
)
sa.Table(
    "annotations",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("image_id", sa.String(32), sa.ForeignKey("images.id"), index=True, nullable=False),
    sa.Column("account_id", sa.String(32), sa.ForeignKey("accounts.id"), index=True, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
)
sa.Table(
    "annotation_versions",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("annotation_id", sa.String(32), sa.ForeignKey("annotations.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("account_id", sa.String(32), sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("at", _moment(), nullable=False),
    sa.Column("row", sa.Double, nullable=False),
    sa.Column("col", sa.Double, nullable=False),
    sa.Column("side", sa.Double, nullable=False),
    sa.Column("lesion", sa.Text, nullable=False),
    sa.Column("pathology", sa.String(32), nullable=False),
    sa.Column("birads", sa.String(8), nullable=False),
    sa.Column("morphology", sa.String(32), nullable=False),
    sa.Column("distribution", sa.String(32), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.UniqueConstraint("annotation_id", "revision"),
)
sa.Table(
    "readings",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("annotation_id", sa.String(32), sa.ForeignKey("annotations.id"), index=True, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("account_id", sa.String(32), sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("at", _moment(), nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
sa.Table(
    "outbox",
    _TABLES,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("sop_uid", sa.String(128), unique=True, nullable=False),
    sa.Column("reading_id", sa.String(32), sa.ForeignKey("readings.id"), index=True, nullable=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try", _moment(), nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("created", _moment(), nullable=False),
    sa.Column("sent", _moment(), nullable=True),
    sa.Index("ix_outbox_due", "state", "next_try"),
)


def upgrade() -> None:
    """Make the tables and the triggers."""
    _TABLES.create_all(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    for table, key in APPEND_ONLY.items():
        refused = f"BEGIN SELECT RAISE(ABORT, 'the table {table} is append-only'); END"
        for verb in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {refused}")
        # INSERT OR REPLACE would remove the old row without asking the trigger of DELETE.
        there = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608
        op.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {there} {refused}")


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION microcalc_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the table % is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        call = "EXECUTE FUNCTION microcalc_append_only()"
        op.execute(f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {call}")
        op.execute(f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}")
