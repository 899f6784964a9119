"""Processes that read DICOM start light: they are started anew, many at once, and pay for every import."""

import subprocess
import sys

import pytest

import microcalc.cohort
import microcalc.intake


@pytest.mark.parametrize(
    "module", ["microcalc.intake.dicom.files", "microcalc.intake.image_files", "microcalc.intake.lesions"]
)
def test_a_process_that_reads_mammograms_starts_without_pandas(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'pandas', 'pydantic', 'torch'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", [microcalc.cohort, microcalc.intake])
def test_a_name_that_a_package_lacks_is_said_so(package) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018
    assert set(package._HOMES) == set(package.__all__)
