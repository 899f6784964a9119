"""Division into sets: fractions, patients, dates, the paper's numbers, and every refusal."""

import datetime as dt
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from cohort_samples import table
from microcalc.cohort import assign_splits, patients_on_two_sides, validate_table
from microcalc.errors import SplitError
from microcalc.protocol import SplitSettings

SETS = ("train", "validation", "test")


def many(patients: int, seed: int = 0, *, dated: bool = True, share: float = 0.373) -> pd.DataFrame:
    """Patients of one to four images; a patient in twenty has lesions of both classes; one in ten comes again."""
    rng = np.random.default_rng(seed)
    number = rng.integers(1, 5, patients)
    patient = np.repeat(np.arange(patients), number)
    label = np.repeat(rng.random(patients) < share, number)
    label = np.where(np.repeat(rng.random(patients) < 0.05, number) & (rng.random(len(patient)) < 0.5), ~label, label)
    day = np.repeat(rng.integers(0, 4000, patients), number) + np.where(rng.random(len(patient)) < 0.1, 400, 0)
    dates = (np.datetime64("2007-01-01") + day).astype(str) if dated else [""] * len(patient)
    return table([f"p{k:05d}" for k in patient], label.astype(int).tolist(), exam_date=list(dates))


def counts(rows: pd.DataFrame, split: pd.Series) -> dict[str, tuple[int, int]]:
    """Benign and malignant images of each set."""
    return {s: tuple(np.bincount(rows.loc[split == s, "label"], minlength=2).tolist()) for s in SETS}  # type: ignore[misc]


def paper() -> pd.DataFrame:
    """1,319 images of 676 patients of 2007-2017 (492 malignant), 260 of 145 patients of 2018-2019 (97 malignant)."""
    rows = []
    for patients, images, malignant, first in ((676, 1319, 492, "2007-01-01"), (145, 260, 97, "2018-01-01")):
        for k in range(images):
            day = np.datetime64(first) + (k % patients) * 700 // patients
            rows.append((f"{first}-{k % patients}", int(k < malignant), str(day)))
    return table([r[0] for r in rows], [r[1] for r in rows], exam_date=[r[2] for r in rows])


# ---------------------------------------------------------------------------------------------- the paper


def test_by_image_gives_the_papers_numbers_exactly() -> None:
    rows = paper()
    out = assign_splits(rows, SplitSettings(by="image", test_from=dt.date(2018, 1, 1)))
    assert counts(rows, out.split) == {"train": (703, 418), "validation": (124, 74), "test": (163, 97)}
    assert out.by == "image"


def test_by_date_gives_the_papers_test_set_and_as_many_images_to_validate() -> None:
    rows = paper()
    out = assign_splits(rows, SplitSettings(by="date", test_from=dt.date(2018, 1, 1)))
    assert counts(rows, out.split) == {"train": (703, 418), "validation": (124, 74), "test": (163, 97)}
    assert patients_on_two_sides(rows["patient_id"], out.split) == []
    assert (out.by, out.test_from, out.warnings) == ("date", dt.date(2018, 1, 1), ())


# ---------------------------------------------------------------------------------------------- by patient


@pytest.mark.parametrize("seed", range(5))
def test_patients_stay_whole_and_the_fractions_are_met_to_the_image(seed: int) -> None:
    rows = many(300, seed)
    out = assign_splits(rows, SplitSettings(by="patient", seed=seed))
    assert patients_on_two_sides(rows["patient_id"], out.split) == []
    total = np.bincount(rows["label"])
    got = {s: np.array(c) for s, c in counts(rows, out.split).items()}
    assert got["test"].tolist() == np.floor(0.165 * total + 0.5).tolist()
    assert got["validation"].tolist() == np.floor(0.15 * (total - got["test"]) + 0.5).tolist()
    assert out.warnings == ()


def test_the_fractions_are_met_better_than_by_stratified_group_folds() -> None:
    ours, folds = [], []
    for seed in range(10):
        rows = many(80, seed)
        wanted = 0.15 * np.bincount(rows["label"])
        out = assign_splits(rows, SplitSettings(by="patient", test_fraction=0.15, seed=seed))
        ours.append(np.abs(np.array(counts(rows, out.split)["test"]) - wanted).sum())
        splitter = StratifiedGroupKFold(n_splits=7, shuffle=True, random_state=seed)
        fold = next(iter(splitter.split(rows, rows["label"], rows["patient_id"])))[1]
        folds.append(np.abs(np.bincount(rows["label"].iloc[fold], minlength=2) - wanted).sum())
    assert max(ours) <= 1
    assert np.mean(ours) < np.mean(folds)


@given(st.randoms(use_true_random=False), st.sampled_from(["patient", "date", "image"]), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_rows_and_the_index_do_not_matter(random: np.random.Generator, by: str, seed: int) -> None:
    rows = many(40, 1)
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = rows.iloc[order]
    chosen = SplitSettings(by=by, seed=seed)  # type: ignore[arg-type]
    one, two = assign_splits(rows, chosen), assign_splits(shuffled, chosen)
    assert two.split.index.equals(shuffled.index)
    assert one.split.to_dict() == two.split.to_dict()
    assert one.warnings == two.warnings


def test_a_seed_always_gives_the_same_sets() -> None:
    rows = table(list("aabbccddeeffgghh"), [0, 0, 1, 1] * 4)
    out = assign_splits(rows, SplitSettings(by="patient", seed=3))
    assert {s: sorted(set(rows["patient_id"][out.split == s])) for s in SETS} == {
        "train": ["b", "c", "g", "h"],
        "validation": ["e", "f"],
        "test": ["a", "d"],
    }


def test_another_seed_gives_other_sets() -> None:
    rows = many(60)
    splits = [tuple(assign_splits(rows, SplitSettings(by="patient", seed=s)).split) for s in range(6)]
    assert len(set(splits)) == 6


def test_every_patient_comes_into_a_set_about_as_often_as_its_fraction_says() -> None:
    rows = many(150, 4)
    patient = rows["patient_id"].to_numpy()
    tested = np.mean(
        [assign_splits(rows, SplitSettings(by="patient", seed=s)).split.to_numpy() == "test" for s in range(200)],
        axis=0,
    )
    by_patient = pd.Series(tested).groupby(patient).first()
    by_size = by_patient.groupby(pd.Series(patient).groupby(patient).size()).mean()
    # The last few places go to patients that fit them, so those with one image come in a little more often.
    assert by_patient.between(0.06, 0.30).all()
    assert by_size.between(0.13, 0.21).all()


def is_fit(holdings: list[tuple[int, int]], words: tuple[str, ...]) -> bool:
    """Whether each set has benign and malignant images and two patients."""
    sets = [[h for h, word in zip(holdings, words, strict=True) if word == s] for s in SETS]
    return all(len(held) >= 2 and any(b for b, _ in held) and any(m for _, m in held) for held in sets)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any), min_size=4, max_size=8))
@settings(max_examples=60, deadline=None)
def test_sets_are_found_wherever_brute_force_finds_some(patients: list[tuple[int, int]]) -> None:
    names = [f"p{k}" for k, held in enumerate(patients) for _ in range(sum(held))]
    rows = table(names, [label for held in patients for label in (0,) * held[0] + (1,) * held[1]])
    possible = any(is_fit(patients, words) for words in itertools.product(SETS, repeat=len(patients)))
    try:
        out = assign_splits(rows, SplitSettings(by="patient"))
    except SplitError:
        assert not possible
    else:
        words = out.split.groupby(rows["patient_id"]).agg(lambda s: "/".join(sorted(set(s))))
        assert is_fit(patients, tuple(words[f"p{k}"] for k in range(len(patients))))


@pytest.mark.parametrize(
    ("by", "patients", "labels", "dated", "found"),
    [
        ("patient", "aabbccddeeff", [0] * 12, False, r"at least 6 .*there are 6, 6 with benign and 0 with malignant"),
        (
            "patient",
            "aaaabbbb",
            [0, 0, 1, 1] * 2,
            False,
            r"at least 6 .*there are 2, 2 with benign and 2 with malignant",
        ),
        ("date", "aabbccddee", [0, 1] * 5, True, r"at least 6 .*there are 5, 5 with"),
        ("image", "aaaa", [0, 1] * 2, True, r"at least 6 .*there are 1, 1 with"),
        ("image", "aaaa", [0, 1] * 2, False, r"at least 4 patients, 2 with benign and 2 with .*there are 1, 1 with"),
    ],
)
def test_too_few_patients_are_the_reason_whatever_was_asked(
    by: Any, patients: str, labels: list[int], dated: bool, found: str
) -> None:
    dates = [f"2018-01-{k + 1:02d}" for k in range(len(labels))] if dated else [""] * len(labels)
    with pytest.raises(SplitError, match=rf"split by {by}: a split needs {found}") as caught:
        assign_splits(table(list(patients), labels, exam_date=dates), SplitSettings(by=by))
    assert "Bring more patients, of both classes" in str(caught.value)
    assert "by patient" not in str(caught.value).removeprefix("split by patient")


def test_four_patients_are_enough_to_split_by_image_without_dates() -> None:
    asked = SplitSettings(by="image", test_fraction=0.5, validation_fraction=0.5)
    out = assign_splits(table(list("aaaabbbbccccdddd"), [0, 0, 1, 1] * 4), asked)
    assert set(out.split) == {"train", "validation", "test"}


def test_a_share_that_whole_patients_cannot_meet_is_told() -> None:
    rows = table([p for p in "abcdefgh" for _ in range(10)], [0] * 40 + [1] * 40)
    out = assign_splits(rows, SplitSettings(by="patient", test_fraction=0.1))
    assert "The test set has 25.0% of the images; 10.0% were asked for, but patients stay whole." in out.warnings


def test_images_without_known_patients_are_told() -> None:
    rows = table([f"p{k}" for k in range(40)], [0, 1] * 20)
    assert "Each image has a patient of its own" in assign_splits(rows, SplitSettings()).warnings[0]


# ---------------------------------------------------------------------------------------------- by date


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_is_trained_on_comes_from_the_time_of_the_test(seed: int) -> None:
    rows = many(200, seed)
    out = assign_splits(rows, SplitSettings(by="date"))
    day = str(out.test_from)
    test = out.split == "test"
    assert (rows.loc[~test, "exam_date"] < day).all()
    latest = rows.groupby("patient_id")["exam_date"].transform("max")
    assert (test == (latest >= day)).all()
    assert abs(test.mean() - 0.165) < 0.01


def test_the_day_is_the_one_that_comes_closest_to_the_fraction() -> None:
    rows = many(60, 3)
    chosen = assign_splits(rows, SplitSettings(by="date")).test_from
    latest = rows.groupby("patient_id")["exam_date"].transform("max")
    misses = {day: abs((latest >= day).mean() - 0.165) for day in sorted(set(latest))}
    assert misses[str(chosen)] == min(misses.values())


def test_a_patient_on_both_sides_of_the_day_is_tested_with_all_images_and_told() -> None:
    patients = [*"abcdefgh", "h", *"ijkl"]
    dates = ["2010-01-01"] * 8 + ["2018-05-01"] + ["2018-06-01"] * 4
    rows = table(patients, [0, 1] * 4 + [1] + [0, 1, 0, 1], exam_date=dates)
    out = assign_splits(rows, SplitSettings(by="date", test_from=dt.date(2018, 1, 1)))
    assert set(out.split[rows["patient_id"] == "h"]) == {"test"}
    assert set(out.split[rows["patient_id"] < "h"]) == {"train", "validation"}
    assert out.warnings[0] == (
        "1 patient has exams both before 2018-01-01 and from then on: all their images are in the test set, 1 earlier "
        "ones included, so that no patient stands on two sides."
    )


def test_an_exam_on_the_day_itself_is_tested() -> None:
    rows = many(60, 3)
    day = sorted(rows["exam_date"])[-30]
    out = assign_splits(rows, SplitSettings(by="date", test_from=dt.date.fromisoformat(day)))
    assert set(out.split[rows["exam_date"] == day]) == {"test"}


def test_missing_dates_are_counted() -> None:
    rows = many(30).assign(exam_date=lambda t: t["exam_date"].where(t.index > 2, ""))
    with pytest.raises(SplitError, match=r"must have an exam_date; 3 of \d+ have none\. .* split by patient"):
        assign_splits(rows, SplitSettings(by="date"))


def test_a_day_without_exams_from_then_on_is_refused() -> None:
    with pytest.raises(SplitError, match=r"test set holds 0 benign and 0 malignant .* Choose another split\.test_from"):
        assign_splits(many(30), SplitSettings(by="date", test_from=dt.date(2050, 1, 1)))


def test_dates_of_one_day_cannot_make_sets() -> None:
    rows = many(30).assign(exam_date="2018-01-01")
    with pytest.raises(SplitError, match=r"some day must leave both .* \(4 before, 2 from then on\); no day does"):
        assign_splits(rows, SplitSettings(by="date"))


# ---------------------------------------------------------------------------------------------- by image


def test_by_image_says_how_many_patients_stand_on_both_sides() -> None:
    rows = many(100)
    out = assign_splits(rows, SplitSettings(by="image"))
    leaking = patients_on_two_sides(rows["patient_id"], out.split)
    assert len(leaking) > 5
    assert out.warnings[1] == (
        f"Split by image: {len(leaking)} of 100 patients stand in more than one set (0 of them in the test set and "
        "outside it), so what was learned about a patient can flatter the validation set, by which the epoch and the "
        "frozen cut-off are chosen, but not the test set."
    )


@pytest.mark.parametrize("dated", [True, False])
def test_by_image_keeps_the_test_set_free_of_trained_patients(dated: bool) -> None:
    rows = many(100, dated=dated)
    out = assign_splits(rows, SplitSettings(by="image"))
    assert patients_on_two_sides(rows["patient_id"], out.split.replace("validation", "train")) == []
    assert f"The test set is by {'date' if dated else 'patient'}" in out.warnings[0]
    assert "(0 of them in the test set and outside it)" in out.warnings[1]


# ---------------------------------------------------------------------------------------------- by table


def with_split(words: list[str]) -> pd.DataFrame:
    return table(list("aabbccddeeffgg"), [0, 1] * 7).assign(split=words)


GIVEN = ["train"] * 6 + ["validation"] * 4 + ["test"] * 4


@pytest.mark.parametrize("by", ["table", "auto", "image"])
def test_the_tables_split_is_taken(by: str) -> None:
    out = assign_splits(with_split(GIVEN), SplitSettings(by=by))  # type: ignore[arg-type]
    assert out.split.tolist() == GIVEN
    assert out.by == ("table" if by == "auto" else by)


@pytest.mark.parametrize("by", ["table", "auto"])
def test_a_given_split_that_leaks_is_refused_by_patient(by: str) -> None:
    words = [*GIVEN[:5], "test", *GIVEN[6:]]
    with pytest.raises(SplitError, match=r"puts 1 patient on two sides: c\. .* accept the leak with split\.by: image"):
        assign_splits(with_split(words), SplitSettings(by=by))  # type: ignore[arg-type]


def test_a_given_split_that_leaks_is_taken_by_image_with_a_warning() -> None:
    words = [*GIVEN[:5], "test", *GIVEN[6:]]
    out = assign_splits(with_split(words), SplitSettings(by="image"))
    assert out.split.tolist() == words
    assert "1 of 7 patients stands in more than one set (1 of them in the test set and outside it)" in out.warnings[1]
    assert out.warnings[1].endswith("so what was learned about a patient can flatter the results.")


def test_by_image_speaks_of_no_leak_where_the_tables_split_has_none() -> None:
    out = assign_splits(with_split(GIVEN), SplitSettings(by="image"))
    assert out.warnings[:2] == (
        "The table's own split was taken as it is, image by image.",
        "Split by image: no patient stands in more than one set.",
    )


@pytest.mark.parametrize(
    ("rows", "by", "test_by"),
    [
        (with_split(GIVEN), "image", "table"),
        (with_split(GIVEN), "auto", "table"),
        (many(100), "image", "date"),
        (many(100, dated=False), "image", "patient"),
        (many(100), "auto", "date"),
        (many(100), "patient", "patient"),
    ],
)
def test_the_split_knows_where_its_test_set_came_from(rows: pd.DataFrame, by: str, test_by: str) -> None:
    assert assign_splits(rows, SplitSettings(by=by)).test_by == test_by  # type: ignore[arg-type]


def test_by_image_draws_validation_from_a_given_train_set_image_by_image() -> None:
    rows = many(60).assign(split=["test" if k < 20 else "train" for k in range(len(many(60)))])
    out = assign_splits(rows, SplitSettings(by="image"))
    assert ((out.split == "test") == (rows["split"] == "test")).all()
    assert out.warnings[0] == (
        "The test set is the table's own, which names no validation set; it was drawn image by image from the rest."
    )
    outside = out.split != "test"
    assert len(patients_on_two_sides(rows["patient_id"][outside], out.split[outside])) > 5


def test_by_image_says_that_a_half_filled_split_is_not_used() -> None:
    rows = many(60).assign(split=["train", *[""] * (len(many(60)) - 1)])
    out = assign_splits(rows, SplitSettings(by="image"))
    assert out.warnings[0] == (
        f"The table's own split (1 of {len(rows)} rows) is not used: splitting by image was asked for."
    )


@pytest.mark.parametrize("by", ["table", "auto"])
def test_a_half_filled_split_is_refused(by: str) -> None:
    with pytest.raises(SplitError, match="4 of 14 rows are empty"):
        assign_splits(with_split([*GIVEN[:10], "", "", "", ""]), SplitSettings(by=by))  # type: ignore[arg-type]


def test_an_empty_split_cannot_be_taken() -> None:
    with pytest.raises(SplitError, match=r"14 of 14 rows are empty\. Fill them, or name another way"):
        assign_splits(with_split([""] * 14), SplitSettings(by="table"))


def test_validation_is_drawn_from_train_where_the_table_names_none() -> None:
    words = ["train"] * 10 + ["test"] * 4
    out = assign_splits(with_split(words), SplitSettings(by="table"))
    assert (out.split == "test").tolist() == [False] * 10 + [True] * 4
    assert patients_on_two_sides(with_split(words)["patient_id"], out.split) == []
    assert out.warnings[0] == "The table names no validation set; it was drawn by patient from the table's train set."


def test_a_given_set_of_one_class_is_refused() -> None:
    rows = with_split(GIVEN)
    rows.loc[rows["split"] == "validation", "label"] = 0
    with pytest.raises(SplitError, match=r"validation set holds 4 benign and 0 malignant .* Change the split column"):
        assign_splits(rows, SplitSettings(by="table"))


@pytest.mark.parametrize("by", ["patient", "date"])
def test_a_given_split_that_is_passed_over_is_told(by: str) -> None:
    rows = many(60).assign(split="train")
    out = assign_splits(rows, SplitSettings(by=by))  # type: ignore[arg-type]
    assert f"is not used: splitting by {by} was asked for" in out.warnings[0]


# ---------------------------------------------------------------------------------------------- auto


def test_auto_goes_by_date_where_every_exam_has_one() -> None:
    assert assign_splits(many(60), SplitSettings()).by == "date"


def test_auto_goes_by_patient_where_there_are_no_dates() -> None:
    out = assign_splits(many(60, dated=False), SplitSettings())
    assert (out.by, out.warnings) == ("patient", ())


def test_auto_goes_by_patient_and_says_so_where_some_dates_are_missing() -> None:
    rows = many(60).assign(exam_date=lambda t: t["exam_date"].where(t.index > 2, ""))
    out = assign_splits(rows, SplitSettings())
    assert out.by == "patient"
    assert out.warnings[0].startswith("3 of ")


def test_auto_goes_by_patient_and_says_so_where_the_dates_do_not_divide() -> None:
    out = assign_splits(many(60).assign(exam_date="2018-01-01"), SplitSettings())
    assert out.by == "patient"
    assert out.warnings[0].startswith("The sets are made by patient: no day leaves both classes")


def test_auto_with_a_day_goes_by_date_or_fails() -> None:
    with pytest.raises(SplitError, match="every image must have an exam_date"):
        assign_splits(many(60, dated=False), SplitSettings(test_from=dt.date(2018, 1, 1)))


@pytest.mark.parametrize("by", ["patient", "table"])
def test_a_day_that_has_no_meaning_is_told(by: str) -> None:
    chosen = SplitSettings(by=by, test_from=dt.date(2018, 1, 1))  # type: ignore[arg-type]
    assert "test_from 2018-01-01 is not used" in "".join(assign_splits(with_split(GIVEN * 1), chosen).warnings)


def test_images_without_a_set_do_not_make_a_patient_stand_on_two_sides() -> None:
    assert patients_on_two_sides(pd.Series(list("aabbcc")), pd.Series(["", "test", "train", "test", "", ""])) == ["b"]


def test_a_table_with_another_index_keeps_it() -> None:
    rows = many(40).set_index(pd.Index([f"r{k}" for k in range(len(many(40)))]))
    out = assign_splits(rows, SplitSettings())
    assert out.split.index.equals(rows.index)
    assert out.split.tolist() == assign_splits(validate_table(rows, source="t"), SplitSettings()).split.tolist()
