"""Safe writing: whole or not at all, one process at a time, and a plain word when the disk is full.

Here are atomic files, file hashes and the memory-mapped arrays that a cohort caches. What the arrays hold is said by
the caller.
"""

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import DTypeLike

from microcalc.errors import MicrocalcError

__all__ = ["atomic_path", "cached_array", "explained_write_errors", "sha256_of_file", "write_atomically"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNWRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
)
_ZEROS = bytes(1 << 20)


@contextmanager
def explained_write_errors(target: Path, *, way_out: str) -> Iterator[None]:
    """Turn a full disk, or a folder that cannot be written, into an error that says so.

    Args:
        target: what is being written.
        way_out: what to do where the folder cannot be written.

    Raises:
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise MicrocalcError(
                f"{target}: the disk is full ({error.strerror}); nothing half-written is left. "
                "Free some space and start again"
            ) from error
        if error.errno in _UNWRITABLE:
            raise MicrocalcError(f"{target}: cannot be written ({error.strerror}); {way_out}") from error
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; see `atomic_path`.

    Raises:
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name to write to; then it is forced to the disk and renamed: readers see the old file or the new one.

    Args:
        path: what the file shall be called in the end.

    Raises:
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    # Named after process and thread: two that write the same file do not take each other's half.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        with explained_write_errors(path, way_out="choose a folder that you may write to"):
            yield temporary
            _force_to_disk(temporary)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _force_to_disk(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_array(
    folder: Path, key: str, shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[np.ndarray], None]
) -> np.memmap:
    """Array on disk that is built once and then only mapped, by however many processes.

    The file is ``folder/KEY.npy``. The first process builds it under a temporary name while the others wait, and
    renames it when it is whole. A process that is killed leaves only the temporary file, which the next one removes.
    When a new array is built, those of the same prefix (the key up to its last ``-``) are removed.

    Args:
        folder: made if it is not there.
        key: ``prefix-hash``: the hash must change with whatever the array depends on.
        shape: of the array, at least one element.
        dtype: of the array.
        fill: writes the content into the array of zeros that it is given.

    Returns:
        The array, mapped read-only.

    Raises:
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    path = folder / f"{key}.npy"
    found = _open_cached(path, shape, dtype)
    if found is not None:
        return found
    prefix = key.rpartition("-")[0] or key
    with explained_write_errors(path, way_out="give another folder for the cache (--cache DIR)"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{prefix}.lock"):
            found = _open_cached(path, shape, dtype)
            if found is not None:
                return found
            _remove(folder.glob(f".{prefix}-*.partial"))
            _build(path, shape, dtype, fill)
            _remove(p for p in folder.glob(f"{prefix}-*.npy") if p != path and p.stem.rpartition("-")[0] == prefix)
            built = _open_cached(path, shape, dtype)
    if built is None:
        raise MicrocalcError(f"{path}: the cache was removed while it was being opened; start again")
    return built


def _open_cached(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap | None:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if isinstance(array, np.memmap) and array.shape == shape and array.dtype == np.dtype(dtype):
        return array
    return None


def _build(path: Path, shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[np.ndarray], None]) -> None:
    temporary = path.with_name(f".{path.stem}.partial")
    try:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.dtype(dtype), shape=shape)
        try:
            _allocate(temporary)
            fill(array)
            array.flush()
        finally:
            del array  # unmapped before it is renamed or removed, as Windows wants it
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _allocate(path: Path) -> None:
    """Give the sparse file its blocks now: writing to a mapped page on a full disk would kill the process (SIGBUS)."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        # Elsewhere blocks come by writing; the header at the front stays as it is.
        file.seek(min(size, 4096))
        while file.tell() < size:
            file.write(_ZEROS[: size - file.tell()])
        file.flush()
        os.fsync(file.fileno())


def _remove(paths: Iterator[Path]) -> None:
    for path in list(paths):
        with suppress(OSError):
            path.unlink(missing_ok=True)
