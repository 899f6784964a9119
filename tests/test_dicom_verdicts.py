"""What is turned down, with which code, in which words; and hostile files, which end no run and take no memory."""

import gzip
import io
import json
import math
import os
import pickle
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_samples import (
    MAMMOGRAPHY,
    MAMMOGRAPHY_RAW,
    SECONDARY_CAPTURE,
    TOMOSYNTHESIS,
    breast,
    dataset,
    item,
    to_bytes,
    written,
)
from microcalc.errors import MissingDependencyError
from microcalc.intake.dicom import (
    VERDICT_MEANING,
    Facts,
    Mammogram,
    NoteCode,
    ReadOptions,
    Refusal,
    Verdict,
    as_record,
    inspect_file,
    library,
    read_header,
    read_mammogram,
    syntaxes,
)

DEFLATED = "1.2.840.10008.1.2.1.99"
MiB = 1 << 20
NO_IMAGE = {"Rows": None, "Columns": None, "BitsAllocated": None, "PixelData": None}


def refused(source, options=None) -> Refusal:
    answer = read_mammogram(source, options or ReadOptions())
    assert isinstance(answer, Refusal), answer.facts
    assert answer.message.strip()
    return answer


def verdict(options=None, **elements) -> Verdict:
    return refused(to_bytes(dataset(**elements)), options).code


def test_a_good_file_is_accepted_by_all_three_doors(tmp_path):
    content = to_bytes(dataset())
    path = written(tmp_path / "a.dcm", content)
    for source in (path, content, dataset()):
        answer = read_mammogram(source)
        assert isinstance(answer, Mammogram)
        np.testing.assert_array_equal(answer.stored, breast())
    facts = read_header(path)
    assert isinstance(facts, Facts)
    assert facts.path == str(path)
    assert (facts.patient_id, facts.study_uid, facts.series_uid, facts.sop_uid) == (
        "P1",
        "1.2.3",
        "1.2.3.4",
        "1.2.3.4.5",
    )
    assert (facts.study_date, facts.acquisition_date) == ("2019-02-03", "2019-02-04")
    assert (facts.manufacturer, facts.model, facts.device_serial) == ("Maker", "Model", "S1")
    assert (facts.accession_number, facts.detector, facts.presentation_intent) == ("A1", "digital", "FOR PRESENTATION")


def test_the_record_has_the_keys_of_the_contract_and_no_nan(tmp_path):
    record = inspect_file(written(tmp_path / "a.dcm", to_bytes(dataset())))
    assert list(record) == [
        "path", "accepted", "code", "message", "laterality", "view", "view_modifiers", "rows", "columns",
        "pixel_spacing_mm", "spacing_source", "magnification", "photometric", "voi", "manufacturer", "patient_id",
        "study_uid", "series_uid", "sop_uid", "notes",
    ]  # fmt: skip
    json.dumps(record, allow_nan=False)
    assert record["accepted"] is True
    assert record["code"] == "accepted"
    assert record["view_modifiers"] == []
    empty = as_record(refused(b""))
    assert all(empty[key] is None for key in ("laterality", "view", "rows", "columns", "patient_id", "voi"))
    assert (empty["path"], empty["accepted"], empty["view_modifiers"]) == ("", False, [])


def test_every_verdict_has_its_meaning_in_code_and_documents():
    assert set(VERDICT_MEANING) == set(Verdict)
    page = (Path(__file__).parents[1] / "docs/dicom.md").read_text(encoding="utf-8")
    for verdict_, meaning in VERDICT_MEANING.items():
        assert f"| `{verdict_}` | {meaning} |" in page
    assert all(f"`{note}`" in page for note in NoteCode)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"Modality": "CT"}, Verdict.NOT_MAMMOGRAPHY),
        ({"Modality": "DX", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1"}, Verdict.NOT_MAMMOGRAPHY),
        ({**NO_IMAGE, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, Verdict.NOT_AN_IMAGE),
        ({**NO_IMAGE, "Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.50"}, Verdict.NOT_AN_IMAGE),
        (NO_IMAGE, Verdict.DAMAGED_HEADER),
        ({"SOPClassUID": TOMOSYNTHESIS, "NumberOfFrames": 40}, Verdict.TOMOSYNTHESIS),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.4"}, Verdict.TOMOSYNTHESIS),
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS"]}, Verdict.TOMOSYNTHESIS),
        ({"NumberOfFrames": 2}, Verdict.MULTI_FRAME),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, Verdict.COLOUR),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Verdict.COLOUR),
        ({"SamplesPerPixel": 3}, Verdict.COLOUR),
        ({"PresentationIntentType": "FOR PROCESSING"}, Verdict.FOR_PROCESSING),
        ({"SOPClassUID": MAMMOGRAPHY_RAW, "PresentationIntentType": None}, Verdict.FOR_PROCESSING),
        ({"ViewPosition": "SPECIMEN"}, Verdict.SPECIMEN),
        ({"SeriesDescription": "Specimen radiograph"}, Verdict.SPECIMEN),
        ({"SpecimenDescriptionSequence": [item(SpecimenIdentifier="1")]}, Verdict.SPECIMEN),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_SCOUT"]}, Verdict.LOCALISER),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, Verdict.LOCALISER),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "STEREO_PLUS"]}, Verdict.NEEDLE),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "PREFIRE_MINUS"]}, Verdict.NEEDLE),
        ({"SeriesDescription": "L CC NEEDLE LOC"}, Verdict.NEEDLE),
        ({"SeriesDescription": "Stereotactic"}, Verdict.NEEDLE),
        ({"BiopsyTargetSequence": [item(TargetLabel="1")]}, Verdict.NEEDLE),
        ({"QualityControlImage": "YES"}, Verdict.QUALITY_CONTROL),
        ({"SOPClassUID": SECONDARY_CAPTURE, "ViewPosition": None}, Verdict.SECONDARY_CAPTURE),
        ({"SOPClassUID": SECONDARY_CAPTURE, "SeriesDescription": "ROI mask images"}, Verdict.MASK),
        ({"SOPClassUID": SECONDARY_CAPTURE, "SeriesDescription": "cropped images"}, Verdict.CROP),
        ({"Rows": 0}, Verdict.PIXEL_FORMAT),
        ({"BitsAllocated": 32}, Verdict.PIXEL_FORMAT),
        ({"BitsStored": 4}, Verdict.PIXEL_FORMAT),
        ({"BitsStored": 17}, Verdict.PIXEL_FORMAT),
        ({"HighBit": 5}, Verdict.PIXEL_FORMAT),
        ({"HighBit": 16}, Verdict.PIXEL_FORMAT),
        ({"PixelData": None}, Verdict.NO_PIXEL_DATA),
        ({"PixelData": b""}, Verdict.WRONG_LENGTH),
        ({"Rows": 97}, Verdict.WRONG_LENGTH),
        ({"Rows": 95}, Verdict.WRONG_LENGTH),
    ],
)
def test_everything_that_is_not_one_mammogram_has_its_verdict(elements, expected):
    assert verdict(**elements) is expected


@pytest.mark.parametrize(
    "elements",
    [
        {"Modality": None},  # of the mammography class
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"},  # computed radiography of a breast
        {"SOPClassUID": SECONDARY_CAPTURE},
        {"NumberOfFrames": 1},
        {"SamplesPerPixel": None},
        {"SeriesDescription": "post biopsy marker view, no wires"},
        {"ImageType": ["DERIVED", "PRIMARY", "", "GENERATED_2D"]},
        {"PresentationIntentType": None},
        {"HighBit": None},
    ],
)
def test_what_is_one_mammogram_all_the_same_is_read(elements):
    assert isinstance(read_mammogram(to_bytes(dataset(**elements))), Mammogram)


def test_raw_values_are_read_on_request_and_said():
    options = ReadOptions(accept_for_processing=True)
    for elements in ({"PresentationIntentType": "FOR PROCESSING"}, {"SOPClassUID": MAMMOGRAPHY_RAW}):
        answer = read_mammogram(to_bytes(dataset(**elements)), options)
        assert isinstance(answer, Mammogram)
        assert NoteCode.FOR_PROCESSING_ACCEPTED in {n.code for n in answer.notes}


def test_masks_and_crops_are_read_on_request():
    mask = to_bytes(dataset(SOPClassUID=SECONDARY_CAPTURE, SeriesDescription="ROI mask images"))
    assert isinstance(read_mammogram(mask, ReadOptions(accept_derived=True)), Mammogram)


def test_what_is_special_is_said():
    kinds = {
        NoteCode.SYNTHETIC: {"ImageType": ["DERIVED", "PRIMARY", "TOMO_2D", "GENERATED_2D"]},
        NoteCode.CONTRAST: {"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]},
        NoteCode.LOSSY: {"LossyImageCompression": "01"},
    }
    for note, elements in kinds.items():
        answer = read_mammogram(to_bytes(dataset(**elements)))
        assert isinstance(answer, Mammogram)
        assert note in {n.code for n in answer.notes}


def test_an_image_of_one_value_is_blank():
    assert verdict(stored=np.full((96, 64), 7, "u2")) is Verdict.BLANK
    padded = np.zeros((96, 64), "u2")
    padded[0, 0] = 9
    assert verdict(stored=padded, PixelPaddingValue=0) is Verdict.BLANK


def test_a_header_with_a_verdict_says_what_it_knows():
    answer = refused(to_bytes(dataset(PresentationIntentType="FOR PROCESSING")))
    assert (answer.facts.laterality, answer.facts.view, answer.facts.patient_id) == ("L", "CC", "P1")
    assert "FOR PROCESSING" in answer.message


# Hostile files


def test_a_declared_giant_is_refused_before_memory_is_given():
    content = to_bytes(dataset(Rows=60_000, Columns=60_000))
    tracemalloc.start()
    assert refused(content).code is Verdict.TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MiB
    assert read_header(content).code is Verdict.TOO_LARGE  # type: ignore[union-attr]
    assert refused(to_bytes(dataset()), ReadOptions(largest_pixels=96 * 64 - 1)).code is Verdict.TOO_LARGE
    assert isinstance(read_mammogram(to_bytes(dataset()), ReadOptions(largest_pixels=96 * 64)), Mammogram)


def test_a_giant_that_is_really_there_but_allowed_by_nobody_costs_nothing(tmp_path):
    path = written(tmp_path / "sparse.dcm", to_bytes(dataset(Rows=60_000, Columns=60_000)))
    with path.open("r+b") as file:
        file.truncate(8 << 30)
    assert refused(path).code is Verdict.TOO_LARGE


def test_every_cut_of_a_file_is_a_verdict():
    content = to_bytes(dataset())
    codes = set()
    for end in [*range(0, 700, 3), len(content) // 2, len(content) - 1]:
        codes.add(refused(content[:end]).code)
    assert codes <= {Verdict.NOT_DICOM, Verdict.DAMAGED_HEADER, Verdict.NO_PIXEL_DATA, Verdict.TRUNCATED,
                     Verdict.NOT_AN_IMAGE, Verdict.NOT_MAMMOGRAPHY, Verdict.COLOUR, Verdict.PIXEL_FORMAT}  # fmt: skip
    assert refused(content[:-1]).code is Verdict.TRUNCATED


def test_a_value_that_claims_four_gigabytes_takes_no_memory():
    content = bytearray(to_bytes(dataset()))
    place = content.index(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0))
    content[place + 8 : place + 12] = struct.pack("<L", 0xFFFFFFF0)
    private = struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0xFFFFFFF0)
    at_once = content[:400] + private + content[400:]
    tracemalloc.start()
    assert refused(bytes(content)).code is Verdict.WRONG_LENGTH
    refused(bytes(at_once))
    assert tracemalloc.get_traced_memory()[1] < 4 * MiB
    tracemalloc.stop()


def test_pixel_data_of_open_length_without_compression_are_a_wrong_length():
    content = bytearray(to_bytes(dataset()))
    place = content.index(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0))
    content[place + 8 : place + 12] = b"\xff\xff\xff\xff"
    assert refused(bytes(content)).code is Verdict.WRONG_LENGTH


def deflated(body_of=None) -> bytes:
    content = to_bytes(dataset(), DEFLATED)
    if body_of is None:
        return content
    end = 132 + 12 + int.from_bytes(content[140:144], "little")
    return content[:end] + body_of


def test_a_deflated_file_is_read():
    answer = read_mammogram(deflated())
    assert isinstance(answer, Mammogram)
    assert answer.facts.transfer_syntax == DEFLATED
    np.testing.assert_array_equal(answer.stored, breast())


def test_a_deflated_bomb_is_defused():
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(MiB)) for _ in range(200)) + packer.flush()
    tracemalloc.start()
    answer = refused(deflated(bomb), ReadOptions(largest_pixels=1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.code is Verdict.TOO_LARGE
    assert peak < 160 * MiB


def test_a_damaged_deflated_file_is_a_verdict():
    assert refused(deflated(b"\xff" * 100)).code is Verdict.DAMAGED_HEADER


def test_archives_are_named(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.dcm", to_bytes(dataset()))
    for content in (buffer.getvalue(), gzip.compress(to_bytes(dataset()))):
        assert refused(written(tmp_path / "a", content)).code is Verdict.ARCHIVE


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(300), bytes(5000), b"\x08\0\x05\0"]
)
def test_what_is_not_dicom_is_named(content):
    assert refused(content).code in (Verdict.NOT_DICOM, Verdict.DAMAGED_HEADER)


def test_a_file_without_preamble_is_read_and_said():
    content = to_bytes(dataset())
    answer = read_mammogram(content[132:])
    assert isinstance(answer, Mammogram)
    assert NoteCode.NO_PREAMBLE in {n.code for n in answer.notes}


def test_what_is_no_file_is_a_verdict(tmp_path):
    assert refused(tmp_path / "none.dcm").code is Verdict.NOT_FOUND
    assert refused(tmp_path).code is Verdict.NOT_A_FILE
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").code is Verdict.NOT_A_FILE
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refused(tmp_path / "loop").code is Verdict.SYMLINK_LOOP


def test_sequences_within_sequences_without_end_are_a_verdict():
    deep = b"".join(struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
                    + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) for _ in range(20_000))  # fmt: skip
    content = to_bytes(dataset())
    place = content.index(struct.pack("<HH", 0x7FE0, 0x0010))
    refused(content[:place] + deep + content[place:])


def test_nonsense_in_every_element_is_survived():
    content = to_bytes(dataset())
    for place in range(140, 1000, 7):
        for junk in (b"\xff\xff\xff\xff", b"SQ\0\0\0\0\xff\xff", bytes(8)):
            read_mammogram(content[:place] + junk + content[place + len(junk) :])


def test_signs_that_steer_a_terminal_are_taken_out():
    answer = read_header(
        to_bytes(dataset(PatientID="P\x1b[31m1", SeriesDescription="a\nb\u202eb", SpecificCharacterSet="ISO_IR 192"))
    )
    assert isinstance(answer, Facts)
    assert answer.patient_id == "P [31m1"
    assert answer.series_description.isprintable()


def test_an_unknown_character_set_is_survived():
    assert read_header(to_bytes(dataset()).replace(b"Doe^Jane", b"D\xf6e^J\xe4ne")).patient_name  # type: ignore[union-attr]


def test_an_encoding_that_is_not_read_is_named():
    answer = refused(to_bytes(dataset()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))
    assert answer.code is Verdict.TRANSFER_SYNTAX
    assert "1.2.840.10008.1.2.9" in answer.message


def test_a_missing_codec_names_its_package(monkeypatch):
    monkeypatch.setattr(syntaxes, "codec", lambda _name: None)
    ds = dataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    answer = refused(ds)
    assert answer.code is Verdict.CODEC_MISSING
    assert "pip install pylibjpeg-openjpeg" in answer.message


def test_without_pydicom_the_error_has_the_install_line(monkeypatch):
    def gone(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    library.pydicom_module.cache_clear()
    monkeypatch.setattr(library.importlib, "import_module", gone)
    with pytest.raises(MissingDependencyError, match=r"pip install 'microcalc\[dicom\]'"):
        read_mammogram(b"")
    library.pydicom_module.cache_clear()


def test_float_pixels_are_a_verdict():
    content = to_bytes(dataset())
    place = content.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    answer = refused(content[:place] + struct.pack("<HH2s", 0x7FE0, 0x0008, b"OF") + content[place + 6 :])
    assert answer.code is Verdict.PIXEL_FORMAT


def test_numbers_that_are_none_are_nan_or_missing():
    facts = read_header(to_bytes(dataset(ImagerPixelSpacing=None, EstimatedRadiographicMagnificationFactor=None)))
    assert isinstance(facts, Facts)
    assert math.isnan(facts.magnification)


def test_the_class_of_mammograms_is_the_standards():
    assert pydicom.uid.UID(MAMMOGRAPHY).name == "Digital Mammography X-Ray Image Storage - For Presentation"
    assert pydicom.uid.UID(TOMOSYNTHESIS).name == "Breast Tomosynthesis Image Storage"


@pytest.mark.parametrize("name", ["jpegls_u12", "jpeg2000_s12", "rle_u16"])
def test_datasets_that_pydicom_has_read_are_read_like_their_files(name):
    path = Path(__file__).parent / f"reference/dicom/{name}.dcm"
    by_file, by_dataset = read_mammogram(path), read_mammogram(pydicom.dcmread(path))
    assert isinstance(by_file, Mammogram)
    assert isinstance(by_dataset, Mammogram)
    np.testing.assert_array_equal(by_dataset.pixels, by_file.pixels)


@pytest.mark.parametrize("syntax", [pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRBigEndian, DEFLATED])
def test_datasets_in_every_plain_encoding_are_read(syntax):
    answer = read_mammogram(pydicom.dcmread(io.BytesIO(to_bytes(dataset(), syntax))))
    assert isinstance(answer, Mammogram)
    np.testing.assert_array_equal(answer.stored, breast())


def test_a_dataset_without_file_meta_or_pixels():
    ds = dataset()
    del ds.file_meta
    assert isinstance(read_mammogram(ds), Mammogram)
    del ds.PixelData
    assert refused(ds).code is Verdict.NO_PIXEL_DATA


def test_a_name_as_text_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError, match="Path"):
        read_mammogram("a.dcm")  # type: ignore[arg-type]


def test_warnings_are_held_back_while_any_thread_reads_and_come_back_after():
    content = to_bytes(dataset(StudyDate="19990231", PatientID="x" * 80))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(read_mammogram, [content] * 40))
    assert all(isinstance(answer, Mammogram) for answer in answers)
    assert warnings.filters == before


def test_a_mammogram_can_be_made_of_pixels_alone():
    pixels = np.zeros((4, 5), np.float32)
    made = Mammogram(stored=np.zeros((4, 5), np.uint16), facts=Facts(), pixels=pixels)
    assert made.pixels is pixels
    assert made.plane[1:3, 0:2].shape == (2, 2)
    with pytest.raises(TypeError, match="grey scale"):
        Mammogram(stored=made.stored, facts=Facts())


def test_a_mammogram_travels_between_processes():
    answer = read_mammogram(to_bytes(dataset()))
    again = pickle.loads(pickle.dumps(answer))
    np.testing.assert_array_equal(again.pixels, answer.pixels)  # type: ignore[union-attr]
    assert again.facts.sop_uid == "1.2.3.4.5"


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (3, 3), (7, 20), (20, 7), (15, 15), (16, 16), (17, 40)])
def test_tiny_images_are_read(shape):
    stored = np.arange(shape[0] * shape[1], dtype="u2").reshape(shape)
    answer = read_mammogram(to_bytes(dataset(stored)))
    assert isinstance(answer, Mammogram)
    assert answer.pixels.shape == shape


@pytest.mark.parametrize(
    ("elements", "detector"),
    [
        ({}, "digital"),
        ({"SOPClassUID": SECONDARY_CAPTURE, "ConversionType": "DF"}, "film"),
        ({"SOPClassUID": SECONDARY_CAPTURE, "ConversionType": "WSD", "StudyID": "DDSM"}, "film"),
        ({"SOPClassUID": SECONDARY_CAPTURE, "ConversionType": "WSD"}, "unknown"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "DetectorType": "STORAGE"}, "digital"),
    ],
)
def test_film_and_digital_are_told_apart_where_the_header_does(elements, detector):
    facts = read_header(to_bytes(dataset(**elements)))
    assert isinstance(facts, Facts)
    assert facts.detector == detector
