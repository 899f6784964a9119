"""A PACS by DIMSE: C-ECHO, C-FIND, C-GET or C-MOVE, C-STORE.

An association is opened for each task and released after it. An object is sent in the transfer syntax that it has
where the PACS takes it, else uncompressed.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from pynetdicom.status import code_to_category

from microcalc.errors import MicrocalcError, PacsError
from microcalc.intake.dicom.library import CONTENT_ERRORS, quiet
from microcalc.reader.objects.source_header import UTF_8
from microcalc.reader.pacs.archive import (
    DUPLICATE,
    MAMMOGRAPHY_CLASSES,
    FoundStudies,
    FoundStudy,
    PacsQuery,
    Stored,
    checked_uid,
    found_study,
    may_be_mammogram,
    said,
)
from microcalc.reader.pacs.basket import Basket, ByteWatch
from microcalc.reader.pacs.settings import DimseSettings
from microcalc.reader.pacs.storage_scp import PDU_BYTES, StorageScp, StoreStatus
from microcalc.reader.pacs.syntaxes import NATIVE, TRANSFER_SYNTAXES

__all__ = ["DimsePacs"]

_SUCCESS: Final = 0x0000
_CUT_SHORT: Final = (0xA700, 0xFE00)
"""C-FIND: out of resources, cancelled (PS3.4 C.4.1.1.4); Orthanc says the latter where its own limit is reached."""

_FIELDS: Final = (
    "PatientName", "PatientID", "StudyDate", "AccessionNumber", "StudyDescription", "StudyInstanceUID",
    "ModalitiesInStudy", "NumberOfStudyRelatedInstances",
)  # fmt: skip


class _CutShortError(PacsError):
    """The PACS ended its answers before the last one."""


class DimsePacs:
    """A PACS by DIMSE; see `microcalc.reader.pacs.archive.PacsClient`.

    Args:
        settings: how it is reached.
        ears: the storage SCP that is listening already, where there is one; for C-MOVE.
    """

    def __init__(self, settings: DimseSettings, ears: StorageScp | None = None) -> None:
        self._settings, self._ears = settings, ears

    def echo(self) -> str:
        """Whether it answers C-ECHO."""
        with self._associated([build_context(Verification)]) as association:
            _succeed(association.send_c_echo(), "C-ECHO")
        return f"{self._settings.title} at {self._settings.host}:{self._settings.port} answers C-ECHO"

    def query(self, query: PacsQuery) -> FoundStudies:
        """Studies that match; one more is looked for than is wanted, to know whether there are more."""
        found: list[FoundStudy] = []
        came = cut_short = False
        try:
            for identifier in self._find(_identifier(query)):
                came = True
                study = found_study(identifier)
                if query.matches(study):
                    found.append(study)
                if len(found) > query.limit:
                    break
        except _CutShortError:
            if not came:
                raise
            cut_short = True
        return FoundStudies(tuple(found[: query.limit]), more=cut_short or len(found) > query.limit)

    def fetch(self, study_uid: str, into: Path) -> list[Path]:
        """Bring the images of a study into a folder."""
        study = checked_uid(study_uid)
        basket = Basket(into)
        for series in self._series(study):
            wanted = self._images(study, series)
            if not wanted:
                continue
            asked = _level("SERIES", StudyInstanceUID=study, SeriesInstanceUID=series)
            if self._settings.retrieve == "get":
                self._get(asked, basket)
            else:
                self._move(asked, basket)
            basket.check(wanted)
        return basket.paths()

    def store(self, objects: Sequence[Dataset]) -> list[Stored]:
        """Send objects over one association."""
        if not objects:
            return []
        with self._associated(_contexts_for(objects)) as association:
            return [_send(association, made) for made in objects]

    def holds(self, made: Dataset) -> bool:
        """Whether the PACS has this very object already."""
        wanted = str(made.SOPInstanceUID)
        identifier = _level(
            "IMAGE",
            StudyInstanceUID=str(made.StudyInstanceUID),
            SeriesInstanceUID=str(made.SeriesInstanceUID),
            SOPInstanceUID=wanted,
        )
        return any(str(found.get("SOPInstanceUID", "")) == wanted for found in self._find(identifier))

    def _find(self, identifier: Dataset) -> Iterator[Dataset]:
        model = StudyRootQueryRetrieveInformationModelFind
        with self._associated([build_context(model)]) as association:
            for status, found in association.send_c_find(identifier, model):
                _succeed(status, "C-FIND")
                if found is not None:
                    yield found

    def _series(self, study: str) -> list[str]:
        """Series of a study that may hold mammograms."""
        asked = _level("SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
        return [
            checked_uid(found.get("SeriesInstanceUID", ""))
            for found in self._find(asked)
            if may_be_mammogram("", said(found.get("Modality")))
        ]

    def _images(self, study: str, series: str) -> set[str]:
        """SOP Instance UIDs of a series' images: what must have come in the end."""
        asked = _level("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID="", SOPClassUID="")
        return {
            checked_uid(found.get("SOPInstanceUID", ""))
            for found in self._find(asked)
            if may_be_mammogram(str(found.get("SOPClassUID", "")), "")
        }

    def _get(self, asked: Dataset, basket: Basket) -> None:
        """C-GET: images come back over the same association, each class in every transfer syntax it may have."""
        model = StudyRootQueryRetrieveInformationModelGet
        contexts = [build_context(model)]
        contexts += [build_context(kind, syntax) for kind in MAMMOGRAPHY_CLASSES for syntax in TRANSFER_SYNTAXES]
        roles = [build_role(kind, scp_role=True) for kind in MAMMOGRAPHY_CLASSES]
        watch = ByteWatch(self._settings.largest_bytes)
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_STORE, basket.on_store),
            (evt.EVT_DATA_RECV, watch.on_data),
        ]
        with self._associated(contexts, roles=roles, handlers=handlers) as association:
            for status, _ in association.send_c_get(asked, model):
                _retrieved(status, "C-GET", basket, watch)

    def _move(self, asked: Dataset, basket: Basket) -> None:
        """C-MOVE: the PACS opens an association to us; ours are the ears that listen already, or some for now."""
        listen = self._settings.listen
        if listen is None:
            raise PacsError("C-MOVE must have somewhere to send to; give listen in the file, or retrieve: get")
        model = StudyRootQueryRetrieveInformationModelMove
        ears = self._ears or StorageScp(listen, lambda _: StoreStatus.NOT_AUTHORISED)
        with (
            nullcontext(ears) if self._ears else ears,
            ears.collecting(str(asked.StudyInstanceUID), basket.take),
            self._associated([build_context(model)]) as association,
        ):
            for status, _ in association.send_c_move(asked, listen.title, model):
                _retrieved(status, "C-MOVE", basket, None)

    @contextmanager
    def _associated(
        self,
        contexts: list[PresentationContext],
        *,
        roles: Sequence[object] = (),
        handlers: Sequence[evt.EventHandlerType] = (),
    ) -> Iterator[Association]:
        """An association that is released at the end, or aborted where something went wrong."""
        settings = self._settings
        try:
            association = self._application().associate(
                settings.host,
                settings.port,
                contexts,
                settings.title,
                ext_neg=list(roles),  # type: ignore[arg-type]
                evt_handlers=list(handlers),
                tls_args=(settings.tls.client_context(), settings.host) if settings.tls else None,
            )
        except CONTENT_ERRORS as error:
            raise PacsError(f"{self._name}: the association cannot be asked for ({type(error).__name__})") from error
        if not association.is_established:
            hint = " Is its certificate signed by who tls: ca_file names?" if settings.tls else ""
            raise PacsError(f"{self._name}: {_why_not(association)}{hint}")
        try:
            yield association
            association.release()
        except MicrocalcError:
            raise
        except CONTENT_ERRORS as error:
            raise PacsError(f"{self._name}: a PACS must answer in DICOM ({type(error).__name__})") from error
        finally:
            if association.is_established:
                association.abort()

    @property
    def _name(self) -> str:
        return f"{self._settings.title} at {self._settings.host}:{self._settings.port}"

    def _application(self) -> AE:
        application = AE(self._settings.our_title)
        timeout = self._settings.timeout_s
        application.connection_timeout = application.acse_timeout = timeout
        application.dimse_timeout = application.network_timeout = timeout
        application.maximum_pdu_size = PDU_BYTES
        return application


def _identifier(query: PacsQuery) -> Dataset:
    identifier = Dataset()
    identifier.SpecificCharacterSet = UTF_8
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword in _FIELDS:
        setattr(identifier, keyword, "")
    identifier.PatientID, identifier.PatientName = query.patient_id, query.patient_name
    identifier.AccessionNumber, identifier.StudyDate = query.accession, query.date
    identifier.StudyInstanceUID, identifier.ModalitiesInStudy = query.study_uid, query.modality
    return identifier


def _level(level: str, **keys: str) -> Dataset:
    """Identifier of a query or retrieval below the study."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _contexts_for(objects: Sequence[Dataset]) -> list[PresentationContext]:
    """For each class its own transfer syntax, and beside it the uncompressed ones."""
    contexts: dict[tuple[str, tuple[str, ...]], PresentationContext] = {}
    for made in objects:
        kind, syntax = str(made.SOPClassUID), str(made.file_meta.TransferSyntaxUID)
        for syntaxes in ((syntax,), NATIVE):
            contexts[kind, syntaxes] = build_context(kind, list(syntaxes))
    return list(contexts.values())


def _send(association: Association, made: Dataset) -> Stored:
    uid = str(made.SOPInstanceUID)
    if not association.is_established:
        raise PacsError("the PACS broke the connection off; what was sent before it counts")
    try:
        with quiet():
            status = association.send_c_store(_as_accepted(association, made))
    except CONTENT_ERRORS as error:
        return Stored(uid, accepted=False, reason=f"the PACS takes this kind of object in no form ({error!r:.120})")
    if "Status" not in status:
        raise PacsError("the PACS must answer C-STORE; it did not in time, or answered nonsense")
    code = int(status.Status)
    if code == DUPLICATE or code_to_category(code) in ("Success", "Warning"):
        return Stored(uid, accepted=True)
    return Stored(
        uid, accepted=False, reason=f"refused with status {code:04X} {said(status.get('ErrorComment'))}".strip()
    )


def _as_accepted(association: Association, made: Dataset) -> Dataset:
    """The object in a transfer syntax that the PACS accepted for its class."""
    kind, syntax = str(made.SOPClassUID), str(made.file_meta.TransferSyntaxUID)
    accepted = {
        str(context.transfer_syntax[0]) for context in association.accepted_contexts if context.abstract_syntax == kind
    }
    if not made.file_meta.TransferSyntaxUID.is_compressed:
        return made
    if syntax in accepted:
        if "PixelData" in made:
            made["PixelData"].is_undefined_length = True  # as PS3.5 A.4 has it; pynetdicom does not see to it
        return made
    plain = copy.deepcopy(made)
    plain.decompress(generate_instance_uid=False)
    return plain


def _succeed(status: Dataset, what: str) -> None:
    if "Status" not in status:
        raise PacsError(f"the PACS must answer {what}; it did not in time, broke off, or answered nonsense")
    code = int(status.Status)
    if code != _SUCCESS and code_to_category(code) != "Pending":
        comment = said(status.get("ErrorComment"))
        kind = _CutShortError if code in _CUT_SHORT else PacsError
        raise kind(f"the PACS refused {what} with status {code:04X} {comment}".rstrip())


def _retrieved(status: Dataset, what: str, basket: Basket, watch: ByteWatch | None) -> None:
    """One answer to C-GET or C-MOVE. Objects that are no images are left out by both sides, which counts as failed."""
    if watch is not None and watch.tripped:
        raise PacsError("the images of a study must fit into largest_mb; these do not")
    basket.check(set())
    if "Status" not in status:
        raise PacsError(f"the PACS must answer {what}; it did not in time, broke off, or answered nonsense")
    code = int(status.Status)
    if code_to_category(code) == "Warning":
        return
    _succeed(status, what)


def _why_not(association: Association) -> str:
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = said(getattr(answer, "reason_str", ""))
        return f"the PACS rejected the association ({reason}). Do the AE titles fit, title and our_title?"
    if association.acceptor.primitive is not None:
        return "the PACS offers none of the services asked for"
    return "the PACS must be reachable and speak DICOM; no answer came in time. Is it running, and is port right?"
