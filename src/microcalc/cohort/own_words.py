"""Words that microcalc itself writes into ``cohort.json``: codes, reasons, remarks, each of four letters and more.

A source holds some of them too (Value Type ``TEXT``, a column that says ``mass``), which is no disclosure. They are
told from names here; what a hit means is said in `microcalc.cohort.disclosure`.
"""

import re
from collections.abc import Iterator

__all__ = ["OWN_WORDS", "is_own_prose", "stands_in_prose_only"]

OWN_WORDS = frozenset(
    """
    abnormality about above accept accepted accession acquisition added after again against agree allocated allows
    alone also ambiguous another apart applied archive ascii aside asks assessed attachment attachments away back
    background became become becomes before begin begins believed belong benign beside between biopsy birads bits blank
    bool borderline both bottom boxes break breaks breast breasts bright brighter burned bytes calc calcification
    calcifications calibrated callback cancer cannot capture case categories category cbis cell centre centres check
    choose class classes classification clinical clinicaldata cluster clusters cmmd code codec codestream cohort
    collection colour column columns completed components compressed computed contact content contradict contradiction
    contradicts contrast control convert copies copy could count counted counts crop damaged data dataset date days
    ddsm decisions declared declares decode decoded decodes deflated dense density describe describes description
    descriptor detector device diagnosis dicom died differ digital digits directory displaced distribution does each
    early element else embed empty encoded encoding endian ends enhanced entries errno every everywhere exam
    examination example exams exist explicit export exposed extra factor factors facts false faults fetch file files
    film finding findings finite first fits flow folder follow follows form format found four frame free from full
    function gather gave gdcm gdcmconv give gives gone grey greys group gzip harvest have header headers height high
    higher histopathology history hold holds ignore ignored image images implant implicit impossible inbreast included
    index inside inspect install installed instead institution integers interpretation into inverse irreversible item
    items iter itself join joined jpeg judge keep kind know known knows label labels lacked lacks large larger largest
    laterality leading leads learn least leave leaves left length lesion lesions levels lies like limit line lines link
    list listed little localisation localiser located long longer look looks lookup loop loss lossy magnification
    magnified main make makes malignant mammogram mammograms mammography manufacturer many mark marker mask masks mass
    masses medical memory mend message meta metadata microcalc middle millimetres missing modality model modifiers
    module more morphology most moved much multi must name named names need needle needs neither network networks none
    notes nothing number numbers object occupied once ones only open opened openjpeg operating operation original other
    outcome outline outlined outlines outside package padded padding page pair paper part partial partner path pathlib
    pathologies pathology patient patients perhaps permissions photometric picture pictures pipe pixel pixels place
    places plain plan point possible preamble present presentation previous privacy private process processing
    projection projections publishes pydicom pylibjpeg python quality quiet radiologist radiologists rads raise range
    read reader reads really reason record records reduced refuse release remove repeated replace report request
    resample research resized revision right risk rois round routine rows rule rules said same sample samples save says
    scale scaled scanned schema scout secondary sees serial series serve sets several shape share shared sharing should
    shows side signed site size skip slices smaller socket something source sources spacing special specimen split spot
    spreadsheet square squares stand standard stands start state step stereotactic stored strerror string study subtype
    such surrogateescape surroundings surrounds suspected swapped symlink symptoms syntax synthetic system table tables
    take taken tell tells tenth test tested text than that their them there these they think this those though tissue
    title told tomosynthesis took train trained training transfer true truncated tuple turned twice unclear uncorrected
    undecided under unique unknown unnamed unpack unpacked unreadable usable used valid value values verdicts version
    view views wait want wanted waveform well were what where whether which whole width widths window windows wire with
    without word words workbook write writing written wrong yourself zeros
    """.split()  # noqa: SIM905  (hundreds of quoted words nobody can read)
)
"""In lower case. A test compares them with the texts of the modules that write them."""


def is_own_prose(text: str) -> bool:
    """Whether a text consists of such words (shorter ones between them do not count), without any digit."""
    words = re.findall(r"[^\W_]+", text.casefold())
    long = [word for word in words if len(word) >= _SHORTEST]
    return bool(long) and not re.search(r"\d", text) and OWN_WORDS.issuperset(long)


def stands_in_prose_only(word: str, record: object) -> bool:
    """Whether a word is written in a record as microcalc writes it and no other way.

    That is in lower case or at the beginning of a sentence, in a text of three words and more or in a key. A surname
    may be such a word (Mark, Long); where it stands alone, in a file's name or with a capital it is the surname.

    Args:
        word: one word, in any case.
        record: content of ``cohort.json``.
    """
    found = re.compile(re.escape(word), re.IGNORECASE)
    return all(
        (is_key or len(text.split()) >= _FEWEST_WORDS) and (match.group().islower() or _begins(text, match))
        for text, is_key in _texts(record)
        for match in found.finditer(text)
    )


def _begins(text: str, match: re.Match[str]) -> bool:
    return match.group()[1:].islower() and re.search(r"(?:^|[.:;] )$", text[: match.start()]) is not None


def _texts(record: object) -> Iterator[tuple[str, bool]]:
    """Every text of a record, and whether it is a key."""
    if isinstance(record, str):
        yield record, False
    elif isinstance(record, dict):
        for key, value in record.items():
            yield str(key), True
            yield from _texts(value)
    elif isinstance(record, list):
        for value in record:
            yield from _texts(value)


_SHORTEST = 4
_FEWEST_WORDS = 3
