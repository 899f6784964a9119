"""Checks of what stands on two sides of the split, or twice: patients, studies, source images, lesions, pictures.

A leak is judged by the table's own ``split`` where it is filled; where it is not, what could come to stand on two
sides is told. How alike two pictures are is worked out in `microcalc.cohort.likeness`.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from microcalc.cohort.evidence import Evidence
from microcalc.cohort.findings import Finding, count, error, note, some, warning
from microcalc.cohort.likeness import ALIKE, alignment, candidates, fingerprint
from microcalc.cohort.splits import patients_on_two_sides

__all__ = ["LEAK_CHECKS"]


def _patients(evidence: Evidence) -> Iterator[Finding]:
    leaking = patients_on_two_sides(evidence.table["patient_id"], evidence.table["split"])
    if leaking:
        yield error(
            "leak",
            f"the split column puts {count(leaking, 'patient')} on two sides: {some(leaking)}. Change it, or empty "
            "it and let microcalc split by patient; split.by: image accepts the leak",
        )


def _studies(evidence: Evidence) -> Iterator[Finding]:
    """A study under two patient IDs: the same exam, so both may be one patient."""
    yield from _shared(evidence, evidence.fact("study"), ("study", "studies"), "leak-study", "study-patients")


def _sources(evidence: Evidence) -> Iterator[Finding]:
    yield from _shared(
        evidence, evidence.table["source_uid"], ("source image", "source images"), "leak-source", "source-patients"
    )


def _shared(evidence: Evidence, of: pd.Series, nouns: tuple[str, str], leak: str, patients: str) -> Iterator[Finding]:
    """What is of one exam: found on two sides, or under two patients."""
    rows = evidence.table.assign(thing=of)[of != ""]
    leaking = patients_on_two_sides(rows["thing"], rows["split"])
    if leaking:
        noun = nouns[len(leaking) > 1]
        yield error(
            leak,
            f"the split column puts {len(leaking)} {noun} on two sides: {some(leaking)}. Change it, or empty it and "
            "let microcalc split by patient",
        )
    holders = rows.groupby("thing")["patient_id"].nunique()
    several = [str(thing) for thing in holders.index[holders > 1]]
    if several:
        noun = nouns[len(several) > 1]
        yield error(
            patients,
            f"{len(several)} {noun} of two patients: {some(several)}. They may be one patient under two IDs, whom a "
            "split by patient would put on two sides; give all rows of a patient one ID",
        )


def _lesions(evidence: Evidence) -> Iterator[Finding]:
    named = evidence.table[evidence.table["lesion_id"] != ""]
    by_lesion = named.groupby(["patient_id", "lesion_id"])
    labels = by_lesion["label"].nunique()
    twice = [f"{lesion} of patient {patient}" for patient, lesion in labels.index[labels > 1]]
    if twice:
        yield error("lesion-labels", f"a lesion must have one label; {count(twice, 'lesion')} with two: {some(twice)}")
    sides = named[named["laterality"] != ""].groupby(["patient_id", "lesion_id"])["laterality"].nunique()
    both = [f"{lesion} of patient {patient}" for patient, lesion in sides.index[sides > 1]]
    if both:
        yield error("lesion-sides", f"a lesion must lie in one breast; {count(both, 'lesion')} in both: {some(both)}")


# ---------------------------------------------------------------------------------------------- pictures


def _identical(evidence: Evidence) -> Iterator[Finding]:
    """Identical pixels under several names; where images were not read, identical files by their recorded hashes."""
    prints = {n: c.pixels for n, c in evidence.contents.items() if c.pixels} or evidence.hashes("images")
    rows = evidence.table.drop_duplicates("image_id")
    rows = rows[rows["image_id"].isin(list(evidence.expected))]
    rows = rows.assign(group=[str(prints.get(str(n), n)) for n in rows["image_id"]])
    yield from _twins(rows[rows.duplicated("group", keep=False)], near=False)


def _alike(evidence: Evidence) -> Iterator[Finding]:
    """The same picture with another window, scale, coding or a shifted square."""
    rows = evidence.table.drop_duplicates("image_id")
    small = {
        n: c.thumbnail for n, c in evidence.contents.items() if c.thumbnail is not None and c.darkest < c.brightest
    }
    names = [str(n) for n in rows["image_id"] if str(n) in small]
    if len(names) < 2:
        return
    prints = np.stack([fingerprint(small[n]) for n in names])
    pixels = [evidence.contents[n].pixels for n in names]
    family = list(range(len(names)))
    for i, j in candidates(prints):
        if _root(family, i) != _root(family, j) and (
            pixels[i] == pixels[j] or alignment(small[names[i]], small[names[j]]) >= ALIKE
        ):
            family[_root(family, j)] = _root(family, i)
    group = dict(zip(names, (_root(family, k) for k in range(len(names))), strict=True))
    rows = rows[rows["image_id"].isin(names)]
    rows = rows.assign(
        group=[group[str(n)] for n in rows["image_id"]],
        pixels=rows["image_id"].map(dict(zip(names, pixels, strict=True))),
    )
    several = rows.groupby("group")["pixels"].transform("nunique") > 1  # identical pixels are told elsewhere
    for finding in _twins(rows[several], near=True):
        if evidence.record.get("synthetic") is True:
            yield note(finding.code, f"{finding.message}. The images are made up, some perhaps on the same tissue")
        else:
            yield finding


def _root(family: list[int], member: int) -> int:
    while family[member] != member:
        family[member] = family[family[member]]
        member = family[member]
    return member


def _twins(rows: pd.DataFrame, *, near: bool) -> Iterator[Finding]:
    """Findings on groups of images that show the same, each group under the worst that it means."""
    names = rows.groupby("group", sort=False)["image_id"].agg(" = ".join)
    left = set(names.index)
    for kind in ("label", "split", "patient_id", ""):
        facts = rows[["group", kind]].drop_duplicates() if kind else rows
        differing = left & set(facts.loc[facts.duplicated("group"), "group"])
        left -= differing
        if differing:
            yield _twin_finding(kind, names[[g in differing for g in names.index]].tolist(), near=near)


def _twin_finding(differing: str, groups: list[str], *, near: bool) -> Finding:
    prefix = "near-" if near else ""
    alike = "that show the same (but for window, scale, coding or a shift)" if near else "with identical pixels"
    start = f"{count(groups, 'group')} of images {alike}"
    if differing == "label":
        return error(
            f"{prefix}duplicate-labels",
            f"{start} and different labels: {some(groups)}. Find out which label is right, and keep one of each group",
        )
    if differing == "split":
        return error(
            f"{prefix}duplicate-leak",
            f"{start} on two sides of the split: {some(groups)}. Keep one of each group, or give them one patient_id",
        )
    if differing == "patient_id":
        return warning(
            f"{prefix}duplicate-patients", f"{start} and different patients: {some(groups)}; sets may share them"
        )
    return warning(f"{prefix}duplicate", f"{start}: {some(groups)}")


LEAK_CHECKS = (_patients, _studies, _sources, _lesions, _identical, _alike)
"""In the order of the report."""
