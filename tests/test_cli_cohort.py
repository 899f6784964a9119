"""The commands `microcalc cohort ...`: what they print, make and end with."""

import io
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cohort_samples import cohort, encode_sample, names_in, table
from microcalc import RESEARCH_USE
from microcalc.cli import cohort as commands
from microcalc.cli import meter
from microcalc.cli.console import errors_to
from microcalc.cohort import read_cohort
from microcalc.errors import CohortError, InputError, ProtocolError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands.app, [str(a) for a in arguments])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve images of six patients in the paper's layout."""
    for number in range(12):
        label = ("benign", "malignant")[number % 2]
        path = tmp_path / f"mine/{label}/P{number // 2}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_sample(number))
    return tmp_path / "mine"


def test_from_folders_says_what_it_does_what_it_found_and_what_it_made(source: Path, tmp_path: Path) -> None:
    out = run("from-folders", source, "--out", tmp_path / "c")
    assert out.exit_code == 0
    lines = out.output.splitlines()
    assert lines[0] == f"cohort from the folders benign and malignant in {source}, into {tmp_path / 'c'}"
    assert lines[1] == "12 images: 6 benign, 6 malignant; 12 patients"
    assert lines[2].startswith("warning: Patients are not known")
    made = lines.index("made:")
    assert RESEARCH_USE in lines[:made]
    assert lines[made + 1 :] == [
        *(f"  {tmp_path / 'c' / name}" for name in ("cohort.csv", "cohort.json", "rois")),
        "IDs, days and file names stand in it as you gave them: no pseudonyms (--key FILE makes them)",
        f"next: microcalc cohort check {tmp_path / 'c'}",
    ]
    assert all((tmp_path / "c" / name).exists() for name in ("cohort.csv", "cohort.json", "rois"))


def test_a_patient_pattern_groups_the_images(source: Path, tmp_path: Path) -> None:
    out = run("from-folders", source, "--out", tmp_path / "c", "--patient-pattern", r"(?P<patient>P\d+)_")
    assert "6 patients" in out.output
    assert "warning" not in out.output


def test_with_a_key_nothing_of_folders_and_file_names_is_left(source: Path, tmp_path: Path) -> None:
    for path in list(source.rglob("*.png")):
        path.rename(path.with_name(f"Zwillinger-{path.stem}_2018-03-0{int(path.stem[1]) + 1}.png"))
    (source / "benign/Zwillinger-P9_letter_2018-03-09.png").write_bytes(b"damaged")
    (source / "benign/Zwillinger-notes.txt").write_text("call her")
    pattern = r"(?P<patient>Zwillinger-P\d)_.*_(?P<date>.*)"
    words = ("--patient-pattern", pattern, "--skip-bad", "--key", tmp_path / "my.key")
    out = run("from-folders", source, "--out", tmp_path / "c", *words)
    assert out.exit_code == 0, out.exception
    assert "12 images: 6 benign, 6 malignant; 6 patients" in out.output
    assert f"{tmp_path / 'my.key'} leads back to the patients" in out.output
    everything = b"".join(p.read_bytes() for p in (tmp_path / "c").rglob("*") if p.is_file()).lower()
    assert b"zwillinger" not in everything + "".join(names_in(tmp_path / "c")).lower().encode()
    check = run("check", tmp_path / "c", "--quick", "--privacy", "--source", source)
    assert "error privacy" not in check.output, check.output
    assert read_cohort(tmp_path / "c").table["exam_date"][:6].is_monotonic_increasing


def test_a_table_gets_pseudonyms_by_a_key_too(source: Path, tmp_path: Path) -> None:
    rows = [f"{p.relative_to(source)},{p.stem},Zwillinger-{p.stem[:2]},{p.parent.name},North,2018-03-05"
            for p in sorted(source.rglob("*.png"))]  # fmt: skip
    (source / "t.csv").write_text("\n".join(["image_path,image_id,patient_id,label,site,exam_date", *rows]))
    out = run("from-table", source / "t.csv", "--out", tmp_path / "c", "--key", tmp_path / "my.key")
    assert out.exit_code == 0, out.exception
    check = run("check", tmp_path / "c", "--quick", "--privacy", "--source", source)
    assert "error privacy" not in check.output, check.output
    assert "error privacy" in run("check", cohort_without_key(source, tmp_path), "--quick", "--privacy").output


def cohort_without_key(source: Path, tmp_path: Path) -> Path:
    assert run("from-table", source / "t.csv", "--out", tmp_path / "bare").exit_code == 0
    return tmp_path / "bare"


def test_bad_images_end_the_command_with_their_error(source: Path, tmp_path: Path) -> None:
    (source / "benign/P0_0.png").write_bytes(b"")
    out = run("from-folders", source, "--out", tmp_path / "c")
    assert isinstance(out.exception, InputError)
    assert out.exception.exit_code == 2
    assert names_in(tmp_path) == ["mine"]


def test_bad_images_that_are_left_out_are_listed(source: Path, tmp_path: Path) -> None:
    (source / "benign/P0_0.png").write_bytes(b"")
    out = run("from-folders", source, "--out", tmp_path / "c", "--skip-bad")
    assert out.exit_code == 0
    assert "left out, 1:\n  benign/P0_0.png: an image must be a PNG, TIFF or JPEG file" in out.output


def test_names_of_files_may_hold_any_byte(source: Path, tmp_path: Path) -> None:
    benign = os.fsencode(source / "benign")
    try:
        (source / "benign/P0_0.png").rename(os.fsdecode(benign + b"/M\xfcller.png"))
        Path(os.fsdecode(benign + b"/M\xfcller_2.png")).write_bytes(b"damaged")
        Path(os.fsdecode(benign + b"/\xe4.txt")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system knows names of texts only")
    out = run("from-folders", source, "--out", tmp_path / "c", "--skip-bad")
    assert out.exit_code == 0, out.exception
    assert "benign/M?ller_2.png: an image must be" in out.output
    assert "M_ller" in set(read_cohort(tmp_path / "c").table["image_id"])
    assert run("check", tmp_path / "c", "--privacy", "--source", source).exit_code == 1


def test_fitted_images_are_counted(source: Path, tmp_path: Path) -> None:
    (source / "benign/P0_0.png").write_bytes(encode_sample(0, side=400))
    out = run("from-folders", source, "--out", tmp_path / "c", "--fit")
    assert "1 image was mirrored at the edges to reach 512 x 512 (column padded)" in out.output


def test_from_table_makes_a_cohort(source: Path, tmp_path: Path) -> None:
    files = sorted(source.rglob("*.png"))
    rows = [f"{p.relative_to(source)},{p.stem},{p.stem[:2]},{p.parent.name}" for p in files]
    (tmp_path / "t.csv").write_text("\n".join(["path,image_id,patient_id,label", *rows]))
    out = run("from-table", tmp_path / "t.csv", "--images", source, "--out", tmp_path / "c")
    assert out.exit_code == 0
    assert out.output.splitlines()[:2] == [
        f"cohort from the table {tmp_path / 't.csv'}, into {tmp_path / 'c'}",
        "12 images: 6 benign, 6 malignant; 6 patients",
    ]


def test_an_occupied_target_ends_with_its_error(source: Path, tmp_path: Path) -> None:
    run("from-folders", source, "--out", tmp_path / "c")
    assert isinstance(run("from-folders", source, "--out", tmp_path / "c").exception, CohortError)


def test_a_bad_pattern_ends_with_its_error(source: Path, tmp_path: Path) -> None:
    out = run("from-folders", source, "--out", tmp_path / "c", "--patient-pattern", "(")
    assert isinstance(out.exception, ProtocolError)


def test_check_shows_counts_and_ends_well(tmp_path: Path) -> None:
    cohort(tmp_path / "c", synthetic=True)
    out = run("check", tmp_path / "c")
    assert out.exit_code == 0
    assert "12 images of 12 patients" in out.output
    assert [line.split() for line in out.output.splitlines() if line.startswith(("class", "benign", "malignant"))] == [
        ["class", "images", "patients", "benign", "malignant"],
        ["benign", "6", "6", "6", "0"],
        ["malignant", "6", "6", "0", "6"],
    ]
    assert "note synthetic: the images of this cohort are made up" in out.output
    assert "errors: 0, warnings: 0; nothing is wrong with this cohort" in out.output
    assert out.output.splitlines()[-1] == RESEARCH_USE


def test_check_ends_with_one_where_there_are_errors(tmp_path: Path) -> None:
    cohort(tmp_path / "c").image_path("i000").unlink()
    out = run("check", tmp_path / "c")
    assert out.exit_code == 1
    assert "error missing-image: 1 image of the table missing: rois/benign/i000.png" in out.output
    assert "do not use this cohort before the errors are mended" in out.output


def test_check_writes_its_findings_as_json(tmp_path: Path) -> None:
    cohort(tmp_path / "c").image_path("i000").unlink()
    out = run("check", tmp_path / "c", "--json", tmp_path / "found.json")
    assert out.exit_code == 1
    assert out.output.endswith(f"made:\n  {tmp_path / 'found.json'}\n")
    assert json.loads((tmp_path / "found.json").read_text())["findings"][0]["code"] == "missing-image"


def test_check_shows_what_else_tells_the_label(tmp_path: Path) -> None:
    rows = table([f"p{k}" for k in range(40)], [0, 1] * 20, site=["North", "South"] * 20)
    out = run("check", cohort(tmp_path / "c", rows).folder, "--quick")
    assert out.exit_code == 1
    lines = [line.split() for line in out.output.splitlines()]
    head = lines.index(["groups", "AUC", "by", "chance", "p"])
    assert lines[head + 1][:3] == ["site", "2", "1.00"]
    assert lines[head + 1][-1] == "<0.001"


def test_check_of_nothing_is_an_error(tmp_path: Path) -> None:
    out = run("check", tmp_path / "none")
    assert out.exit_code == 1
    assert "error no-folder" in out.output


def test_a_quick_check_does_not_read_the_images(tmp_path: Path) -> None:
    cohort(tmp_path / "c").image_path("i000").write_bytes(b"")
    assert run("check", tmp_path / "c", "--quick").exit_code == 0
    assert run("check", tmp_path / "c").exit_code == 1


def test_a_log_gets_a_line_now_and_then(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_SECONDS_BETWEEN_LINES", -1.0)
    out = run("from-folders", source, "--out", tmp_path / "c")
    assert out.output.splitlines()[1:13] == [f"{k} of 12 images" for k in range(1, 13)]


def test_an_error_cannot_steer_the_terminal() -> None:
    stream = io.StringIO()
    errors_to(stream, "first\x1b[2J\0\nsecond")
    assert stream.getvalue() == "microcalc: first?[2J?\nsecond\n"
