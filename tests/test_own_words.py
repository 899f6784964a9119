"""Words that microcalc itself writes into cohort.json are known to the privacy check, and only there no finding."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import microcalc
from cohort_samples import picture
from dicom_folders import exam, sheet
from microcalc.cohort import CohortWriter, Verdict, check_cohort
from microcalc.cohort.disclosure import privacy_checks
from microcalc.cohort.own_words import OWN_WORDS, is_own_prose
from microcalc.cohort.search import WantedText
from microcalc.intake.identifiers import collect_texts

SOURCE = Path(microcalc.__file__).parent
MODULES = (
    *(SOURCE / "intake/dicom").glob("[!_]*.py"),
    *(SOURCE / "intake" / f"{name}.py" for name in (
        "cbis_ddsm", "cmmd", "crop", "embed", "from_dicom", "harvest", "inbreast", "joining", "labels", "lesions",
        "masks", "naming", "rules",
    )),
    SOURCE / "cohort/writer.py",
    SOURCE / "__init__.py",
)  # fmt: skip
"""Where what stands in the record is written."""


def prose(path: Path) -> Iterator[str]:
    """Every text of a module that may be read by people: no docstrings, no citations, no keywords of DICOM."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "CITATION":
            left |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left:
            yield node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_word_that_is_written_into_a_record_is_known(path: Path) -> None:
    words = {
        word.casefold()
        for text in prose(path)
        if " " in text or re.fullmatch("[a-z_-]+", text)
        for word in re.findall(r"(?<![A-Za-z])[a-z]{4,}(?![A-Za-z])|(?:^|(?<=[.:;] ))[A-Z][a-z]{3,}(?![A-Za-z])", text)
    }
    assert sorted(words - OWN_WORDS) == [], "add these to cohort/own_words.py"


def test_own_prose_is_told_from_names() -> None:
    for text in ("TEXT", "mass with the calcifications"):
        assert is_own_prose(text)
    for text in ("Müller", "text 4711", ""):
        assert not is_own_prose(text)


@pytest.mark.parametrize(
    ("text", "is_name", "passed_over"),
    [("TEXT", False, True), ("Looks Like", True, False), ("Zwillinger", False, False), ("HOLOGIC", False, False)],
)
def test_own_words_are_passed_over_in_the_record_and_counted(
    tmp_path: Path, text: str, is_name: bool, passed_over: bool
) -> None:
    with CohortWriter(tmp_path / "cohort", sources=[{"kind": "dicom"}]) as writer:
        for label in (0, 1):
            writer.add({"image_id": f"L_CC_{label}", "patient_id": f"P{label:016x}", "label": label}, picture(label))
        writer.reject(Verdict("mammograms", True, "film", "it looks like text, of Zwillinger, of HOLOGIC"))
    wanted = [WantedText(text, "an element", is_name=is_name)]
    findings = check_cohort(tmp_path / "cohort", contents=False, more=privacy_checks(wanted)).findings
    assert ("privacy-source" not in {f.code for f in findings}) is passed_over
    told = next(f.message for f in findings if f.code == "privacy-searched")
    assert ("1 passed over in cohort.json" in told) is passed_over


def test_an_own_word_outside_the_record_is_a_finding(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "cohort", sources=[{"kind": "dicom"}]) as writer:
        for label in (0, 1):
            row = {"image_id": f"L_CC_{label}", "patient_id": f"P{label:016x}", "label": label, "site": "Window"}
            writer.add(row, picture(label))
    wanted = [WantedText("Window", "a name")]
    findings = check_cohort(tmp_path / "cohort", contents=False, more=privacy_checks(wanted)).findings
    assert "privacy-source" in {f.code for f in findings}


def test_the_maker_in_the_spreadsheet_is_no_disclosure(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")
    exam(tmp_path / "dicom", "Zwillinger", "20180305", Manufacturer="HOLOGIC")
    labels = sheet(tmp_path / "results.csv", "device,remark", "HOLOGIC,Zwillinger")
    wanted = {text.text for text in collect_texts([tmp_path / "dicom", labels]).wanted}
    assert "Zwillinger" in wanted
    assert "HOLOGIC" not in wanted


@pytest.mark.parametrize(
    ("source", "message", "shows"),
    [
        ("film", "mark the lesion on the page", False),
        ("film", "Mark the lesion on the page", False),
        ("Mark", "it looks like text", True),
        ("mark.dcm", "it looks like text", True),
        ("film", "it looks like Mark", True),
        ("film", "it looks like MARK", True),
    ],
)
def test_a_surname_that_is_also_a_word_shows_where_it_stands_as_a_surname(
    tmp_path: Path, source: str, message: str, shows: bool
) -> None:
    pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")
    exam(tmp_path / "dicom", "Mark^Zwillinger", "20180305")
    with CohortWriter(tmp_path / "cohort", sources=[{"kind": "dicom"}]) as writer:
        for label in (0, 1):
            writer.add({"image_id": f"L_CC_{label}", "patient_id": f"P{label:016x}", "label": label}, picture(label))
        writer.reject(Verdict(source, True, "film", message))
    wanted = [text for text in collect_texts([tmp_path / "dicom"]).wanted if text.text == "Mark"]
    assert len(wanted) == 1
    findings = check_cohort(tmp_path / "cohort", contents=False, more=privacy_checks(wanted)).findings
    assert ("privacy-source" in {f.code for f in findings}) is shows


def test_a_patient_named_like_a_device_is_still_looked_for(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")
    exam(tmp_path / "dicom", "Aurora^Zwillinger", "20180305", ManufacturerModelName="Aurora")
    assert "Aurora" in {text.text for text in collect_texts([tmp_path / "dicom"]).wanted}
