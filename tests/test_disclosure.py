"""The privacy check finds what tells who a patient is, and leaves a cohort of pseudonyms alone."""

import base64
import csv
import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from typer.testing import CliRunner, Result

from cohort_samples import picture
from dicom_plants import write_planted
from microcalc.cli import cohort as commands
from microcalc.cohort import CohortWriter, Severity, Verdict, check_cohort
from microcalc.cohort.disclosure import privacy_checks
from microcalc.cohort.search import Needles, Passage, WantedText, passages
from microcalc.errors import InputError
from microcalc.intake.identifiers import collect_texts
from microcalc.intake.privacy import Pseudonyms

KEY = Pseudonyms(bytes(range(32)))


def write(folder: Path, *, synthetic: bool = False, verdict: str = "", **cells: object) -> Path:
    """A cohort of four images whose names are all pseudonyms, but for what ``cells`` say of the first row."""
    uids, patients = [f"1.2.3.4.5.6.{k}" for k in range(4)], ["H4711", "H4711", "H0815", "H0816"]
    dates = KEY.shift_dates(patients, ["2018-01-05", "2019-02-06", "2018-03-07", "2019-04-08"])
    with CohortWriter(folder, sources=[{"kind": "dicom"}], synthetic=synthetic) as writer:
        writer.record["privacy"] = KEY.record()
        for k in range(4):
            row: dict[str, object] = {
                "image_id": f"{KEY.patient(patients[k])}_L_CC_{k + 1}",
                "patient_id": KEY.patient(patients[k]),
                "lesion_id": f"L{k}",
                "exam_date": dates[k],
                "source_uid": KEY.uid(uids[k]),
                "label": k % 2,
                "pixel_spacing_mm": 0.0703125,
                "roi_row": 12345.5,
                "manufacturer": "HOLOGIC, Inc.",
            }
            writer.add(row | (dict(cells) if k == 0 else {}), picture(k))
        if verdict:
            writer.reject(Verdict(verdict, False, "bad-image", "it is bad"))
    return folder


def private(folder: Path, *sources: Path) -> dict[str, str]:
    """Messages of the privacy check's errors, by code."""
    texts = collect_texts(sources)
    more = privacy_checks(texts.wanted, skipped=texts.skipped)
    found = check_cohort(folder, contents=False, more=more).of(Severity.ERROR)
    return {f.code: f.message for f in found if f.code.startswith("privacy-")}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands.app, [str(a) for a in arguments])


# ---------------------------------------------------------------------------------------------- without the source


def test_a_cohort_of_pseudonyms_passes(tmp_path: Path) -> None:
    assert private(write(tmp_path / "c")) == {}


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"patient_id": "4711"}, "privacy-patient-id"),
        ({"patient_id": "Pabcdef"}, "privacy-patient-id"),
        ({"image_id": "smith_jane_L_CC"}, "privacy-image-id"),
        ({"image_id": "12345678"}, "privacy-image-id"),
        ({"lesion_id": "Frau Meier"}, "privacy-lesion-id"),
        ({"source_uid": "1.2.840.113619.2.1"}, "privacy-uid"),
        ({"source_uid": "2.25.3"}, "privacy-uid"),
        ({"source_uid": "2.25.329800735698586629295641978511506172918"}, "privacy-uid"),
        ({"exam_date": "2018-01-05"}, "privacy-date"),
        ({"site": "DOE^JANE"}, "privacy-name"),
        ({"site": "born 1951-07-23"}, "privacy-date"),
        ({"site": "born 19510723"}, "privacy-date"),
        ({"site": "geb. 23.07.1951"}, "privacy-date"),
        ({"morphology": "see_1951_07_23_granular"}, "privacy-date"),
        ({"site": "born 1951 07 23"}, "privacy-date"),
        ({"site": "born_23_07_1951"}, "privacy-date"),
        ({"morphology": "granular_bx_pt_zwetschgenbaum"}, "privacy-free-text"),
        ({"distribution": "see_gundula_pfefferkorn"}, "privacy-free-text"),
        ({"site": "1.3.6.1.4.1.9590.100.1.2.342386194811267636608694132590482924515"}, "privacy-uid"),
        ({"site": "/home/jane/x"}, "privacy-path"),
        ({"site": r"C:\Users\jane"}, "privacy-path"),
        ({"site": r"\\pacs01\export"}, "privacy-path"),
    ],
)
def test_what_is_no_pseudonym_is_found(tmp_path: Path, cells: Mapping[str, object], code: str) -> None:
    assert code in private(write(tmp_path / "c", **cells))


def test_made_up_patients_need_no_pseudonyms(tmp_path: Path) -> None:
    cells = {"patient_id": "p1", "image_id": "x", "exam_date": "2018-01-05", "source_uid": "1.2.3.4.5.6.7"}
    folder = write(tmp_path / "c", synthetic=True, **cells)
    path = folder / "rois/benign/x.png"
    path.write_bytes(with_chunk(path.read_bytes(), b"tEXt", b"Title\0SYNTHETIC"))
    assert private(folder) == {}


def test_the_words_of_bi_rads_are_no_free_text(tmp_path: Path) -> None:
    assert private(write(tmp_path / "c", morphology="vascular", distribution="grouped")) == {}


@pytest.mark.parametrize(("site", "looked_at"), [("S0a1b2c", False), ("North Hospital", True), ("", False)])
def test_sites_that_have_names_are_to_be_looked_at(tmp_path: Path, site: str, looked_at: bool) -> None:
    audit = check_cohort(write(tmp_path / "c", site=site), contents=False, more=privacy_checks())
    assert ("privacy-look" in {f.code for f in audit.findings}) is looked_at


def test_a_kind_of_column_is_told_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", source_uid="1.2.840.113619.2.1", exam_date="2018-01-05")
    more = privacy_checks()
    codes = [f.code for f in check_cohort(folder, contents=False, more=more).of(Severity.ERROR)]
    assert sorted(codes) == ["privacy-date", "privacy-uid"]


def test_a_verdict_that_names_a_file_by_a_patient_is_found(tmp_path: Path) -> None:
    found = private(write(tmp_path / "c", verdict="DOE^JANE_19510723.dcm"))
    assert "in cohort.json" in found["privacy-name"]


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG file with one more chunk before its end."""
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:-12] + chunk + png[-12:]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"tEXt", b"Author\0jane"),
        (b"zTXt", b"Author\0\0" + zlib.compress(b"jane")),
        (b"eXIf", b"II*\0"),
        (b"tIME", bytes(7)),
        (b"prVt", b"jane"),
    ],
)
def test_texts_in_a_picture_are_found(tmp_path: Path, kind: bytes, data: bytes) -> None:
    path = next(write(tmp_path / "c").rglob("*.png"))
    path.write_bytes(with_chunk(path.read_bytes(), kind, data))
    assert f"{path.name}, chunk {kind.decode()}" in private(tmp_path / "c")["privacy-metadata"]


def test_what_stands_after_a_picture_is_found(tmp_path: Path) -> None:
    path = next(write(tmp_path / "c").rglob("*.png"))
    path.write_bytes(path.read_bytes() + b"jane")
    assert "after its end" in private(tmp_path / "c")["privacy-metadata"]


def test_files_that_have_no_business_there_are_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    (folder / "notes.txt").write_text("x")
    assert "notes.txt" not in private(folder)["privacy-file"]  # a name may tell who it is
    write_planted(folder / "rois/benign/a.png")
    assert "privacy-dicom" in private(folder)
    Pseudonyms.create(tmp_path / "k")
    (tmp_path / "k").rename(folder / "k")
    assert "privacy-key" in private(folder)


def test_columns_of_nobody_and_texts_of_everybody_are_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    path = folder / "cohort.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head + ",remarks", *(row + ",x" for row in rows)]))
    assert "remarks" in private(folder)["privacy-column"]


def test_many_different_free_texts_are_found(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        for k in range(25):
            row = {
                "image_id": f"i{k}",
                "patient_id": KEY.patient(str(k)),
                "label": k % 2,
                "site": f"at {'xyz'[k % 3] * k}",
            }
            writer.add(row, picture(k))
    assert "site: 25 different texts in 25 rows" in private(tmp_path / "c")["privacy-free-text"]


# ---------------------------------------------------------------------------------------------- with the source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("source")
    return folder, write_planted(folder / "export.dcm")


def test_nothing_of_a_planted_source_shows_in_a_cohort_of_pseudonyms(
    tmp_path: Path, source: tuple[Path, dict[str, str]]
) -> None:
    assert private(write(tmp_path / "c"), source[0]) == {}


def test_every_planted_text_is_found_wherever_it_is_put(tmp_path: Path, source: tuple[Path, dict[str, str]]) -> None:
    folder, plants = source
    texts = collect_texts([folder])
    needles = Needles(texts.wanted)
    carried = {"ImageType (CS)", "Manufacturer (LO)", "nested Manufacturer (LO)"}
    plants = {place: value for place, value in plants.items() if place not in carried and "CharacterSet" not in place}
    assert len(plants) > 200
    missed = []
    for place, value in plants.items():
        plain = value.encode()
        for spelling in (plain, plain.upper(), value.encode("utf-16-le"), json.dumps(value)[1:-1].encode()):
            found = needles.find(Passage("x", b'{"a": "' + spelling + b'"}'))
            if value not in {needles.wanted[n].text for n in found}:
                missed.append((place, spelling))
    assert not missed


@pytest.mark.parametrize(
    "spelling",
    [
        *("M\u00fcller^J\u00fcrgen", "j\u00fcrgen m\u00fcller", "M\u00dcLLER, J\u00dcRGEN", "m\u00fcller_j\u00fcrgen"),
        *("M\u00fcllerJ\u00fcrgen", "\u6d2a^\u5409\u6d1e", "\u6d2a\u5409\u6d1e"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be", "gb18030"])
def test_a_name_is_found_in_other_spellings(source: tuple[Path, dict[str, str]], spelling: str, encoding: str) -> None:
    needles = Needles(t for t in collect_texts([source[0]]).wanted if "Patient's Name" in t.origin)
    found = needles.find(Passage("x", ("seen: " + spelling + ".").encode(encoding)))
    assert "Patient's Name (0010,0010)" in {needles.wanted[n].origin for n in found}


@pytest.mark.parametrize(
    "spelling",
    [
        "19510723",
        "1951-07-23",
        "23.07.1951",
        "07/23/1951",
        "23/07/1951",
        "1951/07/23",
        "x19510723x",
        "1951_07_23_pt",
        "23 07 1951",
    ],
)
def test_a_date_is_found_in_other_spellings(spelling: str) -> None:
    needles = Needles([WantedText("19510723", "Patient's Birth Date", is_date=True)])
    assert needles.find(Passage("x", f"a {spelling} b".encode()))


@pytest.mark.parametrize("shift", range(3))
def test_a_text_is_found_in_base64_and_as_its_hash(shift: int) -> None:
    needles = Needles([WantedText("Kornblumenweg 7", "Address")])
    assert needles.find(Passage("x", base64.b64encode(bytes(shift) + b"Kornblumenweg 7 and more")))
    assert needles.find(Passage("x", b"Kornblumenweg 7".hex().encode()))
    for name in ("md5", "sha1", "sha256"):
        assert needles.find(Passage("x", hashlib.new(name, b"Kornblumenweg 7").hexdigest().encode()))


@pytest.mark.parametrize(
    ("text", "there", "found"),
    [
        ("12345", "P12345_L", True),
        ("12345", "roi 12345", True),
        ("12345", "0.0712345", False),
        ("12345", "9123456", False),
        ("12345", "a3f012345678bcde0912", False),
        ("Anna", "anna_1", True),
        ("Anna", "savannah", False),
        ("ACC12", "xACC12y", True),
    ],
)
def test_short_texts_are_told_from_chance(text: str, there: str, found: bool) -> None:
    assert bool(Needles([WantedText(text, "x")]).find(Passage("x", there.encode()))) is found


def test_short_texts_are_not_looked_for_in_pixels() -> None:
    needles = Needles([WantedText("ACC12", "x"), WantedText("ACC123456789", "y")])
    assert needles.find(Passage("x", b"ACC12 ACC123456789", pixels=True)) == {1}


def test_the_search_finds_what_a_plain_search_finds() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcd-"), size=rng.integers(4, 9))) for _ in range(60)]
    needles = Needles([WantedText(w, str(k)) for k, w in enumerate(words)])
    for _ in range(40):
        content = "".join(rng.choice(list("abcd- "), size=rng.integers(200)))
        found = {words[n] for n in needles.find(Passage("x", content.encode()))}
        assert found <= {w for w in words if w in content}
        joined = {w for w in words if f" {w} " in f" {content} "}
        assert joined <= found


def test_every_byte_of_a_folder_is_a_passage(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    (folder / ".hidden").write_bytes(b"one")
    with zipfile.ZipFile(folder / "z.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("two/inner", "three")
    np.save(folder / "p.npy", np.frombuffer(b"four", dtype=np.uint8))
    (folder / "link").symlink_to("/nowhere/five")
    path = next(folder.rglob("*.png"))
    path.write_bytes(with_chunk(path.read_bytes(), b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"six")))
    text = b"\n".join(p.place.encode() + b"\n" + p.content for p in passages(folder))
    for word in (b".hidden", b"one", b"two/inner", b"three", b"four", b"/nowhere/five", b"six", b"cohort.csv"):
        assert word in text
    assert [p.place for p in passages(folder) if p.pixels and "png" not in p.place] == ["p.npy"]


def test_large_files_are_searched_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microcalc.cohort.search._BLOCK", 1000)
    (tmp_path / "f").write_bytes(b"." * 995 + b"Kornblumenweg" + b"." * 2500)
    needles = Needles([WantedText("Kornblumenweg", "x")])
    assert any(needles.find(p) for p in passages(tmp_path))


# ---------------------------------------------------------------------------------------------- tables as sources


def hospital_rows() -> list[list[str]]:
    return [
        ["Patient Name", "MRN", "DOB", "Result", "Side"],
        ["Jane Weissnichtwo", "88412345", "23.07.1951", "dcis", "L"],
    ]


def test_cells_of_a_table_are_collected(tmp_path: Path) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";").writerows(hospital_rows())
    (tmp_path / "labels.csv").write_text(buffer.getvalue())
    book = openpyxl.Workbook()
    for row in [["x"], ["y"]]:
        book.active.append(row)
    for row in hospital_rows():
        book.create_sheet("second").append(row) if row is None else book.active.append(row)
    book.save(tmp_path / "labels.xlsx")
    for name in ("labels.csv", "labels.xlsx"):
        texts = collect_texts([tmp_path / name])
        assert {"Jane Weissnichtwo", "88412345", "23.07.1951"} <= {w.text for w in texts.wanted}
        assert not {"dcis", "L"} & {w.text for w in texts.wanted}
    found = private(write(tmp_path / "c", site="88412345"), tmp_path / "labels.csv")
    assert found == {"privacy-source": "column MRN of the source shows through, in cohort.csv"}


def test_a_table_without_column_names_is_collected(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("DOE^JANE,88412345\n")
    assert {"DOE^JANE", "88412345"} <= {w.text for w in collect_texts([tmp_path / "t.csv"]).wanted}


def test_names_of_files_and_folders_are_collected(tmp_path: Path) -> None:
    (tmp_path / "in/smith_jane").mkdir(parents=True)
    (tmp_path / "in/smith_jane/mammo_0815.bin").write_bytes(b"x")
    texts = collect_texts([tmp_path / "in"])
    assert {w.text for w in texts.wanted} == {"smith_jane", "mammo_0815"}
    assert texts.skipped == {"files that are neither DICOM nor a table (their names were looked for)": 1}


def test_a_missing_source_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a source must be a file or a folder"):
        collect_texts([tmp_path / "none"])


# ---------------------------------------------------------------------------------------------- command


def test_the_command_passes_a_sound_cohort_and_says_what_it_did(
    tmp_path: Path, source: tuple[Path, dict[str, str]]
) -> None:
    out = run("check", write(tmp_path / "c"), "--privacy", "--source", source[0])
    assert out.exit_code == 0, out.output
    assert "texts of the source were looked for in every byte of the cohort" in out.output
    assert "only patterns were looked for" in run("check", tmp_path / "c", "--privacy").output
    assert "privacy" not in run("check", tmp_path / "c").output


def test_the_command_fails_without_telling_what_it_found(tmp_path: Path, source: tuple[Path, dict[str, str]]) -> None:
    folder = write(tmp_path / "c", site="St. Elsewhere")
    out = run("check", folder, "--source", source[0])
    assert out.exit_code == 1
    assert "error privacy-source: Institution Name (0008,0080) of the source shows through, in cohort.csv" in out.output
    telling = out.output.replace("site: look whether these may be told: St. Elsewhere", "")
    assert "Elsewhere" not in telling
