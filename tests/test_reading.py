"""A finished study reads a square: the scores are its own, the rest follows from them."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from microcalc import RESEARCH_USE
from microcalc.cohort import read_cohort, read_roi
from microcalc.errors import ImageError, ProtocolError, StudyError, TableError, WeightsError
from microcalc.intake.dicom import Facts, Mammogram
from microcalc.learn.gradcam import heatmaps
from microcalc.learn.predict import read_scores
from microcalc.protocol import ENSEMBLE
from microcalc.reader.reader import Reader
from microcalc.reader.reading import WarningCode
from microcalc.reader.words import caption
from microcalc.report.words import grid_words

FLOAT32 = 2e-4
"""Folding the batch norms and another order of sums move a probability of these steep little networks by less."""


@pytest.fixture(scope="module")
def reader(planted: Path) -> Reader:
    return Reader.open(planted, runtime="torch-f32")


@pytest.fixture(scope="module")
def squares(planted: Path, reader: Reader) -> dict[str, np.ndarray]:
    cohort = read_cohort(planted.parent / "cohort")
    return {name: read_roi(cohort.image_path(name)) for name in reader.study.test.images["image_id"]}


def mammogram(pixels: np.ndarray, **facts: object) -> Mammogram:
    return Mammogram(stored=pixels, facts=Facts(**facts), pixels=(pixels / 65535).astype(np.float32))


def copy_of(study: Path, folder: Path) -> Path:
    return Path(shutil.copytree(study, folder / "copy"))


def test_scores_of_every_test_image_are_the_studys_own(reader: Reader, squares):
    test = reader.study.test
    for i, name in enumerate(test.images["image_id"]):
        reading = reader.read_roi(squares[name])
        said = dict(zip(test.models, test.scores[i], strict=True))
        for network, score in reading.networks.items():
            assert score == pytest.approx(said[network], abs=FLOAT32)
        assert reading.ensemble == pytest.approx(said[ENSEMBLE], abs=FLOAT32)
        assert reading.ensemble == pytest.approx(np.mean(list(reading.networks.values())), abs=1e-15)


def test_heatmaps_are_those_that_the_study_kept(planted: Path, reader: Reader, squares):
    cohort = read_cohort(planted.parent / "cohort")
    scores = read_scores(planted / "networks" / reader.study.run / "inception_v3")
    name = reader.study.test.images["image_id"].iloc[0]
    position = int(np.flatnonzero(scores.rows == cohort.table.index[cohort.table["image_id"] == name][0])[0])
    kept = heatmaps(torch.from_numpy(scores.maps[[position], 1]), side=512)[0].numpy()
    assert reader.read_roi(squares[name]).heatmaps["inception_v3"] == pytest.approx(kept, abs=1e-3)


def test_every_heatmap_is_a_picture_of_the_square_from_0_to_1(reader: Reader, squares):
    maps = reader.read_roi(squares["i14"]).heatmaps  # malignant, so there is something to see
    assert list(maps) == ["resnet101", "inception_v3", ENSEMBLE]
    for heatmap in maps.values():
        assert (heatmap.shape, heatmap.dtype) == ((512, 512), np.float32)
        assert heatmap.min() >= 0
        assert heatmap.max() in (0, 1)
    mean = np.mean([maps[name] for name in list(maps)[:2]], axis=0)
    assert mean.max() > 0
    assert maps[ENSEMBLE] == pytest.approx(mean / mean.max(), abs=1e-6)


def test_a_square_cut_from_a_mammogram_is_read_as_the_square_itself(reader: Reader, squares):
    square = next(iter(squares.values()))
    film = np.zeros((700, 800), np.uint16)
    film[100:612, 150:662] = square
    reading = reader.read(mammogram(film), 356.4, 405.6)
    assert (reading.roi.row, reading.roi.col, reading.roi.side, reading.roi.padded) == (356, 406, 512, False)
    assert reading.networks == reader.read_roi(square).networks


def test_a_square_that_leaves_its_mammogram_says_so(reader: Reader, squares):
    reading = reader.read(mammogram(next(iter(squares.values()))), 100, 256)
    assert reading.roi.padded
    assert WarningCode.PADDED in {w.code for w in reading.warnings}


def test_a_point_outside_is_refused(reader: Reader, squares):
    with pytest.raises(ImageError, match="must lie in its mammogram"):
        reader.read(mammogram(next(iter(squares.values()))), 600, 10)


@pytest.mark.parametrize(
    ("square", "words"),
    [(np.zeros((511, 512), np.uint16), "512 rows x 512 columns"), (np.zeros((512, 512), np.float32), "of uint16")],
)
def test_a_square_must_have_the_size_and_type_of_a_cohorts(reader: Reader, square, words):
    with pytest.raises(ImageError, match=words):
        reader.read_roi(square)


def test_the_call_is_the_ensemble_above_the_frozen_cutoff(reader: Reader, squares):
    for square in squares.values():
        reading = reader.read_roi(square)
        assert reading.called is (reading.ensemble > reader.cutoff)
        assert (reading.cutoff, reading.chosen_on) == (reader.cutoff, "validation")
        assert reading.calibrated == reader.judgement.calibrated(reading.ensemble)


def test_a_score_no_image_of_the_study_had_is_warned_of(reader: Reader, squares):
    glaring = next(iter(squares.values())).copy()
    glaring[200:300, 200:300] = 45_000
    reading = reader.read_roi(glaring)
    low, high = reader.judgement.seen
    assert not low <= reading.ensemble <= high
    assert WarningCode.SCORE_OUTSIDE in {w.code for w in reading.warnings}


def test_the_prevalence_can_be_chosen_and_changed(reader: Reader, squares):
    square = next(iter(squares.values()))
    assert reader.read_roi(square).meaning.prevalence == reader.prevalence
    reading = reader.read_roi(square, prevalence=0.02)
    assert reading.meaning == reader.meaning(0.02)
    assert reading.with_meaning(reader.meaning(0.3)).meaning.prevalence == 0.3


def test_the_record_is_json_without_pictures(reader: Reader, squares):
    reading = reader.read_roi(next(iter(squares.values())))
    record = json.loads(json.dumps(reading.as_record(), allow_nan=False))
    assert record["research_use"] == RESEARCH_USE
    assert set(record["networks"]) == {"resnet101", "inception_v3"}
    assert record["runtime"] == "torch f32"
    assert list(record["heatmaps"]) == list(reading.heatmaps)
    assert all(set(about) == {"grid", "empty"} for about in record["heatmaps"].values())
    assert {"code", "message"} == set(record["warnings"][0])


def test_threads_side_by_side_read_the_same(reader: Reader, squares):
    alone = [reader.read_roi(square).networks for square in squares.values()]
    with ThreadPoolExecutor(4) as pool:
        together = [reading.networks for reading in pool.map(reader.read_roi, squares.values())]
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_study_of_one_network_reads_with_it_alone(planted_alone: Path):
    reader = Reader.open(planted_alone, runtime="torch-f32")
    reading = reader.read_roi(read_roi(next((planted_alone.parent / "cohort/rois/benign").iterdir())))
    assert reading.ensemble == reading.networks["resnet101"]
    assert set(reading.heatmaps) == {"resnet101", ENSEMBLE}


def test_what_the_training_images_were_is_found_in_the_study(reader: Reader):
    trained = reader.study.trained
    assert trained is not None
    assert (trained.images, dict(trained.views), trained.spacing_mm) == (24, {"CC": 24}, (0.07, 0.07))
    assert trained.manufacturers == {"Lightworks, Inc.": 24}


def test_squares_of_one_spacing_are_resampled_as_the_study_was(planted: Path, tmp_path: Path, squares):
    study = copy_of(planted, tmp_path)
    record = json.loads((study / "study.json").read_text())
    record["trained_on"]["roi_spacing_mm"] = 0.07
    (study / "study.json").write_text(json.dumps(record))
    reader = Reader.open(study, runtime="torch-f32")
    film = np.kron(next(iter(squares.values())), np.ones((2, 2), np.uint16))
    assert reader.read(mammogram(film, pixel_spacing_mm=0.035), 512, 512).roi.side == 1024
    with pytest.raises(ImageError, match="its header has none"):
        reader.read(mammogram(film), 512, 512)


def test_a_study_that_is_not_finished_says_how_to_finish_it(planted: Path, tmp_path: Path):
    study = copy_of(planted, tmp_path)
    record = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(record | {"complete": False}))
    with pytest.raises(StudyError, match=r"must be finished .* Start it again"):
        Reader.open(study)
    with pytest.raises(StudyError, match=r"study\.json and protocol\.yaml; it holds none"):
        Reader.open(tmp_path)


def test_a_run_that_does_not_exist_is_refused_with_those_that_do(planted: Path):
    with pytest.raises(StudyError, match=r"has the runs lr1e-03; got 'lr1e-05'"):
        Reader.open(planted, run="lr1e-05")


def test_weights_that_were_changed_since_are_refused(planted_alone: Path, tmp_path: Path):
    study = copy_of(planted_alone, tmp_path)
    weights = next(study.rglob("best.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="changed or damaged since"):
        Reader.open(study)
    weights.unlink()
    with pytest.raises(WeightsError, match="must be readable"):
        Reader.open(study)


def test_a_study_without_its_scores_is_refused(planted_alone: Path, tmp_path: Path):
    study = copy_of(planted_alone, tmp_path)
    (study / "predictions.csv").unlink()
    with pytest.raises(TableError, match="readable CSV"):
        Reader.open(study)


def test_an_older_study_without_facts_reads_and_says_that_nothing_was_compared(planted_alone: Path, tmp_path: Path):
    study = copy_of(planted_alone, tmp_path)
    record = json.loads((study / "study.json").read_text())
    del record["trained_on"]
    (study / "study.json").write_text(json.dumps(record))
    reading = Reader.open(study, runtime="torch-f32").read_roi(np.full((512, 512), 20_000, np.uint16))
    assert WarningCode.NOT_COMPARED in {w.code for w in reading.warnings}


def test_a_runtime_must_be_one_of_those_there_are(planted_alone: Path):
    with pytest.raises(ProtocolError, match="must be one of auto, torch-f32"):
        Reader.open(planted_alone, runtime="tensorrt")


def test_a_black_square_gets_a_warning_before_all_others(reader: Reader):
    reading = reader.read_roi(np.zeros((512, 512), np.uint16))
    assert reading.warnings[0].code is WarningCode.BLANK
    assert "100 % of the square is black" in reading.warnings[0].message


def test_a_reading_tells_how_fine_its_heatmaps_are(planted: Path, reader: Reader, squares):
    reading = reader.read_roi(squares["i14"])
    told = reading.as_record()["heatmaps"]
    for name in reading.networks:
        kept = read_scores(planted / "networks" / reader.study.run / name).maps.shape[-2:]
        assert reading.grids[name] == kept
        assert told[name] == {"grid": list(kept), "empty": not reading.heatmaps[name].any()}
        assert grid_words(kept) in caption(reading, name)
    assert told[ENSEMBLE]["grid"] is None
    assert "grid" not in caption(reading, ENSEMBLE)


def test_a_heatmap_of_0_everywhere_is_told(reader: Reader, squares):
    reading = reader.read_roi(squares["i14"])
    emptied = replace(reading, heatmaps=dict(reading.heatmaps) | {"resnet101": np.zeros((512, 512), np.float32)})
    assert emptied.as_record()["heatmaps"]["resnet101"]["empty"] is True
    assert "empty, no place speaks for malignancy" in caption(emptied, "resnet101")


def test_the_caption_of_a_picture_holds_the_warnings(reader: Reader):
    reading = reader.read_roi(np.zeros((512, 512), np.uint16))
    said = caption(reading, ENSEMBLE)
    for warning in reading.warnings:
        assert f"Warning: {warning.message}." in said
    assert said.endswith(RESEARCH_USE)
