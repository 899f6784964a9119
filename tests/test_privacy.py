"""Pseudonyms: repeatable with the key, without a way back, and true to what a study needs of the dates."""

import datetime as dt
import os
import re
import stat
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cohort_samples import table
from microcalc.cli import cohort as commands
from microcalc.cohort import assign_splits
from microcalc.errors import InputError, MicrocalcError
from microcalc.intake.privacy import CALENDAR_FROM, CALENDAR_UNTIL, Pseudonyms
from microcalc.intake.true_days import FIRST_TRUE_DAY, LAST_TRUE_DAY
from microcalc.protocol import SplitSettings

ONE, OTHER = Pseudonyms(bytes(range(32))), Pseudonyms(bytes(range(1, 33)))


# ---------------------------------------------------------------------------------------------- names


def test_a_patient_gets_the_same_id_with_the_same_key_and_another_with_another() -> None:
    assert ONE.patient("0815") == Pseudonyms(bytes(range(32))).patient(" 0815 ")
    assert ONE.patient("0815") != OTHER.patient("0815")
    assert ONE.patient("0815") != ONE.patient("815")
    assert re.fullmatch(r"P[0-9a-f]{16}", ONE.patient("0815"))


def test_kinds_do_not_share_their_codes() -> None:
    codes = {ONE.patient("7")[1:], ONE.accession("7")[1:], ONE.code("lesion", "7"), ONE.code("image", "7")}
    assert len(codes) == 4


def test_composed_and_decomposed_letters_are_one_name() -> None:
    assert ONE.patient("M\u00fcller") == ONE.patient("Mu\u0308ller")


def test_a_uid_becomes_a_valid_uid_of_ours() -> None:
    uid = ONE.uid("1.2.840.113619.2.5\0")
    assert uid == ONE.uid("1.2.840.113619.2.5")
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid)
    assert len(uid) <= 64
    assert uuid.UUID(int=int(uid[5:])).version == 8


def test_nothing_stays_nothing_but_a_patient_needs_an_id() -> None:
    assert ONE.uid("") == ONE.accession("  ") == ""
    with pytest.raises(InputError, match="a patient must have an ID"):
        ONE.patient("  ")


def test_two_originals_with_one_pseudonym_are_refused() -> None:
    keeper = Pseudonyms(bytes(32))
    keeper._given["lesion", keeper.code("lesion", "b")] = "a"
    with pytest.raises(InputError, match="two lesion values must not get the same pseudonym"):
        keeper.code("lesion", "b")


def test_the_secret_is_not_shown() -> None:
    shown = f"{ONE!r} {ONE} {ONE.record()}"
    assert bytes(range(32)).hex() not in shown
    assert ONE.fingerprint in shown
    assert ONE.fingerprint != OTHER.fingerprint


# ---------------------------------------------------------------------------------------------- dates


def cohort_dates(seed: int, patients: int = 150) -> pd.DataFrame:
    """Images of one to three exams of each patient, some on the same days."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        label = int(rng.integers(2))
        for _ in range(rng.integers(1, 4)):
            day = dt.date(2007, 1, 1) + dt.timedelta(days=int(rng.integers(4745)) // 7 * 7)
            rows.append((f"p{number}", label, day.isoformat()))
    patient, labels, date = zip(*rows, strict=True)
    return table(patient, labels, exam_date=date)


@pytest.mark.parametrize("seed", range(8))
def test_a_split_by_date_gives_the_sets_of_the_true_dates(seed: int) -> None:
    true = cohort_dates(seed)
    pseudonyms = Pseudonyms(np.random.default_rng(seed).bytes(32))
    shifted = true.assign(exam_date=pseudonyms.shift_dates(true["patient_id"].tolist(), true["exam_date"].tolist()))
    for fraction in (0.1, 0.165, 0.4):
        asked = SplitSettings(by="date", test_fraction=fraction, seed=seed)
        before, after = assign_splits(true, asked), assign_splits(shifted, asked)
        assert before.split.tolist() == after.split.tolist()
        assert before.test_from is not None
        assert after.test_from == pseudonyms.day(before.test_from)
    day = dt.date(2017, 3, 4)
    before = assign_splits(true, SplitSettings(by="date", test_from=day))
    after = assign_splits(shifted, SplitSettings(by="date", test_from=pseudonyms.day(day)))
    assert before.split.tolist() == after.split.tolist()


def test_all_exams_of_a_patient_are_shifted_by_one_number_of_days() -> None:
    patients, dates = ["a", "b", "a", "a"], ["2010-01-01", "2011-05-05", "20120301", ""]
    shifted = ONE.shift_dates(patients, dates)
    first, _, second, none = shifted
    assert dt.date.fromisoformat(second) - dt.date.fromisoformat(first) == dt.date(2012, 3, 1) - dt.date(2010, 1, 1)
    assert none == ""
    assert ONE.shift_dates(patients, dates) == shifted
    assert OTHER.shift_dates(patients, dates) != shifted


@pytest.mark.parametrize("seed", range(20))
def test_the_calendar_rises_strictly_and_stays_in_its_bounds(seed: int) -> None:
    days = Pseudonyms(np.random.default_rng(seed).bytes(32))._calendar
    assert len(days) == (LAST_TRUE_DAY - FIRST_TRUE_DAY).days + 1
    assert set(np.diff(days)) == {1, 2}
    assert CALENDAR_FROM.toordinal() <= days[0]
    # Even if every step were two days:
    assert CALENDAR_FROM.toordinal() + 600 + 2 * len(days) <= CALENDAR_UNTIL.toordinal()


def test_who_knows_the_period_of_a_study_guesses_its_dates_to_within_months_only() -> None:
    true = np.arange((dt.date(2007, 1, 1) - FIRST_TRUE_DAY).days, (dt.date(2020, 1, 1) - FIRST_TRUE_DAY).days)
    misses = []
    for seed in range(200):
        shifted = Pseudonyms(np.random.default_rng(seed).bytes(32))._calendar[true]
        guess = np.interp(shifted, shifted[[0, -1]], true[[0, -1]])
        misses.append(np.median(np.abs(guess - true)))
    assert np.median(misses) > 45  # days; 42 is what the ranks of 821 patients tell anyhow


def test_offsets_differ_between_patients() -> None:
    dates = [f"{year}-06-01" for year in range(2007, 2020)]
    shifted = ONE.shift_dates(dates, dates)
    offsets = {dt.date.fromisoformat(b) - dt.date.fromisoformat(a) for a, b in zip(dates, shifted, strict=True)}
    assert len(offsets) == 13


@pytest.mark.parametrize(
    ("date", "message"),
    [("1900-01-01", "must be of 1980-01-01 to 2059-12-31"), ("5/3/2018", "row 1: an exam date must be a day")],
)
def test_a_date_that_cannot_be_shifted_is_refused(date: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ONE.shift_dates(["a", "b"], ["2018-01-01", date])


# ---------------------------------------------------------------------------------------------- key file


def test_a_key_is_made_once_closed_to_others_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "keys/study.key"
    made = Pseudonyms.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["study.key"]
    assert Pseudonyms.open(path).patient("1") == made.patient("1") == Pseudonyms.open_or_create(path).patient("1")
    with pytest.raises(InputError, match="an overwritten key is lost for ever"):
        Pseudonyms.create(path)
    assert Pseudonyms.open(path).fingerprint == made.fingerprint


def test_two_keys_differ(tmp_path: Path) -> None:
    keys = [Pseudonyms.open_or_create(tmp_path / f"{k}.key").fingerprint for k in range(2)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("where", ["c/my.key", "c/deep/my.key", "link/my.key"])
@pytest.mark.parametrize("known", [True, False])
def test_a_key_inside_a_cohort_is_refused(tmp_path: Path, where: str, known: bool) -> None:
    (tmp_path / "c/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "c")
    if not known:
        (tmp_path / "c/cohort.json").write_text("{}")
    for way in (Pseudonyms.create, Pseudonyms.open, Pseudonyms.open_or_create):
        with pytest.raises(InputError, match="the key must lie outside the cohort"):
            way(tmp_path / where, cohort=tmp_path / "c" if known else None)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Pseudonyms.create(tmp_path / "k")
    (tmp_path / "k").chmod(0o640)
    with pytest.raises(InputError, match="its mode is 0640"):
        Pseudonyms.open(tmp_path / "k")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"microcalc pseudonym key 1\nabc\n", b"secret\n" + b"0" * 64])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(InputError, match="key"):
        Pseudonyms.open(tmp_path / "k")


def test_a_missing_key_and_an_unwritable_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a readable file"):
        Pseudonyms.open(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(MicrocalcError, match="cannot be written"):
        Pseudonyms.create(tmp_path / "file/k")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(InputError, match="must have 32 bytes"):
        Pseudonyms(b"short")


# ---------------------------------------------------------------------------------------------- command


def test_the_day_of_a_test_set_can_be_asked_for(tmp_path: Path) -> None:
    key = Pseudonyms.create(tmp_path / "k")
    out = CliRunner().invoke(commands.app, ["shifted-day", "2018-01-01", "--key", str(tmp_path / "k")])
    assert out.output.strip() == key.day(dt.date(2018, 1, 1)).isoformat()
