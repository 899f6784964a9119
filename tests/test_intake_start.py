"""Processes that read DICOM start light: they are started anew, many at once, and pay for every import."""

import platform
import resource
import subprocess
import sys

import numpy as np
import pytest

import microcalc.cohort
import microcalc.intake
from microcalc.intake.workers import in_processes


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


def fresh_pages(_number: int) -> int:
    """Pages that the system hands out for an image of 24 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones((3000, 4000), np.uint16)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_a_process_keeps_the_memory_of_its_last_image() -> None:
    pages = list(in_processes(fresh_pages, range(8), processes=2, died=lambda _: -1))
    assert 1 <= sum(new > 20 for new in pages) <= 2  # the first image of each process
