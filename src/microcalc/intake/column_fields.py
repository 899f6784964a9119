"""What a column of a spreadsheet can hold, and the headers that it goes by, in English, German and Korean.

The hospital of the paper is in Korea. Names are compared regardless of case, blanks and punctuation; how well one fits
is judged in `microcalc.intake.column_guess`, and a map is kept by `microcalc.intake.column_map`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from microcalc.intake.terms import read_birads, read_day, read_laterality, read_truth, read_view, read_yes_no

__all__ = ["FIELDS", "KEY_FIELDS", "PLACE_FIELDS", "RULE_FIELDS", "FieldKind", "one_line"]


@dataclass(frozen=True)
class FieldKind:
    """Something that a column can hold.

    Attributes:
        meaning: a few words for people.
        names: headers that it goes by, English first, then German and Korean.
        readable: whether a cell can be one; None where anything can.
        foreign: words of headers that mean something else, however well the rest fits.
    """

    meaning: str
    names: tuple[str, ...]
    readable: Callable[[str], bool] | None = None
    foreign: tuple[str, ...] = ()


def _field(meaning: str, names: str, readable: Callable[[str], bool] | None = None, *, foreign: str = "") -> FieldKind:
    return FieldKind(meaning, tuple(names.split(" | ")), readable, tuple(foreign.split()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_uid(text: str) -> bool:
    return "." in text and text.replace(".", "").isdecimal() and len(text) <= 64


def _is_image(text: str) -> bool:
    return text.casefold().endswith((".dcm", ".dicom", ".ima")) or "/" in text or "\\" in text


def _is_label(text: str) -> bool:
    return text.strip().casefold() in ("0", "1", "0.0", "1.0", "benign", "malignant")


def _known(reader: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda text: reader(text) is not None


_YES_NO = _known(read_yes_no)

FIELDS: Mapping[str, FieldKind] = {
    "sop_uid": _field(
        "SOP Instance UID of the mammogram",
        "sop instance uid | sop uid | sop | instance uid | image uid | sopinstanceuid",
        _is_uid,
    ),
    "image_file": _field(
        "file of the mammogram, as a path or a name",
        "image file | file | filename | file name | dicom file | image path | path | dicom | "
        "datei | dateiname | bilddatei | 파일 | 파일명",
        _is_image,
    ),
    "accession_number": _field(
        "Accession Number of the exam",
        "accession number | accession | accession no | acc no | acc | order number | accession nr | zugangsnummer | "
        "zugangsnr | auftragsnummer | untersuchungsnummer | 검사번호 | 접수번호",
    ),
    "patient_id": _field(
        "Patient ID as in the images",
        "patient id | patient | patient no | patient number | pid | mrn | hospital "
        "number | hospital id | chart no | chart number | unit no | case id | id | patienten id | patientennummer | "
        "patientennr | patienten nr | pat nr | pat id | 환자번호 | 등록번호 | 병록번호 | 차트번호 | 환자 id",
        foreign="name names age sex gender birth dob initials history",
    ),
    "exam_date": _field(
        "day of the mammography, as YYYY-MM-DD",
        "exam date | study date | date of exam | examination date | mammography date | "
        "mammogram date | mg date | acquisition date | date | untersuchungsdatum | aufnahmedatum | mammographiedatum | "
        "datum der untersuchung | datum der mammographie | datum | 검사일 | 검사일자 | 촬영일 | 촬영일자 | 유방촬영일",
        _known(read_day),
        foreign="birth born biopsy surgery operation op report followup death pathology histology geb geburt biopsie "
        "befund histologie",
    ),
    "laterality": _field(
        "side of the breast",
        "laterality | side | breast side | breast | left right | left or right | lr | "
        "rl | rt lt | seite | lateralität | 좌우 | 측 | 방향 | 편측",
        _known(read_laterality),
    ),
    "view": _field(
        "view: CC, MLO, ...",
        "view | view position | projection | image view | mammographic view | projektion | "
        "aufnahme | ebene | 촬영방향 | 뷰",
        _known(read_view),
    ),
    "roi_row": _field(
        "row of the lesion's middle, pixels from the top",
        "roi row | row | centre row | center row | roi y | y | centre y | center y | "
        "y centre | y center | pos y | y pos | "
        "position y | y position | zeile",
        _is_number,
    ),
    "roi_col": _field(
        "column of the lesion's middle, pixels from the left",
        "roi col | roi column | col | column | centre column | center column | roi x | x | centre x | "
        "center x | x centre | x center | pos x | x pos | position x | x position | spalte",
        _is_number,
    ),
    "box_top": _field(
        "first row of the lesion's box",
        "box top | top | ymin | y min | y1 | row min",
        _is_number,
    ),
    "box_left": _field(
        "first column of the box",
        "box left | left edge | xmin | x min | x1 | col min",
        _is_number,
    ),
    "box_bottom": _field(
        "last row of the box",
        "box bottom | bottom | ymax | y max | y2 | row max",
        _is_number,
    ),
    "box_right": _field(
        "last column of the box",
        "box right | right edge | xmax | x max | x2 | col max",
        _is_number,
    ),
    "box_width": _field(
        "columns of the box",
        "box width | width | w | roi width | breite",
        _is_number,
    ),
    "box_height": _field(
        "rows of the box",
        "box height | height | h | roi height | höhe",
        _is_number,
    ),
    "mask_file": _field(
        "image file that marks the lesion, 0 outside",
        "mask file | mask | mask path | segmentation | roi mask | maske",
    ),
    "lesion_id": _field(
        "lesion, within the patient",
        "lesion id | lesion | lesion no | lesion number | finding | läsion | herd | herd nr | "
        "befund nr | 병변 | 병변번호",
    ),
    "pathology": _field(
        "histopathology",
        "pathology | histopathology | histology | dx | final dx | pathologic dx | pathologic diagnosis | pathology "
        "result | final pathology | pathologic result | biopsy result | diagnosis | "
        "final diagnosis | histologie | histo | pathologie | biopsieergebnis | diagnose | "
        "조직검사 | 조직검사결과 | 병리 | 병리결과 | 병리진단 | 조직진단 | 진단",
        _known(read_truth),
    ),
    "label": _field(
        "0 benign, 1 malignant",
        "label | malignant | malignancy | cancer | class | target | dignität | malignität | 악성 | 악성여부",
        _is_label,
    ),
    "birads": _field(
        "BI-RADS assessment category",
        "birads | bi rads | birads category | bi rads category | assessment | category | kategorie | 판독 | 판정",
        _known(read_birads),
    ),
    "morphology": _field(
        "morphology of the calcifications",
        "morphology | calc type | calcification type | calc morphology | morphologie | 모양 | 형태",
    ),
    "distribution": _field(
        "distribution of the calcifications",
        "distribution | calc distribution | calcification distribution | verteilung | 분포",
    ),
    "site": _field(
        "hospital or centre",
        "site | centre | center | hospital | institution | klinik | standort | zentrum | 기관 | 병원",
    ),
    "split": _field(
        "train, validation or test",
        "split | set | partition | fold set",
    ),
    "mass": _field(
        "a mass with the calcifications",
        "mass | mass with calcification | associated mass | raumforderung | herdbefund | 종괴",
        _YES_NO,
    ),
    "symptoms": _field(
        "symptoms",
        "symptoms | symptom | symptomatic | sx | palpable | symptome | beschwerden | tastbefund | 증상",
        _YES_NO,
    ),
    "history": _field(
        "breast cancer before",
        "history | history of breast cancer | personal history | past history | anamnese | "
        "eigenanamnese | 병력 | 과거력",
        _YES_NO,
    ),
    "operation": _field(
        "operation of the breast before",
        "operation | previous operation | surgery | previous surgery | breast surgery | "
        "op history | voroperation | vor op | "
        "op anamnese | 수술력 | 수술",
        _YES_NO,
    ),
    "implant": _field(
        "implant or foreign body",
        "implant | implants | breast implant | augmentation | implantat | implantate | 보형물 | 이물질",
        _YES_NO,
    ),
}
"""All that a column can hold, in the order of a map."""

RULE_FIELDS = ("mass", "symptoms", "history", "operation", "implant")
"""Fields whose "yes" leaves a row out, in the order of the paper."""

KEY_FIELDS = (("sop_uid",), ("image_file",), ("accession_number",), ("patient_id", "exam_date"))
"""Sets of fields that name a mammogram, the surest first."""

PLACE_FIELDS = (
    ("box_top", "box_left", "box_bottom", "box_right"),
    ("box_top", "box_left", "box_width", "box_height"),
    ("roi_row", "roi_col"),
    ("mask_file",),
)
"""Sets of fields that say where a lesion is, the fullest first."""


def one_line(header: object) -> str:
    """A header as maps name it: line breaks and runs of blanks, as wide cells have them, become one blank."""
    return " ".join(str(header).split())
