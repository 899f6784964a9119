"""Programs of Debian that the tests drive; absent ones skip a test plainly, or fail it where they are required.

``MICROCALC_REQUIRE_SERVICES=1`` (set by CI) turns an absent program into a failure.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRED = os.environ.get("MICROCALC_REQUIRE_SERVICES") == "1"
_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin")


def program(name: str, *, package: str) -> Path:
    """Path of a program; where it is absent the test is skipped, or fails if services are required."""
    found = shutil.which(name) or shutil.which(name, path=":".join(_PLACES))
    if found is None:
        absent(f"{name} is not installed (Debian package {package})")
    return Path(str(found))


def absent(why: str) -> None:
    """Skip the test, or fail it where services are required."""
    if REQUIRED:
        pytest.fail(f"services are required (MICROCALC_REQUIRE_SERVICES=1), but {why}")
    pytest.skip(why)


def dicom_errors(path: Path) -> list[str]:
    """What dicom3tools' dciodvfy calls an error in a DICOM file."""
    done = subprocess.run(
        [program("dciodvfy", package="dicom3tools"), "-new", path], capture_output=True, text=True, check=False
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def dumped_report(path: Path) -> str:
    """A structured report as dcmtk's dsrdump reads it, whole lines."""
    done = subprocess.run(
        [program("dsrdump", package="dcmtk"), "-q", "+Pl", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
