"""Division of a cohort into train, validation and test: by date, by patient, by image, or as the table gives it.

Every draw is ordered by SHA-256 of seed and identifier, so the same cohort and seed give the same sets on every
machine, with every version of every library, and in whatever order the rows stand. Numbers of the paper: Kang et al.,
Sci Rep 11:23925 (2021); what the modes mean is said at `assign_splits`.
"""

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.cohort.draws import (
    MIN_PATIENTS,
    Draft,
    Images,
    Mask,
    best_draft,
    core_pairs,
    draw_images,
    draw_patients,
    poor_sets,
    wanted_images,
)
from microcalc.errors import SplitError
from microcalc.protocol import SplitSettings
from microcalc.vocabulary import BENIGN, MALIGNANT, Split

__all__ = ["SplitResult", "assign_splits", "patients_of_the_test_outside", "patients_on_two_sides"]

_TOLERANCE = 0.02
"""A set's share of the images may miss what was asked for by this much without a warning."""


@dataclass(frozen=True)
class SplitResult:
    """Sets of a cohort.

    Attributes:
        split: a word of `vocabulary.Split` for each row, with the table's index.
        by: how it was made: date, patient, image or table.
        test_by: how the test set was made: date, patient or table; other than ``by`` only by image.
        warnings: what a reader of the results must know, in whole sentences.
        test_from: by date: the first day of the test set.
    """

    split: pd.Series
    by: str
    test_by: str
    warnings: tuple[str, ...]
    test_from: dt.date | None = None


def assign_splits(table: pd.DataFrame, settings: SplitSettings) -> SplitResult:
    """Divide a cohort.

    by date: a patient whose latest exam is on or after the day is tested, with *all* images, the earlier ones too;
        so no patient stands on two sides, and nothing that is trained on comes from the time of the test. Without
        ``test_from`` the day is chosen that brings the test set's share of images closest to ``test_fraction``.
        The rest is divided into train and validation by patient.
    by patient: patients are drawn so that each set has its fraction of the benign and of the malignant images.
    by image: the paper's mode. Test set as above (by date where dates exist, else by patient), then single images
        are drawn for validation, so that a patient may stand in both train and validation. A split that the table
        gives in every row is taken as it is, leaks included.
    by table: the table's own split; validation is drawn from train by patient where the table names none.
    auto: the table's split if it is filled, else by date where every exam has one, else by patient.

    Args:
        table: validated cohort table (`microcalc.cohort.validate_table`).
        settings: mode, fractions and seed.

    Raises:
        SplitError: a set would lack a class or have fewer than two patients, dates or given splits are incomplete,
            or a given split puts a patient on two sides.
    """
    images = _images(table)
    by, notes = _resolve(images, settings)
    _refuse_too_few(images, settings, by)
    if by == "table":
        draft = _by_table(images, settings)
    elif by == "image":
        draft = _by_image(images, settings)
    elif by == "patient":
        draft = _by_patient(images, settings)
    elif settings.by == "auto" and settings.test_from is None:
        by, draft = _by_date_or_patient(images, settings)
    else:
        draft = _by_date(images, settings)
    _refuse_poor_sets(images, draft, by)
    words = pd.Series(draft.words(), index=images.image_id)
    split = pd.Series(words.loc[table["image_id"]].to_numpy(), index=table.index, name="split", dtype=str)
    warnings = (*notes, *draft.warnings, *_general_warnings(images, draft, settings, by))
    return SplitResult(split, by, _test_by(images, draft, by), warnings, draft.test_from)


def patients_on_two_sides(patient_id: pd.Series, split: pd.Series) -> list[str]:
    """Patients whose images stand in more than one set, sorted; images without a set are left aside."""
    sides = pd.DataFrame({"patient": patient_id.to_numpy(), "split": split.to_numpy()})
    sides = sides[sides["split"] != ""].drop_duplicates()
    return sorted(str(p) for p in sides.loc[sides["patient"].duplicated(), "patient"].unique())


def patients_of_the_test_outside(patient_id: pd.Series, split: pd.Series) -> list[str]:
    """Patients with images in the test set and in another set, sorted; images without a set are left aside."""
    elsewhere = (split != "") & (split != Split.TEST)
    return patients_on_two_sides(patient_id, split.mask(elsewhere, Split.TRAIN.value))


def _test_by(images: Images, draft: Draft, by: str) -> str:
    if by != "image":
        return by
    if (images.given != "").all():
        return "table"
    return "patient" if draft.test_from is None else "date"


def _images(table: pd.DataFrame) -> Images:
    ordered = table.sort_values("image_id", kind="stable")
    names, patient = np.unique(ordered["patient_id"].to_numpy(dtype=object).astype(str), return_inverse=True)
    dates = ordered["exam_date"].replace("", "NaT").to_numpy(dtype="datetime64[D]")
    return Images(
        image_id=ordered["image_id"].to_numpy(dtype=object),
        label=ordered["label"].to_numpy(dtype=np.int64),
        date=dates,
        given=ordered["split"].to_numpy(dtype=object),
        patient=patient.astype(np.int64),
        patient_names=names.astype(object),
    )


def _resolve(images: Images, settings: SplitSettings) -> tuple[str, tuple[str, ...]]:
    """Mode that is meant, and what must be said about settings or columns that it leaves unused."""
    filled, dated = int((images.given != "").sum()), int((~np.isnat(images.date)).sum())
    total, notes = len(images.label), []
    by: str = settings.by
    if by == "auto":
        if 0 < filled < total:
            raise SplitError(
                f"the split column must be filled in every row or in none; {total - filled} of {total} rows are empty. "
                "Fill or empty it, or name another way (split.by: date, patient or image)"
            )
        if not filled and settings.test_from is None and 0 < dated < total:
            notes.append(
                f"{total - dated} of {total} images have no exam date, so the sets are made by patient, not by date."
            )
        by = "table" if filled else "date" if settings.test_from is not None or dated == total else "patient"
    elif (filled and by in ("date", "patient")) or (by == "image" and 0 < filled < total):
        notes.append(f"The table's own split ({filled} of {total} rows) is not used: splitting by {by} was asked for.")
    if settings.test_from is not None and (by in ("table", "patient") or (by == "image" and filled == total)):
        notes.append(f"test_from {settings.test_from} is not used: it has no meaning for sets made by {by}.")
    return by, tuple(notes)


# ---------------------------------------------------------------------------------------------- the modes


def _by_table(images: Images, settings: SplitSettings) -> Draft:
    empty = int((images.given == "").sum())
    if empty:
        raise SplitError(
            f"to split by table, every row must have train, validation or test in the split column; {empty} of "
            f"{len(images.given)} rows are empty. Fill them, or name another way (split.by: date or patient)"
        )
    leaking = patients_on_two_sides(pd.Series(images.patient_names[images.patient]), pd.Series(images.given))
    if leaking:
        raise SplitError(
            f"a patient's images must all stand in one set; the table puts {len(leaking)} "
            f"{'patient' if len(leaking) == 1 else 'patients'} on two sides: {', '.join(leaking[:5])}"
            f"{', ...' if len(leaking) > 5 else ''}. Change the split column, empty it and split by patient, or accept "
            "the leak with split.by: image"
        )
    test = images.given == Split.TEST
    if (images.given == Split.VALIDATION).any():
        return Draft(test, images.given == Split.VALIDATION)
    draft = _validation_by_patient(images, settings, test)
    note = "The table names no validation set; it was drawn by patient from the table's train set."
    return replace(draft, warnings=(note,))


def _by_patient(images: Images, settings: SplitSettings) -> Draft:
    everything = np.ones(len(images.label), dtype=bool)
    wanted = wanted_images(images, everything, settings.test_fraction)

    def draft(draw: int) -> tuple[int, Draft]:
        pairs = core_pairs(images, everything, f"{settings.seed} core {draw}", sets=len(Split))
        core, *others = pairs or [[]]
        salt, spared = f"{settings.seed} test {draw}", [patient for pair in others for patient in pair]
        miss, test = draw_patients(images, everything, wanted, salt, core=core, spared=spared)
        more, validation = _draw_validation(images, settings, test, draw, others)
        return miss + more, Draft(test, validation)

    return best_draft(images, draft)


def _validation_by_patient(images: Images, settings: SplitSettings, test: Mask) -> Draft:
    def draft(draw: int) -> tuple[int, Draft]:
        pairs = core_pairs(images, ~test, f"{settings.seed} core {draw}", sets=len(Split) - 1)
        miss, validation = _draw_validation(images, settings, test, draw, pairs)
        return miss, Draft(test, validation)

    return best_draft(images, draft)


def _draw_validation(
    images: Images, settings: SplitSettings, test: Mask, draw: int, pairs: list[list[int]]
) -> tuple[int, Mask]:
    """Validation set of one draw; ``pairs`` are the core of validation and of train, or none."""
    core, spared = pairs or [[], []]
    wanted = wanted_images(images, ~test, settings.validation_fraction)
    return draw_patients(images, ~test, wanted, f"{settings.seed} validation {draw}", core=core, spared=spared)


def _by_date_or_patient(images: Images, settings: SplitSettings) -> tuple[str, Draft]:
    try:
        draft = _by_date(images, settings)
        _refuse_poor_sets(images, draft, "date")
    except SplitError:
        note = "The sets are made by patient: no day leaves both classes and enough patients before it and from it on."
        return "patient", replace(_by_patient(images, settings), warnings=(note,))
    return "date", draft


def _by_date(images: Images, settings: SplitSettings) -> Draft:
    test, first_day, warnings = _test_by_date(images, settings)
    draft = _validation_by_patient(images, settings, test)
    return replace(draft, warnings=warnings, test_from=first_day)


def _by_image(images: Images, settings: SplitSettings) -> Draft:
    """The paper's mode: 1,319 images of 676 patients "randomly chosen" as 1,121 to train and 198 to validate."""
    if (images.given != "").all():
        test, validation = images.given == Split.TEST, images.given == Split.VALIDATION
        draft = Draft(test, validation if validation.any() else _validation_images(images, settings, test))
        note = (
            "The table's own split was taken as it is, image by image."
            if validation.any()
            else "The test set is the table's own, which names no validation set; it was drawn image by image from "
            "the rest."
        )
    elif settings.test_from is not None or not np.isnat(images.date).any():
        test, first_day, warnings = _test_by_date(images, settings)
        draft = Draft(test, _validation_images(images, settings, test), warnings, first_day)
        note = f"The test set is by date, from {first_day} on; train and validation were drawn image by image."
    else:
        test = _by_patient(images, settings).test
        draft = Draft(test, _validation_images(images, settings, test))
        note = "The test set is by patient; train and validation were drawn image by image."
    return replace(draft, warnings=(note, _leak(images, draft), *draft.warnings))


def _validation_images(images: Images, settings: SplitSettings, test: Mask) -> Mask:
    wanted = wanted_images(images, ~test, settings.validation_fraction)
    return draw_images(images, ~test, wanted, f"{settings.seed} validation image")


def _leak(images: Images, draft: Draft) -> str:
    patients = pd.Series(images.patient_names[images.patient])
    words = pd.Series(draft.words())
    anywhere = len(patients_on_two_sides(patients, words))
    held_out = len(patients_of_the_test_outside(patients, words))
    if not anywhere:
        return "Split by image: no patient stands in more than one set."
    flattered = (
        "the results"
        if held_out
        else "the validation set, by which the epoch and the frozen cut-off are chosen, but not the test set"
    )
    return (
        f"Split by image: {anywhere} of {len(images.patient_names)} patients {'stands' if anywhere == 1 else 'stand'} "
        f"in more than one set ({held_out} of them in the test set and outside it), so what was learned about a "
        f"patient can flatter {flattered}."
    )


# ---------------------------------------------------------------------------------------------- test set by date


def _test_by_date(images: Images, settings: SplitSettings) -> tuple[Mask, dt.date, tuple[str, ...]]:
    undated = int(np.isnat(images.date).sum())
    if undated:
        raise SplitError(
            f"to split by date, every image must have an exam_date; {undated} of {len(images.date)} have none. "
            "Fill them, leave those images out, or split by patient (split.by: patient)"
        )
    latest = np.full(len(images.patient_names), np.datetime64("0001-01-01", "D"))
    np.maximum.at(latest, images.patient, images.date)
    first_day = settings.test_from or _first_day(images, latest, settings.test_fraction)
    day = np.datetime64(first_day, "D")
    test = latest[images.patient] >= day
    early = test & (images.date < day)
    warnings: tuple[str, ...] = ()
    if early.any():
        straddling = len(np.unique(images.patient[early]))
        warnings = (
            f"{straddling} {'patient has' if straddling == 1 else 'patients have'} exams both before {first_day} and "
            f"from then on: all their images are in the test set, {int(early.sum())} earlier ones included, so that no "
            "patient stands on two sides.",
        )
    return test, first_day, warnings


def _first_day(images: Images, latest: NDArray[np.datetime64], fraction: float) -> dt.date:
    """Day that brings the share of test images closest to the fraction; a later day, the smaller set, breaks ties."""
    counts = images.counts(np.ones(len(images.label), dtype=bool))
    days, position = np.unique(latest, return_inverse=True)
    tested = _from_each_day_on(position, counts.sum(axis=1))
    patients = _from_each_day_on(position, np.ones(len(counts), dtype=np.int64))
    possible = (patients >= MIN_PATIENTS) & (patients[0] - patients >= 2 * MIN_PATIENTS)
    for label in (BENIGN, MALIGNANT):
        holders = _from_each_day_on(position, (counts[:, label] > 0).astype(np.int64))
        possible &= (holders >= 1) & (holders[0] - holders >= 2)  # two sets are made of the rest
    if not possible.any():
        raise SplitError(
            "to make the test set by date, some day must leave both classes and enough patients before it and from it "
            f"on ({2 * MIN_PATIENTS} before, {MIN_PATIENTS} from then on); no day does. Split by patient "
            "(split.by: patient)"
        )
    miss = np.abs(tested / len(images.label) - fraction)
    miss[~possible] = np.inf
    best = len(miss) - 1 - int(np.argmin(miss[::-1]))
    chosen: dt.date = days[best].astype(object)
    return chosen


def _from_each_day_on(position: NDArray[np.int64], amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the patients' amounts over each day and all later ones; ``position`` is the day of each patient."""
    per_day = np.bincount(position, weights=amounts).astype(np.int64)
    sums: NDArray[np.int64] = per_day[::-1].cumsum()[::-1]
    return sums


# ---------------------------------------------------------------------------------------------- judgement


def _refuse_too_few(images: Images, settings: SplitSettings, by: str) -> None:
    """Say at once where no draw and no day can help: fewer patients than the sets together need."""
    if by == "table" or (by == "image" and (images.given != "").all()):
        return
    by_day = settings.test_from is None and not np.isnat(images.date).any()
    sets = 2 if by == "image" and not by_day else len(Split)  # by image, train and validation may share patients
    counts = images.counts(np.ones(len(images.label), dtype=bool)) > 0
    found = (len(counts), *counts.sum(axis=0).tolist())
    if any(have < need for have, need in zip(found, (sets * MIN_PATIENTS, sets, sets), strict=True)):
        raise SplitError(
            f"split by {by}: a split needs at least {sets * MIN_PATIENTS} patients, {sets} with benign and {sets} with "
            f"malignant images among them; there are {found[0]}, {found[1]} with benign and {found[2]} with malignant "
            "images. Bring more patients, of both classes"
        )


def _refuse_poor_sets(images: Images, draft: Draft, by: str) -> None:
    poor = poor_sets(images, draft)
    if poor:
        way_out = {
            "date": "Choose another split.test_from, or split by patient (split.by: patient)",
            "table": "Change the split column, or empty it and split by patient",
            "patient": "Bring more patients, of both classes, or raise the fractions of the sets",
            "image": "Bring more patients, of both classes, or raise the fractions of the sets",
        }[by]
        raise SplitError(
            f"split by {by}: each set must hold both classes and at least {MIN_PATIENTS} patients; "
            f"{'; '.join(poor)}. {way_out}"
        )


def _general_warnings(images: Images, draft: Draft, settings: SplitSettings, by: str) -> list[str]:
    total, tested, validated = len(images.label), int(draft.test.sum()), int(draft.validation.sum())
    sets = []
    if by in ("date", "patient"):
        sets.append(
            ("validation", "images outside the test set", validated, total - tested, settings.validation_fraction)
        )
        if settings.test_from is None or by == "patient":
            sets.append(("test", "images", tested, total, settings.test_fraction))
    out = [
        f"The {name} set has {held / whole:.1%} of the {what}; {wanted:.1%} were asked for, but patients stay whole."
        for name, what, held, whole, wanted in sets
        if abs(held - wanted * whole) > _TOLERANCE * whole + 1  # one image: both classes are rounded
    ]
    if len(images.patient_names) == total:
        out.append(
            "Each image has a patient of its own in this table. If that is because patients are not known, images of "
            "one patient may stand on two sides."
        )
    return out
