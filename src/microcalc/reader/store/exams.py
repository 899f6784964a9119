"""Which exam an image belongs to: that of its study and of its patient.

A study is one patient's (PS3.3 A.1.2), but files of the wild share a Study Instance UID between patients, above all
where whoever took the names out wrote the same one everywhere. Such images get an exam for each patient: else one
patient's images would stand under another one's name.
"""

import hashlib
from collections.abc import Mapping

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from microcalc.reader.store.models import Completion, Exam, Image

__all__ = ["Patient", "exam_of", "further_key", "patient_of", "remove_if_empty"]

Patient = tuple[str, str]
"""Patient ID, and the name where there is no ID: with the same ID a name may have changed."""


def exam_of(session: Session, sha256: str, facts: Mapping[str, object], source: str) -> Exam:
    """The exam of an image, made if it is the first one.

    Args:
        session: that writes.
        sha256: of the file, which stands for a study without a UID.
        facts: of the image.
        source: by which way it came.
    """
    study_uid = str(facts.get("study_uid") or f"sha256:{sha256}")
    patient = patient_of(facts.get("patient_id", ""), facts.get("patient_name", ""))
    exam = _with_key(session, study_uid)
    if exam is not None and patient_of(exam.patient_id, exam.patient_name) != patient:
        study_uid = further_key(study_uid, patient)
        exam = _with_key(session, study_uid)
    if exam is None:
        exam = Exam(
            study_uid=study_uid,
            patient_id=str(facts.get("patient_id", "")),
            patient_name=str(facts.get("patient_name", "")),
            date=str(facts.get("study_date") or facts.get("acquisition_date") or ""),
            accession=str(facts.get("accession_number", "")),
            description=str(facts.get("series_description", "")),
            source=source,
        )
        session.add(exam)
        session.flush()
    return exam


def remove_if_empty(session: Session, exam_id: str) -> None:
    """Remove an exam whose last image went to another one, and who had finished it; the log keeps what was done.

    Args:
        session: that writes.
        exam_id: of the exam.
    """
    if session.scalar(select(exists().where(Image.exam_id == exam_id))):
        return
    session.execute(delete(Completion).where(Completion.exam_id == exam_id))
    session.execute(delete(Exam).where(Exam.id == exam_id))


def patient_of(patient_id: object, name: object) -> Patient:
    """Who a patient is, as far as the words of a header tell; blanks around them are none of them."""
    plain = str(patient_id or "").strip()
    return plain, "" if plain else str(name or "").strip().rstrip("^")


def further_key(study_uid: str, patient: Patient) -> str:
    """What stands for the Study Instance UID in the exam of a second patient who shares it."""
    code = hashlib.sha256("\n".join((study_uid, *patient)).encode()).hexdigest()
    return f"sha256:{code}"


def _with_key(session: Session, study_uid: str) -> Exam | None:
    return session.scalar(select(Exam).where(Exam.study_uid == study_uid))
