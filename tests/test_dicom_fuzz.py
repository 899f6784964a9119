"""Mutated files end no run: 500 each time, 20,000 where time is. In another process, so that its death is seen too."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutated_files_are_answered(count):
    script = Path(__file__).parent / "dicom_fuzz.py"
    done = subprocess.run(
        [sys.executable, script, "--count", str(count)], capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, *verdicts = done.stdout.splitlines()
    assert first.startswith(f"{count} mutations answered")
    assert sum(int(line.split()[0]) for line in verdicts) == count
    assert len(verdicts) >= 10  # the mutations reach many places
    assert any(line.split()[1] == "accepted" for line in verdicts)
