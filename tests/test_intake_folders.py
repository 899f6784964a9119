"""Intake of class folders: identifiers, patients, sizes, greys, and what is refused."""

import json
import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cohort_samples import names_in, picture
from microcalc.cohort import Cohort, check_cohort, encode_png, read_roi
from microcalc.cohort.disclosure import privacy_checks
from microcalc.cohort.marks import says_synthetic, text_chunks, with_mark
from microcalc.errors import CohortError, InputError, MicrocalcError, ProtocolError
from microcalc.intake import PATIENTS_UNKNOWN, IntakeSettings, from_folders
from microcalc.intake.folders import id_from_path

SKIP = IntakeSettings(skip_bad=True)


def put(path: Path, pixels: np.ndarray | None = None) -> None:
    """Save a picture; by default one that is another for each path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(zlib.crc32(bytes(path)) % 65536) if pixels is None else pixels).save(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two benign and two malignant images, each another one."""
    folder = tmp_path / "mine"
    for number, name in enumerate(["benign/a.png", "benign/b.tif", "malignant/c.png", "malignant/d.png"]):
        put(folder / name, picture(number))
    return folder


def verdicts(cohort: Cohort) -> dict[str, str]:
    entry = cohort.record["verdicts"]
    assert isinstance(entry, list)
    return {v["code"]: v["message"] for v in entry}


# ---------------------------------------------------------------------------------------------- what is made


def test_the_folder_is_the_label_and_the_file_name_the_image(source: Path, tmp_path: Path) -> None:
    out = from_folders(source, tmp_path / "c")
    assert out.table[["image_id", "label"]].to_numpy().tolist() == [["a", 0], ["b", 0], ["c", 1], ["d", 1]]
    assert [int(read_roi(p)[0, 1]) for p in out.image_paths()] == [0, 1, 2, 3]
    assert set(out.table["padded"]) == {"false"}
    assert not out.synthetic
    assert not check_cohort(out.folder).has_errors


def test_without_a_pattern_each_image_is_its_own_patient_and_the_cohort_says_so(source: Path, tmp_path: Path) -> None:
    out = from_folders(source, tmp_path / "c")
    assert out.table["patient_id"].tolist() == out.table["image_id"].tolist()
    assert "may stand on two sides of a split and flatter every result" in verdicts(out)[PATIENTS_UNKNOWN]
    assert "patients-unknown" in {f.code for f in check_cohort(out.folder).findings}


def test_the_same_images_give_the_same_cohort_wherever_they_lie(source: Path, tmp_path: Path) -> None:
    other = shutil.copytree(source, tmp_path / "elsewhere/mine")
    one, two = from_folders(source, tmp_path / "one"), from_folders(other, tmp_path / "two")
    for file in ("cohort.csv", "cohort.json"):
        assert (one.folder / file).read_bytes() == (two.folder / file).read_bytes()
    assert str(tmp_path) not in (one.folder / "cohort.json").read_text()


def test_a_pattern_finds_patients_and_other_columns(tmp_path: Path) -> None:
    for name in ("benign/P1_LCC_20180102.png", "benign/P1_LMLO_20180102.png", "malignant/P2_RCC_20190304.png"):
        put(tmp_path / "mine" / name)
    pattern = r"(?P<patient>P\d+)_(?P<laterality>[LR])(?P<view>[A-Z]+)_(?P<date>\d{8})"
    out = from_folders(tmp_path / "mine", tmp_path / "c", patient_pattern=pattern)
    assert out.table[["patient_id", "laterality", "view", "exam_date"]].to_numpy().tolist() == [
        ["P1", "L", "CC", "2018-01-02"],
        ["P1", "L", "MLO", "2018-01-02"],
        ["P2", "R", "CC", "2019-03-04"],
    ]
    assert PATIENTS_UNKNOWN not in verdicts(out)


def test_folders_inside_the_class_folders_are_read_and_can_name_the_patient(tmp_path: Path) -> None:
    for name in ("Benign/P1/1.png", "Benign/P1/2.png", "MALIGNANT/P2/3.png"):
        put(tmp_path / "mine" / name)
    out = from_folders(tmp_path / "mine", tmp_path / "c", patient_pattern="(?P<patient>[^/]+)/")
    assert out.table["image_id"].tolist() == ["P1_1", "P1_2", "P2_3"]
    assert out.table["patient_id"].tolist() == ["P1", "P1", "P2"]


def test_a_name_that_stands_in_both_classes_gets_its_class_in_front(tmp_path: Path) -> None:
    for name in ("benign/1.png", "benign/2.png", "malignant/1.png"):
        put(tmp_path / "mine" / name)
    out = from_folders(tmp_path / "mine", tmp_path / "c")
    assert out.table["image_id"].tolist() == ["benign_1", "benign_2", "malignant_1"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.png", "a"), ("a b (2).png", "a_b_2_"), ("p/q.r.tif", "p_q.r"), ("-x..png", "x"), ("\ud55c 1.png", "\ud55c_1")],
)
def test_identifiers_are_safe_file_names(path: str, expected: str) -> None:
    assert id_from_path(Path(path)) == expected


def test_hidden_files_and_texts_are_passed_over(source: Path, tmp_path: Path) -> None:
    (source / "benign/.DS_Store").write_bytes(b"x")
    (source / "benign/Thumbs.db").write_bytes(b"x")
    (source / "malignant/notes.txt").write_text("x")
    out = from_folders(source, tmp_path / "c")
    assert len(out.table) == 4
    assert verdicts(out)["other-files"] == (
        "2 files that are no images were passed over: benign/Thumbs.db, malignant/notes.txt"
    )


# ---------------------------------------------------------------------------------------------- sizes and greys


def test_another_size_is_refused_without_fit(source: Path, tmp_path: Path) -> None:
    put(source / "benign/large.png", picture(side=600))
    with pytest.raises(InputError, match=r"benign/large.png: a ROI image must have 512 rows x 512 columns; it has 600"):
        from_folders(source, tmp_path / "c")
    assert names_in(tmp_path) == ["mine"]


def test_with_fit_sizes_are_cut_or_mirrored_and_recorded(source: Path, tmp_path: Path) -> None:
    put(source / "benign/large.png", picture(side=600))
    put(source / "benign/small.png", picture(side=500))
    out = from_folders(source, tmp_path / "c", IntakeSettings(fit=True))
    padded = dict(zip(out.table["image_id"], out.table["padded"], strict=True))
    assert (padded["large"], padded["small"], padded["a"]) == ("false", "true", "false")
    np.testing.assert_array_equal(read_roi(out.image_path("large")), picture(side=600)[44:556, 44:556])
    intake = out.record["intake"]
    assert isinstance(intake, dict)
    assert (intake["cropped"], intake["padded"], intake["fit"]) == (1, 1, True)


def test_what_cannot_be_fitted_is_named(source: Path, tmp_path: Path) -> None:
    put(source / "benign/tiny.png", picture(side=50))
    with pytest.raises(InputError, match=r"benign/tiny.png: an image must be at least 172 pixels"):
        from_folders(source, tmp_path / "c", IntakeSettings(fit=True))


def test_twelve_bits_are_stretched_when_asked_for(tmp_path: Path) -> None:
    twelve = picture() >> 4
    put(tmp_path / "mine/benign/a.png", twelve)
    put(tmp_path / "mine/malignant/b.png", twelve[::-1])
    out = from_folders(tmp_path / "mine", tmp_path / "c", IntakeSettings(stored_bits=12))
    expected = np.rint(twelve.astype(float) * 65535 / 4095)
    np.testing.assert_array_equal(read_roi(out.image_path("a")), expected)
    assert "grey-range" not in verdicts(out)


@pytest.mark.parametrize(("shift", "bits"), [(4, 12), (2, 14)])
def test_greys_that_were_not_stretched_are_told(tmp_path: Path, shift: int, bits: int) -> None:
    put(tmp_path / "mine/benign/a.png", picture() >> shift)
    put(tmp_path / "mine/malignant/b.png", picture(500) >> shift)
    out = from_folders(tmp_path / "mine", tmp_path / "c")
    assert f"bring them in again with --stored-bits {bits}" in verdicts(out)["grey-range"]


def test_a_value_beyond_the_stored_bits_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"benign/a.png: an image of 12 stored bits must have values up to 4095"):
        from_folders(source, tmp_path / "c", IntakeSettings(stored_bits=12))


def test_classes_of_different_bit_depths_are_told(source: Path, tmp_path: Path) -> None:
    put(source / "malignant/e.png", (picture() >> 8).astype(np.uint8))
    message = verdicts(from_folders(source, tmp_path / "c"))["bits-tell-class"]
    assert "2 benign of 16 bit, 1 malignant of 8 bit, 2 malignant of 16 bit" in message


def mark(path: Path) -> None:
    """Make a PNG file say that it is a phantom, as those of `cohort phantom` do."""
    path.write_bytes(with_mark(path.read_bytes()))


def test_phantoms_stay_synthetic_when_they_come_in_again(source: Path, tmp_path: Path) -> None:
    (source / "benign/b.tif").unlink()
    for path in source.rglob("*.png"):
        mark(path)
    first = from_folders(source, tmp_path / "c")
    again = from_folders(first.folder / "rois", tmp_path / "again")
    for cohort in (first, again):
        assert cohort.synthetic
        assert "all images say that they are SYNTHETIC phantoms" in verdicts(cohort)["synthetic-images"]
        findings = {f.code for f in check_cohort(cohort.folder, more=privacy_checks()).findings}
        assert "synthetic" in findings
        assert "privacy-patient-id" not in findings
    assert all(says_synthetic(path) for path in again.image_paths())


def test_one_phantom_among_others_marks_the_cohort_but_not_the_patients(source: Path, tmp_path: Path) -> None:
    mark(source / "malignant/c.png")
    out = from_folders(source, tmp_path / "c")
    assert out.synthetic
    assert "1 of 4 images say that they are SYNTHETIC phantoms" in verdicts(out)["synthetic-images"]
    assert "privacy-patient-id" in {f.code for f in check_cohort(out.folder, more=privacy_checks()).findings}


def test_the_mark_is_found_wherever_another_program_put_it(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Title", "SYNTHETIC microcalcification phantom")
    Image.fromarray(picture()).save(tmp_path / "new.png", pnginfo=texts)
    plain = encode_png(picture())
    end = len(plain) - 12  # IEND
    (tmp_path / "late.png").write_bytes(plain[:end] + text_chunks() + plain[end:])
    (tmp_path / "plain.png").write_bytes(plain)
    (tmp_path / "cut.png").write_bytes(plain[:40])
    found = {name: says_synthetic(tmp_path / f"{name}.png") for name in ("new", "late", "plain", "cut", "gone")}
    assert found == {"new": True, "late": True, "plain": False, "cut": False, "gone": False}


@pytest.mark.parametrize("bits", [8, 17])
def test_impossible_stored_bits_are_refused(bits: int) -> None:
    with pytest.raises(ProtocolError, match=f"stored bits must be 9 to 16; got {bits}"):
        IntakeSettings(stored_bits=bits)


# ---------------------------------------------------------------------------------------------- bad sources


@pytest.fixture
def half_bad(source: Path) -> Path:
    """Two bad files among the good ones."""
    content = (source / "benign/a.png").read_bytes()
    (source / "benign/a.png").write_bytes(content[: len(content) // 2])
    put(source / "malignant/colour.png", np.zeros((512, 512, 3), dtype=np.uint8))
    return source


def test_one_bad_file_refuses_the_whole_and_all_bad_ones_are_named(half_bad: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every image must be usable; 2 of 5 are not") as caught:
        from_folders(half_bad, tmp_path / "c")
    lines = str(caught.value).splitlines()
    assert lines[1].startswith("  benign/a.png: the PNG file is damaged or cut short")
    assert lines[2].startswith("  malignant/colour.png: an image must be 8 or 16 bit grey")
    assert lines[3] == "Mend them, or leave them out with --skip-bad. Nothing was written."
    assert names_in(tmp_path) == ["mine"]


def test_bad_files_can_be_left_out_with_a_verdict_on_each(half_bad: Path, tmp_path: Path) -> None:
    out = from_folders(half_bad, tmp_path / "c", SKIP)
    assert out.table["image_id"].tolist() == ["b", "c", "d"]
    entry = out.record["verdicts"]
    assert isinstance(entry, list)
    left_out = [(v["source"], v["code"], v["image_id"]) for v in entry if not v["accepted"]]
    assert left_out == [("benign/a.png", "bad-image", "a"), ("malignant/colour.png", "bad-image", "colour")]
    assert str(tmp_path) not in json.dumps(entry)
    counts = out.record["counts"]
    assert isinstance(counts, dict)
    assert counts["left_out"] == 2


@pytest.mark.parametrize(
    ("pixels", "settings", "code"),
    [
        (picture(side=600), IntakeSettings(skip_bad=True), "wrong-size"),
        (picture(side=50), IntakeSettings(skip_bad=True, fit=True), "wrong-size"),
        (picture(), IntakeSettings(skip_bad=True, stored_bits=12), "grey-values"),
        (np.zeros((512, 512, 3), dtype=np.uint8), IntakeSettings(skip_bad=True), "bad-image"),
    ],
)
def test_the_verdict_tells_the_reason_apart(
    tmp_path: Path, pixels: np.ndarray, settings: IntakeSettings, code: str
) -> None:
    put(tmp_path / "mine/benign/a.png", pixels)
    put(tmp_path / "mine/malignant/b.png", picture() >> 4)
    out = from_folders(tmp_path / "mine", tmp_path / "c", settings)
    assert code in verdicts(out)
    assert out.table["image_id"].tolist() == ["b"]


def test_however_many_bad_files_there_are_each_is_named(tmp_path: Path) -> None:
    for folder in ("benign", "malignant"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
        for k in range(150):
            (tmp_path / f"mine/{folder}/{k}.png").write_bytes(b"")
    with pytest.raises(InputError, match="300 of 300 are not") as caught:
        from_folders(tmp_path / "mine", tmp_path / "c")
    assert all(f"{folder}/{k}.png" in str(caught.value) for folder in ("benign", "malignant") for k in range(150))
    assert len(str(caught.value).splitlines()) == 203


@pytest.fixture
def no_files(source: Path) -> dict[str, str]:
    """Entries that are no files, each with what is said of it."""
    (source / "benign/dangling.png").symlink_to(source / "gone.png")
    os.mkfifo(source / "benign/pipe.png")
    (source / "malignant/folder.PNG").mkdir()
    put(source.parent / "elsewhere/more.png")
    (source / "malignant/linked").symlink_to(source.parent / "elsewhere")
    (source / "benign/deeper").mkdir()
    (source / "benign/notes.txt").symlink_to(source / "gone.txt")
    return {
        "benign/dangling.png": "a link that leads to no file",
        "benign/pipe.png": "a pipe, socket or device",
        "malignant/folder.PNG": "this is a folder. Rename it",
        "malignant/linked": "a link to a folder, which is not followed",
    }


def test_what_is_no_file_is_refused_by_name(no_files: dict[str, str], source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 of 8 are not") as refusal:
        from_folders(source, tmp_path / "c")
    for name, words in no_files.items():
        assert re.search(rf"{name}: an image must be a file; .*{words}", str(refusal.value))


def test_what_is_no_file_can_be_left_out_with_a_verdict(no_files: dict[str, str], source: Path, tmp_path: Path) -> None:
    out = from_folders(source, tmp_path / "c", SKIP)
    entry = out.record["verdicts"]
    assert isinstance(entry, list)
    assert {v["source"] for v in entry if v["code"] == "no-file"} == set(no_files)
    assert len(out.table) == 4
    assert "1 file that is no image was passed over: benign/notes.txt" in verdicts(out)["other-files"]


def test_a_folder_that_may_not_be_opened_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "benign/locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "locked")  # root may open everything
    with pytest.raises(InputError, match=r"benign/locked: .*may not be opened. Change its rights"):
        from_folders(source, tmp_path / "c")


def test_a_picture_in_both_classes_is_refused_by_both_names(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "benign/a.png", source / "malignant/e.png")
    with pytest.raises(InputError, match="2 of 5 are not") as refusal:
        from_folders(source, tmp_path / "c")
    for one, other, label in (("benign/a", "malignant/e", "malignant"), ("malignant/e", "benign/a", "benign")):
        words = f"{one}.png: a picture must stand in one class; {other}.png is {label} and has the same bytes"
        assert words in str(refusal.value)


def test_a_picture_in_both_classes_can_be_left_out_on_both_sides(source: Path, tmp_path: Path) -> None:
    shutil.copy(source / "benign/a.png", source / "malignant/e.png")
    shutil.copy(source / "benign/b.tif", source / "benign/b2.tif")  # twice in one class is no contradiction
    out = from_folders(source, tmp_path / "c", SKIP)
    assert out.table["image_id"].tolist() == ["b", "b2", "c", "d"]
    entry = out.record["verdicts"]
    assert isinstance(entry, list)
    assert [v["source"] for v in entry if v["code"] == "two-labels"] == ["benign/a.png", "malignant/e.png"]


def test_nothing_but_bad_files_is_refused_even_when_they_may_be_left_out(tmp_path: Path) -> None:
    for name in ("benign/a.png", "malignant/b.png"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True)
        (tmp_path / "mine" / name).write_bytes(b"")
    with pytest.raises(InputError, match="No usable image is left"):
        from_folders(tmp_path / "mine", tmp_path / "c", SKIP)


def test_two_files_of_one_class_with_one_identifier_are_refused(source: Path, tmp_path: Path) -> None:
    put(source / "benign/A.tif")
    with pytest.raises(InputError, match=r"image_id 'A' must be unique; 2 files would have it \(upper and lower"):
        from_folders(source, tmp_path / "c")
    assert from_folders(source, tmp_path / "c", SKIP).table["image_id"].tolist() == ["b", "c", "d"]


def test_a_file_without_a_patient_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"benign/a\.png: the file name must match the patient pattern"):
        from_folders(source, tmp_path / "c", patient_pattern="(?P<patient>[bcd])")


def test_a_value_that_the_contract_refuses_is_named_by_file(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"benign/a.png: view must be one of CC, .*; found 'a'"):
        from_folders(source, tmp_path / "c", patient_pattern="(?P<patient>(?P<view>.))")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "must be a regular expression"),
        ("(.*)", "must name the group patient"),
        ("(?P<patient>.)(?P<label>.)", r"it names \['label'\]"),
    ],
)
def test_a_pattern_without_a_patient_is_refused(source: Path, tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        from_folders(source, tmp_path / "c", patient_pattern=pattern)


@pytest.mark.parametrize("missing", ["benign", "malignant"])
def test_a_missing_class_folder_is_told(source: Path, tmp_path: Path, missing: str) -> None:
    shutil.rmtree(source / missing)
    with pytest.raises(InputError, match=f"must hold one folder named {missing}; it holds "):
        from_folders(source, tmp_path / "c")


def test_an_empty_class_folder_is_told(source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source / "benign")
    (source / "benign").mkdir()
    with pytest.raises(InputError, match="must hold the benign images; it holds none"):
        from_folders(source, tmp_path / "c")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder with the folders benign and malignant inside"):
        from_folders(tmp_path / "none", tmp_path / "c")


def test_an_occupied_target_is_left_as_it_is(source: Path, tmp_path: Path) -> None:
    from_folders(source, tmp_path / "c")
    before = (tmp_path / "c/cohort.json").read_bytes()
    with pytest.raises(CohortError, match="must be written to a new or empty folder"):
        from_folders(source, tmp_path / "c")
    assert (tmp_path / "c/cohort.json").read_bytes() == before


def test_a_target_below_a_file_is_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MicrocalcError, match=r"file/c: cannot be written .* choose a folder that you may write to"):
        from_folders(source, tmp_path / "file/c")


def test_empty_files_in_both_classes_are_damaged_and_not_contradictory(source: Path, tmp_path: Path) -> None:
    for name in ("benign/empty.png", "malignant/empty2.png"):
        (source / name).write_bytes(b"")
    with pytest.raises(InputError, match="2 of 6 are not") as refusal:
        from_folders(source, tmp_path / "c")
    assert "must stand in one class" not in str(refusal.value)


def test_with_a_key_a_description_in_the_file_name_is_kept_in_words_of_bi_rads(tmp_path: Path):
    names = [("benign", "vascular"), ("malignant", "pleomorphic"), ("malignant", "starlike")]
    for number, (label, words) in enumerate(names):
        path = tmp_path / "mine" / label / f"{words}_{label}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(picture(number)))
    pattern = r"(?P<morphology>[a-z]+)_(?P<patient>\w+)"
    settings = IntakeSettings(key=tmp_path / "k")
    made = from_folders(tmp_path / "mine", tmp_path / "c", settings, patient_pattern=pattern)
    assert made.table["morphology"].tolist() == ["vascular", "fine_pleomorphic", ""]
    (told,) = [v for v in made.record["verdicts"] if v["code"] == "free-text"]
    assert told["message"].startswith("1 image: a description of the calcifications was left empty (morphology 1)")
