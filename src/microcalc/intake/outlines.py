"""Outlines of lesions as OsiriX property lists (XML), as INbreast has them; and groups of single calcifications.

Points stand as "(column, row)" in pixels; here they become rows and columns.
"""

import plistlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
from numpy.typing import NDArray

from microcalc.errors import InputError
from microcalc.intake.crop import Box
from microcalc.intake.terms import plain

__all__ = ["Outline", "box_around", "group_points", "read_outlines"]


@dataclass(frozen=True, eq=False)
class Outline:
    """One outline.

    Attributes:
        name: as drawn: Calcification, Cluster, Mass, ...
        points: (n, 2) rows and columns.
    """

    name: str
    points: NDArray[np.float64]

    @property
    def is_cluster(self) -> bool:
        """Whether it is drawn around a cluster of calcifications."""
        return plain(self.name).startswith("cluster")

    @property
    def is_calcification(self) -> bool:
        """Whether it is one calcification."""
        return plain(self.name).startswith("calcif")

    @property
    def is_mass(self) -> bool:
        """Whether it is a mass, or the spicules of one."""
        return plain(self.name).startswith(("mass", "spiculated", "espiculated"))  # the collection's own spelling


def read_outlines(path: Path) -> tuple[Outline, ...]:
    """Read the outlines of a property list.

    Raises:
        InputError: it is no such list.
    """
    try:
        with path.open("rb") as file:
            content = plistlib.load(file, fmt=plistlib.FMT_XML)
        return tuple(
            Outline(str(roi["Name"]).strip(), np.array([_point(text) for text in roi["Point_px"]]))
            for image in content["Images"]
            for roi in image["ROIs"]
            if roi["Point_px"]
        )
    except (OSError, ValueError, KeyError, TypeError, ExpatError, plistlib.InvalidFileException) as error:
        raise InputError(
            f"{path}: outlines must be a property list of OsiriX (Images, ROIs, Name, Point_px); "
            f"{type(error).__name__}: {error}"
        ) from error


def box_around(points: NDArray[np.float64]) -> Box:
    """The box around (n, 2) rows and columns."""
    (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0)
    return Box(float(top), float(left), float(bottom), float(right))


def group_points(points: NDArray[np.float64], reach: float) -> list[NDArray[np.intp]]:
    """Groups of points in which each is within reach of another, the largest first.

    Args:
        points: (n, 2).
        reach: distance between neighbours, in the same unit.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415  (half a second that only this needs)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415
    from scipy.spatial import cKDTree  # noqa: PLC0415

    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    count, group = connected_components(graph, directed=False)
    groups = [np.flatnonzero(group == number) for number in range(count)]
    return sorted(groups, key=lambda members: (-len(members), int(members[0])))


def _point(text: object) -> Sequence[float]:
    """Row and column of "(column, row)"."""
    column, row = (float(part) for part in str(text).strip("() ").split(","))
    return row, column
