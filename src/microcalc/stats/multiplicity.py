"""Many tests at once: Holm's correction.

Source: Holm, Scand J Stat 6:65 (1979).
"""

import numpy as np
from numpy.typing import ArrayLike

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import FloatArray

__all__ = ["holm"]


def holm(p: ArrayLike) -> FloatArray:
    """Adjust p values by Holm's step-down procedure.

    Args:
        p: (t,) raw p values; NaN marks a test that could not be made and does not count.

    Returns:
        (t,) adjusted p values, at most 1, in the order of the raw ones; NaN stays NaN.

    Raises:
        StatisticsError: a value outside [0, 1].

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p, dtype=np.float64)
    made = np.flatnonzero(~np.isnan(raw))
    if ((raw[made] < 0) | (raw[made] > 1)).any():
        raise StatisticsError(f"p values must lie between 0 and 1; {raw[made].min()} to {raw[made].max()} came")
    out = np.full(raw.shape, np.nan)
    order = made[np.argsort(raw[made], kind="stable")]
    factors = made.size - np.arange(made.size)
    out[order] = np.minimum(np.maximum.accumulate(raw[order] * factors), 1.0) if made.size else []
    return out
