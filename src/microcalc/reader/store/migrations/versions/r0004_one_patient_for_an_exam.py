"""Exams that hold images of several patients become one for each: their files share a Study Instance UID."""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from microcalc.reader.store.exams import Patient, further_key, patient_of
from microcalc.reader.store.models import new_id

__all__ = ["down_revision", "revision", "upgrade"]

revision = "r0004"
down_revision: str | None = "r0003"

_EXAMS = sa.table(
    "exams",
    *(sa.column(name) for name in ("id", "study_uid", "patient_id", "patient_name")),
    *(sa.column(name) for name in ("date", "accession", "description", "source", "created")),
)
_IMAGES = sa.table("images", sa.column("id"), sa.column("exam_id"), sa.column("facts", sa.JSON))
_COMPLETIONS = sa.table("completions", sa.column("exam_id"), sa.column("account_id"), sa.column("at"))


def upgrade() -> None:
    """Move the images of a second patient into an exam of their own; marks and readings hang on the images."""
    connection = op.get_bind()
    exams = {row.id: row for row in connection.execute(sa.select(_EXAMS))}
    made: dict[tuple[str, Patient], str] = {}
    for image in connection.execute(sa.select(_IMAGES)).all():
        exam, facts = exams[image.exam_id], image.facts or {}
        if "patient_id" not in facts:
            continue
        patient = patient_of(facts["patient_id"], facts.get("patient_name"))
        if patient == patient_of(exam.patient_id, exam.patient_name):
            continue
        if (exam.id, patient) not in made:
            made[exam.id, patient] = _further_exam(connection, exam, patient, facts)
        moved = sa.update(_IMAGES).where(_IMAGES.c.id == image.id)
        connection.execute(moved.values(exam_id=made[exam.id, patient]))


def _further_exam(
    connection: sa.Connection, exam: sa.Row[tuple[str, ...]], patient: Patient, facts: Mapping[str, object]
) -> str:
    """Make the exam of a second patient; whoever had finished the whole has finished this part."""
    values = {name: str(facts.get(name) or "") for name in ("patient_id", "patient_name")}
    values |= {
        "id": new_id(),
        "study_uid": further_key(exam.study_uid, patient),
        "date": str(facts.get("study_date") or facts.get("acquisition_date") or ""),
        "accession": str(facts.get("accession_number") or ""),
        "description": str(facts.get("series_description") or ""),
    }
    connection.execute(sa.insert(_EXAMS).values(values | {"source": exam.source, "created": exam.created}))
    done = sa.select(sa.literal(values["id"]), _COMPLETIONS.c.account_id, _COMPLETIONS.c.at)
    done = done.where(_COMPLETIONS.c.exam_id == exam.id)
    connection.execute(sa.insert(_COMPLETIONS).from_select(["exam_id", "account_id", "at"], done))
    return values["id"]
