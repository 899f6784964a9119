"""The audit finds what is wrong, counts what is there, and never raises."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cohort_samples import cohort, picture, table
from microcalc.cohort import Audit, CohortWriter, Severity, Verdict, check_cohort, encode_png
from microcalc.cohort.audit import NONE, count_by


def messages(audit: Audit) -> dict[str, str]:
    return {f.code: f.message for f in audit.findings}


def edited(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    """Change cohort.csv as a person with a spreadsheet would."""
    path = folder / "cohort.csv"
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)
    return folder


def setting(row: int, **cells: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        for column, value in cells.items():
            rows.loc[row, column] = value
        return rows

    return change


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound cohort of twelve images of six patients."""
    rows = table([f"p{k // 2}" for k in range(12)], [0, 0, 1, 1] * 3, view=["CC", "MLO"] * 6)
    return cohort(tmp_path / "c", rows).folder


# ---------------------------------------------------------------------------------------------- what it holds


def test_a_sound_cohort_has_notes_only_and_its_counts(folder: Path) -> None:
    audit = check_cohort(folder)
    assert [f.code for f in audit.findings] == ["default-split"]
    assert not audit.has_errors
    assert (audit.images, audit.patients) == (12, 6)
    assert audit.by_split.to_dict("index") == {NONE: {"images": 12, "patients": 6, "benign": 6, "malignant": 6}}
    assert audit.by_class.to_dict("index") == {
        "benign": {"images": 6, "patients": 3, "benign": 6, "malignant": 0},
        "malignant": {"images": 6, "patients": 3, "benign": 0, "malignant": 6},
    }
    assert audit.by_view.loc["CC"].to_dict() == {"images": 6, "patients": 6, "benign": 3, "malignant": 3}


def test_sets_are_counted_in_their_order_and_the_rest_by_name() -> None:
    rows = table(list("aabbc"), [0, 1, 0, 1, 1], split=["test", "train", "train", "", "validation"])
    counts = count_by(rows, rows["split"], order=["train", "validation", "test"])
    assert list(counts.index) == ["train", "validation", "test", NONE]
    assert counts["images"].tolist() == [2, 1, 1, 1]
    assert counts.loc["train"].tolist() == [2, 2, 1, 1]


def test_the_default_sets_are_foretold(folder: Path) -> None:
    assert messages(check_cohort(folder))["default-split"].startswith("by default the sets are made by patient: ")


def test_a_cohort_that_cannot_be_divided_is_told(tmp_path: Path) -> None:
    cohort(tmp_path / "c", table(list("abcd"), [0, 0, 0, 1]))
    assert (
        "cannot be divided: split by patient: a split needs at least 6 patients"
        in messages(check_cohort(tmp_path / "c"))["no-split"]
    )


def test_made_up_images_and_remarks_of_intake_are_told(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[], synthetic=True) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
        writer.reject(Verdict("DIR", True, "patients-unknown", "Patients are not known"))
        writer.reject(Verdict("x.png", False, "bad-image", "it is bad"))
    audit = check_cohort(tmp_path / "c")
    assert messages(audit)["synthetic"] == "the images of this cohort are made up"
    assert [f.message for f in audit.of(Severity.WARNING)] == ["Patients are not known"]
    assert messages(audit)["left-out"].startswith("1 source left out")


def test_the_record_is_json(folder: Path) -> None:
    edited(folder, setting(0, label="9"))
    record = json.loads(json.dumps(check_cohort(folder).as_record()))
    assert record["cohort"] == "c"
    assert record["by_class"]["malignant"]["images"] == 6
    assert {"code": "label", "severity": "error"}.items() <= record["findings"][0].items()


# ---------------------------------------------------------------------------------------------- table


@pytest.mark.parametrize(
    ("cells", "code", "message"),
    [
        ({"label": "7"}, "label", "cohort.csv, line 3: label must be 0 (benign) or 1 (malignant); found '7'"),
        ({"image_id": "../../etc"}, "image-id", "line 3: image_id must be a safe file name"),
        ({"image_id": "i000"}, "duplicate-id", "line 3: image_id must be unique; 'i000' stands in line 2 already"),
        ({"pathology": "invasive"}, "label-pathology", "found label 0 and pathology 'invasive'"),
        ({"view": "front"}, "view", "line 3: view must be one of"),
        ({"patient_id": ""}, "patient-id", "line 3: patient_id must not be empty"),
        ({"exam_date": "yesterday"}, "exam-date", "line 3: exam_date must be a day"),
    ],
)
def test_a_bad_row_is_an_error(folder: Path, cells: dict[str, str], code: str, message: str) -> None:
    audit = check_cohort(edited(folder, setting(1, **cells)))
    assert message in messages(audit)[code]
    assert audit.has_errors


def test_a_patient_on_two_sides_is_an_error(folder: Path) -> None:
    sides = ["train"] * 5 + ["test"] * 7
    audit = check_cohort(edited(folder, lambda rows: rows.assign(split=sides)))
    assert "puts 1 patient on two sides: p2." in messages(audit)["leak"]
    assert audit.has_errors


def test_a_lesion_with_two_labels_is_an_error(folder: Path) -> None:
    rows = table(list("aabb"), [0, 1, 0, 1], lesion_id=["1", "1", "1", "2"])
    shutil.rmtree(folder)
    audit = check_cohort(cohort(folder, rows).folder)
    assert messages(audit)["lesion-labels"] == "a lesion must have one label; 1 lesion with two: 1 of patient a"


def test_an_unknown_column_and_an_edited_table_are_told(folder: Path) -> None:
    audit = check_cohort(edited(folder, lambda rows: rows.assign(age="50")))
    assert messages(audit)["unknown-column"] == "cohort.csv: nothing reads 1 column: age"
    assert messages(audit)["changed-table"].startswith("cohort.csv is not as written")
    assert not audit.has_errors


# ---------------------------------------------------------------------------------------------- files


def test_missing_misplaced_and_extra_files_are_told(folder: Path) -> None:
    (folder / "rois/benign/i000.png").unlink()
    (folder / "rois/benign/i001.png").rename(folder / "rois/malignant/i001.png")
    (folder / "rois/malignant/stray.png").write_bytes(b"x")
    (folder / "rois/notes.txt").write_text("x")
    (folder / "rois/benign/.DS_Store").write_bytes(b"x")
    for contents in (True, False):
        found = messages(check_cohort(folder, contents=contents))
        assert found["missing-image"] == "2 images of the table missing: rois/benign/i000.png, rois/benign/i001.png"
        assert found["wrong-folder"] == "1 image in the folder of the other class: rois/malignant/i001.png"
        assert found["extra-file"].endswith("of no row of the table: rois/notes.txt, rois/malignant/stray.png")


def test_a_damaged_image_is_an_error_by_hash_and_by_content(folder: Path) -> None:
    path = folder / "rois/malignant/i002.png"
    path.write_bytes(path.read_bytes()[:900])
    found = messages(check_cohort(folder))
    assert "i002.png: the PNG file is damaged or cut short" in found["bad-image"]
    assert found["changed-image"] == "1 image not as written, by SHA-256: i002"


def test_an_exchanged_image_is_an_error_by_hash(folder: Path) -> None:
    (folder / "rois/malignant/i002.png").write_bytes(encode_png(picture(500)))
    audit = check_cohort(folder)
    assert [f.code for f in audit.of(Severity.ERROR)] == ["changed-image"]


def test_quick_does_not_read_the_images(folder: Path) -> None:
    (folder / "rois/malignant/i002.png").write_bytes(b"")
    assert not check_cohort(folder, contents=False).has_errors


def test_attachments_are_checked(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
        writer.attach("masks/a.png", b"a")
        writer.attach("masks/b.png", b"b")
    (tmp_path / "c/masks/a.png").unlink()
    (tmp_path / "c/masks/b.png").write_bytes(b"c")
    found = messages(check_cohort(tmp_path / "c"))
    assert found["missing-attachment"] == "1 attached file missing: masks/a.png"
    assert found["changed-attachment"] == "1 attached file not as written: masks/b.png"


def test_an_image_without_a_hash_is_told(folder: Path) -> None:
    record = json.loads((folder / "cohort.json").read_text())
    del record["sha256"]["images"]["i002"]
    (folder / "cohort.json").write_text(json.dumps(record))
    assert messages(check_cohort(folder))["unrecorded-image"] == "1 image without a hash in cohort.json: i002"


# ---------------------------------------------------------------------------------------------- pictures


def twins(folder: Path, **columns: list[object]) -> Audit:
    """Two pairs of images, the second pair with identical pixels."""
    rows = table(columns.pop("patients"), columns.pop("labels"), **columns)
    with CohortWriter(folder, sources=[]) as writer:
        for number, row in enumerate(rows.to_dict(orient="records")):
            writer.add({str(k): v for k, v in row.items()}, picture(min(number, 2)))
    quick, whole = check_cohort(folder, contents=False), check_cohort(folder)
    assert [f.code for f in quick.findings] == [f.code for f in whole.findings]
    return whole


@pytest.mark.parametrize(
    ("columns", "code", "severity"),
    [
        ({"patients": [*"abcc"], "labels": [0, 1, 0, 1]}, "duplicate-labels", Severity.ERROR),
        (
            {"patients": [*"abcd"], "labels": [0, 1, 0, 0], "split": ["test"] * 3 + ["train"]},
            "duplicate-leak",
            Severity.ERROR,
        ),
        ({"patients": [*"abcd"], "labels": [0, 1, 0, 0]}, "duplicate-patients", Severity.WARNING),
        ({"patients": [*"abcc"], "labels": [0, 1, 0, 0]}, "duplicate", Severity.WARNING),
    ],
)
def test_identical_pixels_are_found_and_weighed(
    tmp_path: Path, columns: dict[str, list[object]], code: str, severity: Severity
) -> None:
    found = [f for f in twins(tmp_path / "c", **columns).findings if f.code.startswith("duplicate")]
    assert [(f.code, f.severity) for f in found] == [(code, severity)]
    assert "1 group of images with identical pixels" in found[0].message
    assert "i002 = i003" in found[0].message


def test_identical_pixels_are_found_however_they_are_encoded(folder: Path) -> None:
    pixels = np.asarray(Image.open(folder / "rois/benign/i000.png"))
    Image.fromarray(pixels).save(folder / "rois/benign/i001.png", compress_level=0)
    assert "i000 = i001" in messages(check_cohort(folder))["duplicate"]


def test_flat_and_unscaled_images_are_told(folder: Path) -> None:
    (folder / "rois/benign/i000.png").write_bytes(encode_png(np.full((512, 512), 9, dtype=np.uint16)))
    (folder / "rois/benign/i001.png").write_bytes(encode_png(picture() >> 4))
    found = messages(check_cohort(folder))
    assert found["flat-image"] == "1 image of one grey value only: i000"
    assert found["grey-range"].startswith("1 of 12 images use only values up to 4095 of 65535")


# ---------------------------------------------------------------------------------------------- never raises


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    audit = check_cohort(tmp_path / "none")
    assert [f.code for f in audit.findings] == ["no-folder"]
    assert (audit.images, audit.patients, len(audit.by_class)) == (0, 0, 0)


def test_a_folder_without_a_cohort_is_an_error(tmp_path: Path) -> None:
    assert [f.code for f in check_cohort(tmp_path).findings] == ["unreadable", "unreadable"]


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        '{"schema": 1}',
        '{"schema": 1, "sha256": 5, "verdicts": {}}',
        '{"schema": 1, "sha256": {"images": [], "attachments": ["a"], "cohort.csv": {}}, "verdicts": [1, null]}',
        '{"schema": 1, "sha256": {"images": {"i000": 5}, "attachments": {"../../x": 1, "\\u0000": 2, "rois": 3}}}',
    ],
)
def test_a_scrambled_record_never_raises(folder: Path, record: str) -> None:
    (folder / "cohort.json").write_text(record)
    audit = check_cohort(folder)
    assert audit.images == 12
    assert audit.findings


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_to_a_cohort_the_audit_reports(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cohort(tmp_path / "c", table([f"p{k}" for k in range(6)], [0, 1] * 3))
    files = sorted(p for p in (tmp_path / "c").rglob("*") if p.is_file())
    for path in rng.choice(np.array(files, dtype=object), 3, replace=False):
        content = bytearray(path.read_bytes())
        match rng.integers(4):
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(content[: rng.integers(len(content))])
            case 2:
                for at in rng.integers(len(content), size=5):
                    content[at] = rng.integers(256)
                path.write_bytes(content)
            case 3:
                path.unlink()
                path.mkdir()
    audit = check_cohort(tmp_path / "c")
    assert audit.has_errors or audit.of(Severity.WARNING)


def test_progress_is_told_for_each_image(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    check_cohort(folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(k, 12) for k in range(1, 13)]
