"""A PACS by DICOMweb: QIDO to ask, WADO to fetch, STOW to send.

Some archives, Orthanc among them, do not decode what is escaped in a query: letters outside ASCII, carets and blanks
find nothing, in silence. Such values are not sent; what comes back is compared here, as it is in any case.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset

from microcalc.errors import MicrocalcError, PacsError
from microcalc.intake.dicom.library import CONTENT_ERRORS, quiet
from microcalc.reader.pacs.archive import (
    DUPLICATE,
    FoundStudies,
    PacsQuery,
    Stored,
    checked_uid,
    found_study,
    may_be_mammogram,
    said,
)
from microcalc.reader.pacs.files import as_file, keep_file
from microcalc.reader.pacs.http_session import session_for
from microcalc.reader.pacs.settings import DicomwebSettings

__all__ = ["DicomwebPacs"]

_UNESCAPED = re.compile(r"[A-Za-z0-9._~*-]*")
"""Values that a query needs no escapes for (RFC 3986, unreserved, and the asterisk)."""

_FIELDS: Final = ("ModalitiesInStudy", "NumberOfStudyRelatedInstances", "StudyDescription")
_AS_STORED: Final = (("application/dicom", "*"),)
"""Any transfer syntax: the archive need not decode and encode again."""

_ROOM: Final = 1000
"""Studies that are asked for where names can only be compared here."""

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409

Answer = TypeVar("Answer")


class _RefusedError(PacsError):
    """The PACS answered, but not with success.

    Its cause is left out where it is raised: requests writes the query into its messages, and with it a patient.
    """

    def __init__(self, message: str, response: requests.Response) -> None:
        super().__init__(message)
        self.response = response


class DicomwebPacs:
    """A PACS by DICOMweb; see `microcalc.reader.pacs.archive.PacsClient`."""

    def __init__(self, settings: DicomwebSettings) -> None:
        self._settings = settings

    def echo(self) -> str:
        """Whether it answers a query."""
        for answer in _list(self._ask(lambda client: client.search_for_studies(limit=1))):
            found_study(_dataset(answer))
        return f"{self._settings.url} answers DICOMweb queries"

    def query(self, query: PacsQuery) -> FoundStudies:
        """Studies that match; one more is asked for than is wanted, to know whether there are more."""
        filters, whole = _filters(query)
        limit = query.limit + 1 if whole else max(query.limit + 1, _ROOM)
        answers, incomplete = self._ask_for_all(
            lambda client: client.search_for_studies(search_filters=filters, fields=list(_FIELDS), limit=limit)
        )
        found = [found_study(_dataset(answer)) for answer in _list(answers)]
        matching = tuple(study for study in found if query.matches(study))
        more = incomplete or len(found) >= limit or len(matching) > query.limit
        return FoundStudies(matching[: query.limit], more=more)

    def fetch(self, study_uid: str, into: Path) -> list[Path]:
        """Bring the images of a study into a folder."""
        study = checked_uid(study_uid)
        answers, incomplete = self._ask_for_all(
            lambda client: client.search_for_instances(study_instance_uid=study, fields=["Modality"])
        )
        if incomplete:
            raise PacsError("a PACS must list all images of a study; it said that it left some out. Raise its limit")
        return [self._fetch_one(study, item, into) for item in map(_dataset, _list(answers)) if _is_image(item)]

    def store(self, objects: Sequence[Dataset]) -> list[Stored]:
        """Send objects, each in a request of its own, so that each has an answer of its own."""
        return [self._store_one(made) for made in objects]

    def holds(self, made: Dataset) -> bool:
        """Whether the PACS has this very object already."""
        uid = str(made.SOPInstanceUID)
        try:
            answers = self._ask(
                lambda client: client.search_for_instances(
                    study_instance_uid=str(made.StudyInstanceUID),
                    series_instance_uid=str(made.SeriesInstanceUID),
                    search_filters={"SOPInstanceUID": uid},
                )
            )
        except _RefusedError as error:
            if error.response.status_code == _NOT_FOUND:
                return False
            raise
        return any(str(_dataset(answer).get("SOPInstanceUID", "")) == uid for answer in _list(answers))

    def _fetch_one(self, study: str, item: Dataset, into: Path) -> Path:
        series, uid = checked_uid(item.get("SeriesInstanceUID", "")), checked_uid(item.get("SOPInstanceUID", ""))
        got = self._ask(lambda client: client.retrieve_instance(study, series, uid, media_types=_AS_STORED))
        if str(got.get("SOPInstanceUID", "")) != uid:
            raise PacsError("a PACS must answer with the object that was asked for; it sent another one")
        return keep_file(into, uid, as_file(got))

    def _store_one(self, made: Dataset) -> Stored:
        uid = str(made.SOPInstanceUID)
        try:
            receipt = self._ask(lambda client: client.store_instances([made]))
        except _RefusedError as error:
            if error.response.status_code != _CONFLICT:
                raise
            return _refusal(error.response, uid)
        if uid in _uids(receipt, "ReferencedSOPSequence") or self.holds(made):
            return Stored(uid, accepted=True)
        reasons = [_reason(item) for item in receipt.get("FailedSOPSequence") or ()]
        return Stored(uid, accepted=False, reason="; ".join(reasons) or "the PACS said yes, but does not have it")

    def _ask(self, ask: Callable[[DICOMwebClient], Answer]) -> Answer:
        return self._ask_for_all(ask)[0]

    def _ask_for_all(self, ask: Callable[[DICOMwebClient], Answer]) -> tuple[Answer, bool]:
        """Ask over a new connection; whatever comes of it, only PacsError gets out.

        Returns:
            The answer, and whether the PACS said that it left some of it out.
        """
        with session_for(self._settings) as session:
            try:
                client = DICOMwebClient(self._settings.url, session=session, timeout=self._settings.timeout_s)
                client.set_http_retry_params(retry=False)
                with quiet():
                    return ask(client), session.incomplete
            except MicrocalcError:
                raise
            except requests.RequestException as error:
                message = f"{self._settings.url}: {_words(error)}"
                if error.response is not None:
                    raise _RefusedError(message, error.response) from None
                raise PacsError(message) from None
            except CONTENT_ERRORS as error:
                kind = type(error).__name__
                raise PacsError(
                    f"{self._settings.url}: a PACS must answer in DICOM's words; its answer cannot be read ({kind}). "
                    "Is this the root of its DICOMweb service?"
                ) from None


def _filters(query: PacsQuery) -> tuple[dict[str, str], bool]:
    """What is sent of a query, and whether that is all of it."""
    wanted = {
        "PatientID": query.patient_id,
        "PatientName": query.patient_name,
        "AccessionNumber": query.accession,
        "StudyDate": query.date,
        "StudyInstanceUID": query.study_uid,
        "ModalitiesInStudy": query.modality,
    }
    wanted = {keyword: value for keyword, value in wanted.items() if value}
    sent = {keyword: value for keyword, value in wanted.items() if _UNESCAPED.fullmatch(value)}
    return sent, len(sent) == len(wanted)


def _list(answers: object) -> list[dict[str, dict[str, object]]]:
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise PacsError("a PACS must answer a query with a list of data sets; it answered something else")
    return answers


def _dataset(answer: dict[str, dict[str, object]]) -> Dataset:
    try:
        with quiet():
            return Dataset.from_json(answer)
    except CONTENT_ERRORS as error:
        raise PacsError(f"a PACS must answer in DICOM JSON; reading it ended with {type(error).__name__}") from error


def _is_image(item: Dataset) -> bool:
    return may_be_mammogram(str(item.get("SOPClassUID", "")), said(item.get("Modality")))


def _refusal(response: requests.Response, uid: str) -> Stored:
    """What a STOW answer 409 says of an object (PS3.18, store instances)."""
    try:
        failed = Dataset.from_json(response.json()).get("FailedSOPSequence") or ()
    except CONTENT_ERRORS:
        failed = ()
    if any(item.get("FailureReason") == DUPLICATE for item in failed):
        return Stored(uid, accepted=True)
    return Stored(uid, accepted=False, reason="; ".join(map(_reason, failed)) or "refused (HTTP 409)")


def _reason(item: Dataset) -> str:
    reason = item.get("FailureReason")
    return f"refused with reason {reason:04X}" if isinstance(reason, int) else "refused without a reason"


def _uids(receipt: Dataset, sequence: str) -> set[str]:
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in receipt.get(sequence) or ()}


def _words(error: requests.RequestException) -> str:
    """What went wrong, without the query, which may name a patient."""
    if isinstance(error, requests.exceptions.SSLError):
        return "the certificate of the PACS must be signed by who ca_file names; it is not"
    if isinstance(error, requests.Timeout):
        return "the PACS must answer in time (timeout_s); it did not"
    if isinstance(error, requests.ConnectionError):
        return "the PACS must be reachable; the connection failed or broke. Is it running, and is url right?"
    if error.response is not None:
        return f"the PACS refused with HTTP {error.response.status_code} {said(error.response.reason)}"
    return f"the PACS must answer in HTTP; its answer cannot be read ({type(error).__name__})"
