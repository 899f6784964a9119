"""Decoding an uploaded file once, in a process of its own, into what the page and the networks use.

A codec is foreign code and an upload may be made to break it: the process has a limit of memory and of time, and its
death costs one file, not the server. The greys are those of `microcalc.intake.dicom`, as 16-bit numbers: the page
draws and the networks read the same ones.
"""

import math
import queue
import sys
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from microcalc.cohort.storage import atomic_path
from microcalc.intake.dicom import Facts, Mammogram, Note, NoteCode, Refusal, Verdict, read_mammogram
from microcalc.intake.dicom.greys import GreyScale
from microcalc.vocabulary import ViewModifier

__all__ = ["Decoded", "Decoder", "facts_of", "mammogram_of", "notes_of"]

WHITE = 65535
"""Number of the grey 1.0."""

BLOCK_ROWS = 256
"""Rows that are worked on at once."""

FASTEST = 1
"""Level of gzip: higher ones cost the first sight of an image more than their fewer bytes save."""

GZIP_WINDOW = 31
"""Tells zlib to write gzip's head and tail."""

THUMBNAIL_SIDE = 256

MEMORY_BYTES = 6 << 30
"""Address space of a decoding process; a mammogram of 100 million pixels needs about a third."""

SECONDS = 120.0
"""After which a file is given up."""


@dataclass(frozen=True)
class Decoded:
    """What became of a file.

    Attributes:
        accepted: there are pixels.
        code: verdict.
        message: in words; empty where it was accepted.
        facts: of the header, for `facts_of`.
        notes: code and message of each.
    """

    accepted: bool
    code: str
    message: str
    facts: Mapping[str, object]
    notes: tuple[tuple[str, str], ...] = ()


def decode(source: Path, stem: Path) -> Decoded:
    """Read a file and write its pixels beside ``stem``: ``.u16``, ``.u16.gz`` and ``.png``.

    Raises:
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    answer = read_mammogram(source)
    facts = facts_record(answer.facts)
    notes = tuple((note.code.value, note.message) for note in answer.notes)
    if isinstance(answer, Refusal):
        return Decoded(False, answer.code.value, answer.message.replace(str(source), "the file"), facts, notes)
    stem.parent.mkdir(exist_ok=True, mode=0o700)
    _write_thumbnail(answer, stem.with_suffix(".png"))
    _write_pixels(answer, stem)
    return Decoded(True, Verdict.ACCEPTED.value, "", facts, notes)


def _write_pixels(mammogram: Mammogram, stem: Path) -> None:
    rows = mammogram.stored.shape[0]
    packer = zlib.compressobj(FASTEST, zlib.DEFLATED, GZIP_WINDOW)
    with (
        atomic_path(stem.with_suffix(".u16")) as plain,
        atomic_path(stem.with_suffix(".u16.gz")) as packed,
        plain.open("wb") as plain_file,
        packed.open("wb") as packed_file,
    ):
        for row in range(0, rows, BLOCK_ROWS):
            greys = mammogram.grey(slice(row, min(row + BLOCK_ROWS, rows)), slice(None))
            part = np.rint(greys * np.float32(WHITE)).astype("<u2").tobytes()
            plain_file.write(part)
            packed_file.write(packer.compress(part))
        packed_file.write(packer.flush())


def _write_thumbnail(mammogram: Mammogram, path: Path) -> None:
    step = max(1, max(mammogram.stored.shape) // (4 * THUMBNAIL_SIDE))
    stored = mammogram.stored[::step, ::step]
    greys = mammogram.greys.apply(stored) if mammogram.greys is not None else mammogram.pixels[::step, ::step]
    picture = Image.fromarray(np.rint(greys * 255).astype(np.uint8))
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")


def mammogram_of(stem: Path, facts: Facts, notes: tuple[Note, ...]) -> Mammogram:
    """The mammogram as the page shows it, mapped from its decoded pixels."""
    stored: NDArray[np.uint16] = np.memmap(
        stem.with_suffix(".u16"), dtype="<u2", mode="r", shape=(facts.rows, facts.columns)
    )
    return Mammogram(stored=stored, facts=facts, notes=notes, greys=GreyScale(slope=1 / WHITE))


# ---------------------------------------------------------------------------------------------- records


def facts_record(facts: Facts) -> dict[str, object]:
    """Facts as JSON can hold them; unknown numbers are None. The path is left out."""
    return {f.name: _plain(getattr(facts, f.name)) for f in fields(facts) if f.name != "path"}


def facts_of(record: Mapping[str, object]) -> Facts:
    """Facts from their record; those of an older version may lack some."""
    known = {f.name: record[f.name] for f in fields(Facts) if f.name in record and f.name != "path"}
    for name in ("pixel_spacing_mm", "magnification"):
        known[name] = math.nan if known.get(name) is None else known[name]
    modifiers = known.get("view_modifiers")
    known["view_modifiers"] = tuple(map(ViewModifier, modifiers)) if isinstance(modifiers, list) else ()
    padding = known.get("padding")
    known["padding"] = tuple(padding) if isinstance(padding, list) else None
    return Facts(**known)  # type: ignore[arg-type]


def notes_of(record: object) -> tuple[Note, ...]:
    """Notes from ``[[code, message], …]``."""
    return tuple(Note(NoteCode(code), message) for code, message in record) if isinstance(record, list) else ()


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, str) else value


# ---------------------------------------------------------------------------------------------- processes


class Decoder:
    """So many processes that decode one file each at a time; ``processes=0`` decodes here, unguarded.

    Args:
        processes: started by `warm`, or when the first file comes.
        seconds: for one file.
    """

    def __init__(self, processes: int, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._here = processes == 0
        self._free: queue.Queue[_Worker] = queue.Queue()
        self._workers = [_Worker() for _ in range(processes)]
        for worker in self._workers:
            self._free.put(worker)

    def decode(self, source: Path, stem: Path) -> Decoded:
        """Decode a file; waits while all processes are busy. See `decode`."""
        if self._here:
            return decode(source, stem)
        worker = self._free.get()
        try:
            return worker.ask(source, stem, self._seconds)
        finally:
            self._free.put(worker)

    def warm(self) -> None:
        """Start the processes now, so that the first file need not wait for it."""
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()


class _Worker:
    """A process that is started anew when it has died."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._starting = threading.Lock()

    def ask(self, source: Path, stem: Path, seconds: float) -> Decoded:
        """Have a file decoded."""
        self.start()
        if self._pipe is None:
            raise RuntimeError("a process that was started has a pipe")
        try:
            self._pipe.send((source, stem))
            if not self._pipe.poll(seconds):
                return self._lost(f"the file must be decoded within {seconds:g} s; it was not")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            return self._lost("the file must be decodable; the process that read it died")
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, Decoded):
            raise TypeError(f"a decoding process answers with Decoded, not {type(answer).__name__}")
        return answer

    def start(self) -> None:
        """Start the process unless it runs."""
        with self._starting:
            if self._process is None or not self._process.is_alive():
                self._start()

    def _start(self) -> None:
        # Started anew rather than forked: a fork of a process with threads may hang.
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True, name="microcalc decode")
        self._process.start()
        theirs.close()

    def _lost(self, message: str) -> Decoded:
        self.end()
        return Decoded(False, Verdict.READER_DIED.value, f"{message}. Look at it with another program", {})

    def end(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _serve(pipe: Connection) -> None:
    """What a process does: decode what it is sent until the pipe ends."""
    _bound_memory()
    while True:
        try:
            source, stem = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(decode(source, stem))
        except MemoryError:
            words = "the file must be decodable in the memory of a decoding process; it needs more"
            pipe.send(Decoded(False, Verdict.TOO_LARGE.value, words, {}))
        except Exception as error:  # noqa: BLE001 -- goes on to whoever asked
            pipe.send(error)


def _bound_memory() -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 -- there is none on other systems

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
