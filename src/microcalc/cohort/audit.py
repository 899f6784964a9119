"""The audit of a cohort folder: what it holds and what is wrong with it. It reports; it never raises, never repairs.

Reading lives in `microcalc.cohort.evidence`, the single checks in `microcalc.cohort.checks`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.cohort.checks import CHECKS
from microcalc.cohort.confounding import Confounder
from microcalc.cohort.evidence import Check, gather_evidence, guarded
from microcalc.cohort.findings import Finding, Severity
from microcalc.cohort.writer import CLASS_FOLDERS
from microcalc.vocabulary import BENIGN, MALIGNANT, Split

__all__ = ["NONE", "Audit", "Finding", "Severity", "check_cohort", "count_by"]

NONE = "(none)"
"""Row of a count for images without a split or view."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What a cohort holds and what is wrong with it.

    Attributes:
        folder: the cohort folder.
        findings: errors first, then warnings, then notes.
        images: rows of the table.
        patients: different patients.
        by_split: one row per set, columns images, patients, benign, malignant.
        by_class: one row per class, the same columns.
        by_view: one row per view, the same columns.
        confounders: how well things that are no disease tell the label.
    """

    folder: Path
    findings: tuple[Finding, ...]
    images: int
    patients: int
    by_split: pd.DataFrame
    by_class: pd.DataFrame
    by_view: pd.DataFrame
    confounders: tuple[Confounder, ...] = ()

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Findings of one severity."""
        return tuple(f for f in self.findings if f.severity == severity)

    @property
    def has_errors(self) -> bool:
        """Whether the cohort should not be used as it is."""
        return bool(self.of(Severity.ERROR))

    def as_record(self) -> dict[str, object]:
        """All of it, for JSON."""
        return {
            "cohort": self.folder.name,
            "images": self.images,
            "patients": self.patients,
            "by_split": self.by_split.to_dict(orient="index"),
            "by_class": self.by_class.to_dict(orient="index"),
            "by_view": self.by_view.to_dict(orient="index"),
            "confounders": [asdict(thing) for thing in self.confounders],
            "findings": [{"code": f.code, "severity": f.severity.value, "message": f.message} for f in self.findings],
        }


def check_cohort(
    folder: Path,
    *,
    contents: bool = True,
    progress: Callable[[int, int], None] | None = None,
    more: Iterable[Check] = (),
    split: Sequence[str] | None = None,
) -> Audit:
    """Check a cohort folder and count what it holds. Never raises on a bad cohort.

    Args:
        folder: the cohort.
        contents: read every image; False looks at the table, the record and the names of the files only.
        progress: called with the images done and all of them, while the images are read.
        more: further checks, such as those of `microcalc.cohort.disclosure`.
        split: set of each row, by which leaks are judged; None: the table's own.
    """
    evidence, findings = gather_evidence(folder, contents=contents, progress=progress)
    if split is not None and len(split) == len(evidence.table):
        evidence.table = evidence.table.assign(split=list(split))
    table = evidence.table if len(evidence.table) else _NO_ROWS
    if len(table):
        findings += [finding for check in (*CHECKS, *more) for finding in guarded(check, evidence)]
    findings.sort(key=lambda f: list(Severity).index(f.severity))
    known = table[table["label"].isin([BENIGN, MALIGNANT])]
    return Audit(
        folder=folder,
        findings=tuple(findings),
        images=len(table),
        patients=int(table["patient_id"].nunique()),
        by_split=count_by(known, known["split"], order=[s.value for s in Split]),
        by_class=count_by(known, known["label"].map(dict(enumerate(CLASS_FOLDERS))), order=list(CLASS_FOLDERS)),
        by_view=count_by(known, known["view"]),
        confounders=evidence.confounders,
    )


def count_by(table: pd.DataFrame, groups: pd.Series, *, order: Iterable[str] = ()) -> pd.DataFrame:
    """Images, patients, benign and malignant images of each group.

    Args:
        table: validated cohort table.
        groups: name of each row's group; "" is counted as ``NONE``.
        order: groups that come first, in this order; the others follow by name.
    """
    names = groups.astype(object).where(groups != "", NONE).to_numpy()
    wide = pd.DataFrame(
        {
            "images": table.groupby(names).size(),
            "patients": table.groupby(names)["patient_id"].nunique(),
            "benign": (table["label"] == BENIGN).groupby(names).sum(),
            "malignant": (table["label"] == MALIGNANT).groupby(names).sum(),
        }
    ).astype(np.int64)
    first = [name for name in order if name in wide.index]
    return wide.reindex([*first, *sorted(set(wide.index) - set(first))])


_NO_ROWS = pd.DataFrame({"patient_id": [], "label": [], "split": [], "view": []}).astype(
    {"patient_id": object, "label": np.int64, "split": object, "view": object}
)
