"""A whole phantom cohort: sound, complete, marked, and the same whoever draws it."""

import hashlib
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from microcalc.cli import app
from microcalc.cohort import Cohort, assign_splits, check_cohort, patients_on_two_sides, read_roi
from microcalc.errors import CohortError, MicrocalcError, ProtocolError
from microcalc.intake import phantom_drawing
from microcalc.intake.phantom import BestAuc, PhantomSettings, Tissue, best_auc, write_phantom_cohort
from microcalc.intake.phantom_model import TRAITS, label_model
from microcalc.intake.phantom_patients import images_of_lesions, plan_patients, split_of_patients
from microcalc.protocol import SplitSettings
from microcalc.vocabulary import Split

SHARES = {Split.TEST: 0.3, Split.VALIDATION: 0.1}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return write_phantom_cohort(tmp_path_factory.mktemp("phantom") / "cohort", PhantomSettings(images=24, seed=3))


@pytest.fixture(scope="module")
def truth(cohort: Cohort) -> pd.DataFrame:
    return pd.read_csv(cohort.folder / "truth.csv")


@pytest.fixture(scope="module")
def lesions(cohort: Cohort) -> pd.DataFrame:
    return pd.read_csv(cohort.folder / "lesions.csv")


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    """The plan of a large cohort, one row per image, nothing drawn."""
    patients = plan_patients(1, label_model(1.0), patients=3000, images=None)
    return pd.DataFrame(
        {
            "patient": p.patient_id, "lesion": x.lesion_id, "label": x.label, "date": p.exam_date, "view": i.view.value,
            "magnification": i.magnification, "birads": x.birads, "probability": x.lesion.probability, "id": i.image_id,
        }
        for p in patients for x in p.lesions for i in x.images
    )  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_cohort_is_sound(cohort):
    audit = check_cohort(cohort.folder)
    assert not audit.has_errors
    assert audit.images == 24
    assert "synthetic" in {f.code for f in audit.findings}


def test_every_column_that_can_be_is_filled(cohort):
    empty = {c for c in cohort.table if (cohort.table[c].isna() | (cohort.table[c].astype(str) == "")).any()}
    assert empty == {"source_uid", "roi_row", "roi_col"}


def test_it_says_synthetic_everywhere(cohort):
    assert cohort.synthetic
    assert cohort.record["phantom"]["notice"].startswith("SYNTHETIC")
    assert "SYNTHETIC" in cohort.record["sources"][0]["title"]
    for column in ("site", "manufacturer"):
        assert set(cohort.table[column]) == {"synthetic"}
    for column in ("image_id", "patient_id", "lesion_id"):
        assert cohort.table[column].str.startswith("PHANTOM-").all()
    with Image.open(cohort.image_paths()[0]) as image:
        assert "SYNTHETIC" in image.info["Title"]


def test_images_are_512_pixels_of_16_bits(cohort):
    for path in cohort.image_paths():
        pixels = read_roi(path)
        assert pixels.shape == (512, 512)
        assert len(np.unique(pixels)) > 300


def test_images_of_a_lesion_share_its_descriptors(cohort, lesions):
    merged = cohort.table.merge(lesions, on="lesion_id", suffixes=("", "_lesion"))
    assert len(merged) == 24
    for column in ("label", "pathology", "morphology", "distribution", "patient_id"):
        assert (merged[column] == merged[f"{column}_lesion"]).all()


def test_every_calcification_is_brighter_than_its_surroundings(cohort, truth):
    contrast = []
    for image_id, dots in truth.groupby("image_id"):
        pixels = read_roi(cohort.image_path(str(image_id))).astype(float)
        rows, cols = dots["row"].round().astype(int), dots["col"].round().astype(int)
        contrast += [pixels[r, c] - np.median(pixels[max(r - 15, 0) : r + 16, max(c - 15, 0) : c + 16])
                     for r, c in zip(rows, cols, strict=True)]  # fmt: skip
    assert np.mean(np.array(contrast) > 500) > 0.95


def test_every_image_has_a_mask_with_its_calcifications_in_it(cohort, truth):
    for image_id in cohort.table["image_id"]:
        with Image.open(cohort.folder / "masks" / f"{image_id}.png") as file:
            mask = np.asarray(file)
        assert mask.shape == (512, 512)
        assert set(np.unique(mask)) <= {0, 255}
        dots = truth[truth["image_id"] == image_id]
        assert len(dots) >= 3
        assert (mask[dots["row"].astype(int), dots["col"].astype(int)] == 255).all()


def test_truth_is_in_range_and_consistent(cohort, truth):
    spacing = 0.07 / cohort.table.set_index("image_id")["magnification"]
    assert truth["row"].between(0, 511).all()
    assert truth["col"].between(0, 511).all()
    assert truth["size_mm"].between(0.14, 0.70).all()
    np.testing.assert_allclose(truth["size_pixels"] * truth["image_id"].map(spacing), truth["size_mm"], rtol=1e-4)


def test_the_stated_model_gives_the_probability_of_every_lesion(cohort, lesions):
    model = cohort.record["phantom"]["model"]
    score = lesions["morphology"].map(model["morphology"]) + lesions["distribution"].map(model["distribution"])
    score += sum(model["traits"][t] * lesions[f"trait_{t}"] for t in TRAITS)
    expected = 1 / (1 + np.exp(-(model["intercept"] + score / model["difficulty"])))
    np.testing.assert_allclose(lesions["probability"], expected, rtol=1e-4)


def test_the_best_auc_stands_in_the_record(cohort):
    facts = cohort.record["phantom"]
    assert BestAuc(facts["best_auc"], facts["best_auc_standard_error"]) == best_auc(PhantomSettings())
    assert 0 < facts["best_auc_standard_error"] < 0.002
    assert facts["seed"] == 3
    assert facts["tissue"] == "noise"


@pytest.mark.parametrize("by", ["auto", "table", "date", "patient"])
def test_every_way_to_divide_works_and_keeps_patients_together(cohort, by):
    result = assign_splits(cohort.table, SplitSettings(by=by))
    assert set(result.split) == {"train", "validation", "test"}
    assert patients_on_two_sides(cohort.table["patient_id"], result.split) == []


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_drawing, "WORTHWHILE", 2)
    alone = write_phantom_cohort(tmp_path / "one", PhantomSettings(images=6, seed=5))
    together = write_phantom_cohort(tmp_path / "two", PhantomSettings(images=6, seed=5), processes=2)
    assert len(contents(alone.folder)) == 2 * 6 + 4
    assert contents(alone.folder) == contents(together.folder)


def test_another_seed_is_another_cohort_and_a_longer_one_begins_alike(tmp_path):
    first, other, longer = (
        write_phantom_cohort(tmp_path / f"{n}-{seed}", PhantomSettings(patients=n, seed=seed))
        for n, seed in ((2, 1), (2, 2), (3, 1))
    )
    mine = {n: h for n, h in contents(first.folder).items() if n.startswith("rois")}
    assert mine.items() <= contents(longer.folder).items()
    assert not set(mine.values()) & set(contents(other.folder).values())


class _Dead:
    """A pool whose processes have been killed."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None: ...

    def shutdown(self, **_: object) -> None: ...

    def submit(self, *_: object) -> object:
        raise BrokenProcessPool


def test_a_process_that_dies_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_drawing, "ProcessPoolExecutor", _Dead)
    with pytest.raises(MicrocalcError, match=r"ended unexpectedly.*start again with --processes 1"):
        write_phantom_cohort(tmp_path / "c", PhantomSettings(images=100), processes=2)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_up_to_all_images(tmp_path):
    told: list[tuple[int, int]] = []
    write_phantom_cohort(tmp_path / "c", PhantomSettings(images=5), progress=lambda *step: told.append(step))
    assert told[-1] == (5, 5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CohortError, match="holds something else"):
        write_phantom_cohort(tmp_path, PhantomSettings(images=1))
    assert contents(tmp_path).keys() == {"mine.txt"}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"images": 3, "patients": 2}, "images or patients, not both; got 3 and 2"),
        ({"images": 0}, "at least one image.*got images 0"),
        ({"patients": -1}, "at least one image.*patients -1"),
        ({"seed": -1}, "a seed of 0 or more.*seed -1"),
        ({"difficulty": 0.0}, r"difficulty must be 0.05 to 20 \(1 is the default\); got 0.0"),
        ({"difficulty": float("nan")}, "got nan"),
        ({"tissue": "silk"}, "tissue must be one of noise, mammograms; got 'silk'"),
        ({"test_share": 0.9, "validation_share": 0.1}, "leave patients to train on; got 0.9 and 0.1"),
    ],
)
def test_settings_that_make_no_cohort_are_refused(wrong, text):
    with pytest.raises(ProtocolError, match=text):
        PhantomSettings(**wrong)


def test_as_many_images_as_asked_for():
    for wanted in (1, 2, 7, 100):
        patients = plan_patients(4, label_model(1.0), patients=None, images=wanted)
        assert sum(p.images for p in patients) == wanted
        assert all(p.images for p in patients)


def test_patients_have_one_to_four_images_about_two_on_average(many):
    counts = many.groupby("patient")["id"].count()
    assert set(counts) == {1, 2, 3, 4}
    assert counts.mean() == pytest.approx(1579 / 821, abs=0.12)
    assert many["id"].is_unique


def test_some_patients_have_two_lesions_and_none_has_more(many):
    assert set(many.groupby("patient")["lesion"].nunique()) == {1, 2}


def test_images_of_lesions_are_those_of_planned_patients(many):
    drawn = images_of_lesions(np.random.default_rng(0), 20_000)
    drawn = drawn[drawn > 0]
    planned = many.groupby("lesion")["id"].count()
    for n in (1, 2, 3, 4):
        assert (drawn == n).mean() == pytest.approx((planned == n).mean(), abs=0.025)


def test_the_share_of_malignant_images_is_the_papers(many):
    assert many["label"].mean() == pytest.approx(589 / 1579, abs=0.025)


def test_exams_are_of_2007_to_2019_and_a_sixth_of_them_of_the_last_two_years(many):
    years = pd.to_datetime(many["date"]).dt.year
    assert (years.min(), years.max()) == (2007, 2019)
    assert (years >= 2018).mean() == pytest.approx(2 / 13, abs=0.03)


def test_spot_views_are_magnified_and_others_are_not(many):
    spot = many["id"].str.endswith("-SPOT")
    assert 0.15 < spot.mean() < 0.45
    assert many.loc[spot, "magnification"].between(1.5, 1.8).all()
    assert (many.loc[~spot, "magnification"] == 1).all()
    assert set(many["view"]) == {"CC", "MLO"}


def test_birads_rises_with_the_probability(many):
    means = many.groupby("birads")["probability"].mean()
    assert list(means.sort_values().index) == ["3", "4A", "4B", "4C", "5"]


def test_sets_have_their_shares_and_alike_classes():
    patients = plan_patients(2, label_model(1.0), patients=400, images=None)
    divided = split_of_patients(patients, 2, SHARES)
    assert [p.patient_id for p in divided] == [p.patient_id for p in patients]
    for split, share in {Split.TRAIN: 0.6, **SHARES}.items():
        members = [p for p in divided if p.split is split]
        assert len(members) == pytest.approx(share * 400, abs=2)
        assert np.mean([p.malignant for p in members]) == pytest.approx(
            np.mean([p.malignant for p in patients]), abs=0.03
        )


def test_the_command_draws_a_cohort_and_names_its_files(tmp_path):
    out = tmp_path / "cohort"
    arguments = ["cohort", "phantom", "--out", str(out), "--images", "3", "--processes", "1", "--seed", "9"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "SYNTHETIC phantoms on power-law tissue" in done.output
    assert "3 images" in done.output
    assert "best possible AUC of such lesions: 0.95" in done.output
    for name in ("cohort.csv", "cohort.json", "rois", "masks", "truth.csv", "lesions.csv"):
        assert str(out / name) in done.output
        assert (out / name).exists()


def test_the_command_names_both_kinds_of_tissue():
    assert {t.value for t in Tissue} == {"noise", "mammograms"}
