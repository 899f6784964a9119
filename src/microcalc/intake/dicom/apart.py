"""Frames decoded in a process of their own (`microcalc.intake.dicom.apart_process`).

GDCM aborts its process on some damaged frames, and nobody can promise that it does not hang on others. The process is
started with the first frame and kept; when it dies or takes too long, the frame is turned down and the next one gets a
new process.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom import apart_process
from microcalc.intake.dicom.pixel_format import PixelFormat

__all__ = ["LONGEST_SECONDS", "decode_apart"]

LONGEST_SECONDS = 120.0
"""Time that one frame may take; the largest mammograms take about one second."""

_SCRIPT = Path(apart_process.__file__)


class _Helper:
    """The process, and the lock that lets one thread at a time speak with it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0

    def ask(self, request: apart_process.Request, frame: bytes) -> bytearray:
        """Values of a frame.

        Raises:
            ValueError: the frame cannot be decoded; the process has died of it or was ended.
        """
        with self.lock:
            process = self._started()
            timer = threading.Timer(LONGEST_SECONDS, process.kill)
            timer.start()
            try:
                words, values = _exchange(process, request, frame)
            except (OSError, EOFError) as error:
                self.end()
                raise ValueError("the process that decoded this frame died of it, or took too long") from error
            finally:
                timer.cancel()
        if words:
            raise ValueError(words)
        return values

    def _started(self) -> subprocess.Popen[bytes]:
        """The running process, or a new one; that of a process which this one was forked from is left alone."""
        if self.process is None or self.owner != os.getpid() or self.process.poll() is not None:
            # -P: the folder of the script holds modules with names of the standard library.
            command = [sys.executable, "-P", str(_SCRIPT)]
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(  # noqa: S603 - our own script
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
            )
            self.owner = os.getpid()
        return self.process

    def end(self) -> None:
        """Let the process go."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate()


def _exchange(
    process: subprocess.Popen[bytes], request: apart_process.Request, frame: bytes
) -> tuple[str, bytearray]:  # fmt: skip
    """Send a request and read its answer: what went wrong in words, and the values.

    Raises:
        OSError, EOFError: the process is gone.
    """
    requests, answers = cast("IO[bytes]", process.stdin), cast(BufferedReader, process.stdout)
    requests.write(json.dumps(request).encode() + b"\n")
    requests.write(frame)
    requests.flush()
    line = answers.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer: apart_process.Answer = json.loads(line)
    values = bytearray(answer["length"])
    if answers.readinto(values) != len(values):
        raise EOFError
    return answer["words"], values


_helper = _Helper()
atexit.register(_helper.end)


def decode_apart(frame: bytes, form: PixelFormat, syntax: str) -> NDArray[np.integer]:
    """Decode a frame.

    Args:
        frame: a codestream that pydicom or GDCM decodes.
        form: what the header says of it.
        syntax: UID of the transfer syntax.

    Returns:
        (rows, cols) of ``form.dtype``.

    Raises:
        ValueError: it cannot be decoded.
    """
    values = _helper.ask(
        {
            "syntax": syntax,
            "rows": form.rows,
            "columns": form.cols,
            "allocated": form.allocated,
            "stored": form.stored,
            "signed": int(form.signed),
            "length": len(frame),
        },
        frame,
    )
    if len(values) != form.bytes:
        raise ValueError(f"the codec gave {len(values)} bytes; the header asks for {form.bytes}")
    return np.frombuffer(values, form.dtype.newbyteorder("<")).reshape(form.rows, form.cols)
