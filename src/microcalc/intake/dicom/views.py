"""Side, projection and modifiers of a mammogram: by codes, by the older words, by text as the last resort.

Codes of context groups 4014 and 4015 in DICOM PS3.16, with SNOMED's present numbers (SCT), the older identifiers (SRT,
SNM3), and those that earlier versions of the groups had; names as ViewPosition has them, after the ACR's manual (MQCM
1999).
"""

import re
from dataclasses import dataclass

from microcalc.intake.dicom.header import Header
from microcalc.intake.dicom.verdicts import NoteCode
from microcalc.vocabulary import Laterality, View, ViewModifier

__all__ = ["MODIFIER_CODES", "SPECIMEN_CODES", "VIEW_CODES", "Projection", "read_projection"]

VIEW_CODES: dict[str, View] = {
    "399260004": View.ML, "R-10224": View.ML,
    "399368009": View.MLO, "R-10226": View.MLO,
    "399352003": View.LM, "R-10228": View.LM,
    "399099002": View.LMO, "R-10230": View.LMO,
    "399162004": View.CC, "R-10242": View.CC,
    "399196006": View.FB, "R-10244": View.FB,
    "399188001": View.SIO, "R-102D0": View.SIO,
    "441555000": View.ISO, "R-40AAA": View.ISO,
    "399192008": View.XCCL, "R-1024A": View.XCCL, "Y-X1770": View.XCCL,
    "399101009": View.XCCM, "R-1024B": View.XCCM, "Y-X1771": View.XCCM,
    "399265009": View.XCC, "R-102CF": View.XCC,
}  # fmt: skip
"""Context group 4014, and what earlier versions of it had."""

SPECIMEN_CODES = frozenset({"127457009", "G-8310"})
"""Tissue specimen from breast, in context group 4014 as well."""

MODIFIER_CODES: dict[str, ViewModifier] = {
    "399161006": ViewModifier.CLEAVAGE, "R-102D2": ViewModifier.CLEAVAGE,
    "399011000": ViewModifier.AXILLARY_TAIL, "R-102D1": ViewModifier.AXILLARY_TAIL,
    "399197002": ViewModifier.ROLLED_LATERAL, "R-102D3": ViewModifier.ROLLED_LATERAL,
    "399226006": ViewModifier.ROLLED_MEDIAL, "R-102D4": ViewModifier.ROLLED_MEDIAL,
    "414493004": ViewModifier.ROLLED_INFERIOR, "R-102CA": ViewModifier.ROLLED_INFERIOR,
    "415670009": ViewModifier.ROLLED_SUPERIOR, "R-102C9": ViewModifier.ROLLED_SUPERIOR,
    "399209000": ViewModifier.IMPLANT_DISPLACED, "R-102D5": ViewModifier.IMPLANT_DISPLACED,
    "399163009": ViewModifier.MAGNIFICATION, "R-102D6": ViewModifier.MAGNIFICATION,
    "399055006": ViewModifier.SPOT_COMPRESSION, "R-102D7": ViewModifier.SPOT_COMPRESSION,
    "399110001": ViewModifier.TANGENTIAL, "R-102C2": ViewModifier.TANGENTIAL,
    "442581004": ViewModifier.NIPPLE_IN_PROFILE, "R-40AB3": ViewModifier.NIPPLE_IN_PROFILE,
    "441752004": ViewModifier.ANTERIOR_COMPRESSION, "P2-00161": ViewModifier.ANTERIOR_COMPRESSION,
    "442593008": ViewModifier.INFRAMAMMARY_FOLD, "R-40ABE": ViewModifier.INFRAMAMMARY_FOLD,
    "442580003": ViewModifier.AXILLARY_TISSUE, "R-40AB2": ViewModifier.AXILLARY_TISSUE,
}  # fmt: skip
"""Context group 4015."""

_ENDINGS = {
    "RL": ViewModifier.ROLLED_LATERAL, "RM": ViewModifier.ROLLED_MEDIAL, "RI": ViewModifier.ROLLED_INFERIOR,
    "RS": ViewModifier.ROLLED_SUPERIOR, "ID": ViewModifier.IMPLANT_DISPLACED, "NP": ViewModifier.NIPPLE_IN_PROFILE,
    "AC": ViewModifier.ANTERIOR_COMPRESSION, "IMF": ViewModifier.INFRAMAMMARY_FOLD, "AX": ViewModifier.AXILLARY_TISSUE,
}  # fmt: skip
_BEGINNINGS = {"M": ViewModifier.MAGNIFICATION, "S": ViewModifier.SPOT_COMPRESSION}
_OWN = {
    "CV": ViewModifier.CLEAVAGE, "AT": ViewModifier.AXILLARY_TAIL, "TAN": ViewModifier.TANGENTIAL,
    "CLEAVAGE": ViewModifier.CLEAVAGE, "MAG": ViewModifier.MAGNIFICATION, "SPOT": ViewModifier.SPOT_COMPRESSION,
}  # fmt: skip

_NAME = re.compile(rf"(?P<before>[MS]{{0,2}}?)(?P<view>{'|'.join(sorted(View, key=len, reverse=True))})"
                   rf"(?P<after>(?:{'|'.join(sorted(_ENDINGS, key=len, reverse=True))})*)")  # fmt: skip
"""ACR name: magnified or spot before the view, modifiers after it, e.g. MCC, SMMLO, CCRL, MLOID."""

_TEXTS = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
)
_SIDES = {"L": Laterality.LEFT, "R": Laterality.RIGHT, "LEFT": Laterality.LEFT, "RIGHT": Laterality.RIGHT}

_TOLD = frozenset({View.CC, View.MLO, View.ML, View.LM, View.LMO, View.XCCL, View.XCCM})
"""Views that are believed from a description; the others are words or other things as well."""

ProjectionNote = tuple[NoteCode, str]


@dataclass(frozen=True)
class Projection:
    """Side, view and modifiers.

    Attributes:
        laterality: empty where unknown.
        view: empty where unknown.
        modifiers: in the order found.
        specimen: the view is that of a specimen.
        notes: what a reader must know.
    """

    laterality: Laterality | str
    view: View | str
    modifiers: tuple[ViewModifier, ...]
    specimen: bool
    notes: tuple[ProjectionNote, ...]


def read_projection(header: Header) -> Projection:
    """Read side, view and modifiers from a header."""
    notes: list[ProjectionNote] = []
    side = _side(header, notes)
    view, modifiers, specimen = _coded(header)
    named, endings = _named(header)
    if view and named and view != named and named not in (View.CV, View.AT):
        words = f"ViewCodeSequence says {view}, ViewPosition or PatientOrientation {named}; the code is used"
        notes.append((NoteCode.VIEW_CONTRADICTION, words))
    view = view or named
    if not view:
        view, more = _told(header, notes)
        endings = (*endings, *more)
    return Projection(side, view, tuple(dict.fromkeys((*modifiers, *endings))), specimen, tuple(notes))


def _side(header: Header, notes: list[ProjectionNote]) -> Laterality | str:
    for keyword in ("ImageLaterality", "Laterality", "FrameLaterality"):
        side = _SIDES.get(header.word(keyword))
        if side:
            return side
    told = {_SIDES[w] for k in _TEXTS for w in _words(header.word(k)) if w in _SIDES}
    told |= {_SIDES[w[0]] for k in _TEXTS for w in _words(header.word(k)) if w[:1] in _SIDES and w[1:] in _TOLD}
    if len(told) == 1:
        side = told.pop()
        notes.append((NoteCode.SIDE_FROM_TEXT, f"the side {side} was taken from a description; no element has it"))
        return side
    notes.append((NoteCode.SIDE_UNKNOWN, "ImageLaterality and Laterality say neither L nor R"))
    return ""


def _coded(header: Header) -> tuple[View | str, list[ViewModifier], bool]:
    view: View | str = ""
    modifiers: list[ViewModifier] = []
    specimen = False
    for item in header.items("ViewCodeSequence"):
        code = item.word("CodeValue")
        view = view or VIEW_CODES.get(code, "")
        specimen = specimen or code in SPECIMEN_CODES
        modifiers += _modifiers(item)
    return view, modifiers + _modifiers(header), specimen


def _modifiers(header: Header) -> list[ViewModifier]:
    codes = (item.word("CodeValue") for item in header.items("ViewModifierCodeSequence"))
    return [MODIFIER_CODES[code] for code in codes if code in MODIFIER_CODES]


def _named(header: Header) -> tuple[View | str, tuple[ViewModifier, ...]]:
    """View by View Position, or by Patient Orientation as CBIS-DDSM (mis)uses it."""
    orientation = header.texts("PatientOrientation")
    for name in (header.word("ViewPosition"), orientation[0].upper() if len(orientation) == 1 else ""):
        view, modifiers = _parsed(name)
        if view or modifiers:
            return view, modifiers
    return "", ()


def _parsed(name: str) -> tuple[View | str, tuple[ViewModifier, ...]]:
    """An ACR name, taken apart."""
    if name in _OWN and name not in set(View):
        return "", (_OWN[name],)
    match = _NAME.fullmatch(re.sub(r"[\s_-]", "", name))
    if match is None:
        return "", ()
    view = View(match["view"])
    before = tuple(_BEGINNINGS[letter] for letter in match["before"])
    own = (_OWN[view],) if view in _OWN else ()
    after = tuple(_ENDINGS[e] for e in re.findall("|".join(sorted(_ENDINGS, key=len, reverse=True)), match["after"]))
    return view, (*before, *own, *after)


def _told(header: Header, notes: list[ProjectionNote]) -> tuple[View | str, tuple[ViewModifier, ...]]:
    """View by the words of a description, if they name exactly one."""
    found: dict[View, tuple[ViewModifier, ...]] = {}
    for keyword in _TEXTS:
        for word in _words(header.word(keyword)):
            plain = word[1:] if word[:1] in _SIDES and word[1:] in _TOLD else word
            view, modifiers = _parsed(plain)
            if view in _TOLD:
                found[View(view)] = modifiers
    if len(found) == 1:
        view, modifiers = next(iter(found.items()))
        notes.append((NoteCode.VIEW_FROM_TEXT, f"the view {view} was taken from a description; no element has it"))
        return view, modifiers
    notes.append((NoteCode.VIEW_UNKNOWN, "neither ViewCodeSequence nor ViewPosition names a view of a breast"))
    return "", ()


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Z]+", text)
