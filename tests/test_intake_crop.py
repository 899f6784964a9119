"""The square around a lesion: where it lies, what fills it beyond the edge, and how it is resampled."""

import numpy as np
import pytest
from numpy.typing import NDArray

from microcalc.errors import ImageError, ProtocolError
from microcalc.intake.crop import Box, Scale, box_of_mask, cut_lesion, cut_roi

Grey = NDArray[np.float32]


def ramp(rows: int = 900, columns: int = 800) -> Grey:
    """Every pixel of its own grey: 16-bit value row * 40 + column // 16."""
    values = np.arange(rows)[:, None] * 40 + np.arange(columns)[None, :] // 16
    return (values / 65535).astype(np.float32)


def sixteen(pixels: Grey) -> NDArray[np.uint16]:
    return np.rint(pixels * 65535).astype(np.uint16)


def test_the_square_holds_the_mammograms_own_pixels_around_the_point():
    image = ramp()
    roi = cut_roi(image, 400, 300)
    assert (roi.pixels == sixteen(image[144:656, 44:556])).all()
    assert (roi.row, roi.col, roi.padded, roi.factor) == (400, 300, False, 1.0)
    assert roi.pixels[256, 256] == sixteen(image)[400, 300]


def test_halves_are_rounded_up():
    roi = cut_roi(ramp(), 400.5, 299.49)
    assert (roi.row, roi.col) == (401, 299)


@pytest.mark.parametrize(("row", "col"), [(0, 0), (0, 799), (899, 0), (899, 799), (100, 400), (400, 790)])
def test_beyond_the_edge_the_picture_is_mirrored_as_numpy_does(row: int, col: int):
    image = ramp()
    roi = cut_roi(image, row, col)
    wide = np.pad(image, 300, mode="reflect")
    assert roi.padded
    assert (roi.pixels == sixteen(wide[row + 44 : row + 556, col + 44 : col + 556])).all()


def test_a_square_that_just_touches_the_edge_is_not_padded():
    assert not cut_roi(ramp(), 256, 256).padded
    assert not cut_roi(ramp(), 900 - 256, 800 - 256).padded
    assert cut_roi(ramp(), 255, 256).padded
    assert cut_roi(ramp(), 256, 800 - 255).padded


def test_a_mammogram_smaller_than_the_square_is_mirrored_again_and_again():
    image = ramp(100, 30)
    roi = cut_roi(image, 50, 15)
    wide = np.pad(image, 600, mode="reflect")
    assert roi.padded
    assert (roi.pixels == sixteen(wide[600 + 50 - 256 : 600 + 50 + 256, 600 + 15 - 256 : 600 + 15 + 256])).all()


def test_a_single_row_can_be_cut():
    image = np.full((1, 1), 0.5, dtype=np.float32)
    assert (cut_roi(image, 0, 0).pixels == 32768).all()


def test_a_point_outside_the_mammogram_is_refused():
    with pytest.raises(ImageError, match="must lie in its mammogram of 900 rows x 800 columns; it lies at row 900"):
        cut_roi(ramp(), 900, 10)
    with pytest.raises(ImageError, match="column -1"):
        cut_roi(ramp(), 10, -1)


def test_resampling_keeps_a_ramp_and_its_place():
    rows, columns = np.mgrid[0:2000, 0:1800].astype(np.float32)
    image = (0.1 + 0.0002 * rows + 0.0001 * columns).astype(np.float32)
    for factor in (0.5, 0.7, 1.4, 2.0):
        roi = cut_roi(image, 1000, 900, factor=factor)
        away = (np.arange(512) - 256) * factor
        expected = 0.1 + 0.0002 * (1000 + away)[:, None] + 0.0001 * (900 + away)[None, :]
        assert np.abs(roi.pixels / 65535 - expected).max() < 2e-5
        assert not roi.padded
        assert roi.factor == factor


def test_resampling_by_one_is_no_resampling():
    image = ramp()
    assert (cut_roi(image, 300, 300, factor=1 + 1e-9).pixels == cut_roi(image, 300, 300).pixels).all()


def test_a_reduction_does_not_alias():
    """Stripes one pixel wide are finer than the reduced grid: they must turn grey, not into other stripes."""
    stripes = np.tile(np.float32([0.0, 1.0]), (2000, 1000)).astype(np.float32)
    roi = cut_roi(stripes, 1000, 1000, factor=2.6)
    assert np.abs(roi.pixels / 65535 - 0.5).max() < 0.06


def test_a_resampled_square_says_when_it_left_the_mammogram():
    image = ramp(1200, 1200)
    assert not cut_roi(image, 600, 600, factor=2.0).padded
    assert cut_roi(image, 500, 600, factor=2.0).padded
    assert not cut_roi(image, 200, 200, factor=0.5).padded
    corner = cut_roi(image, 0, 0, factor=0.5).pixels
    assert corner[256, 256] == pytest.approx(0, abs=40)
    # Half a pixel to either side of the corner, the mirror shows the same.
    assert np.abs(corner[255, 256:300].astype(int) - corner[257, 256:300]).max() <= 1


def test_a_lesion_wider_than_the_square_is_remarked_on():
    roi, remark = cut_lesion(ramp(), Box(100, 100, 700, 300))
    assert (roi.row, roi.col) == (400, 200)
    assert remark.startswith("the lesion is larger than the square: 601 rows x 201 columns against 512")
    assert cut_lesion(ramp(), Box(100, 100, 611, 300))[1] == ""
    assert cut_lesion(ramp(), Box(100, 100, 700, 300), factor=2.0)[1] == ""


def test_the_box_of_a_mask_is_the_box_around_all_of_it():
    mask = np.zeros((50, 60), dtype=np.uint8)
    mask[10, 20] = mask[30, 25] = 255
    box = box_of_mask(mask)
    assert box == Box(10, 20, 30, 25)
    assert box.centre == (20, 22.5)
    assert box.size == (21, 6)
    with pytest.raises(ImageError, match="it is 0 everywhere"):
        box_of_mask(np.zeros((5, 5)))


def test_a_box_on_a_finer_grid_covers_the_same_area():
    box = Box(10, 20, 19, 39).scaled(2, 3)
    assert box == Box(20, 60, 39, 119)
    assert box.size == (20, 60)
    assert Box(0, 0, 0, 0).scaled(3, 3).centre == (1.0, 1.0)


def test_a_box_that_ends_before_it_begins_is_refused():
    with pytest.raises(ImageError, match="top <= bottom"):
        Box(10, 0, 9, 5)
    with pytest.raises(ImageError, match="finite"):
        Box(float("nan"), 0, 9, 5)


def test_scales_are_written_as_pixels_or_millimetres():
    assert Scale.parse("pixels") == Scale()
    assert Scale.parse("mm:0.07") == Scale(0.07)
    assert Scale.parse("square:35.84mm").spacing_mm == pytest.approx(0.07)
    assert Scale.parse("mm:0.07").factor(0.05) == pytest.approx(1.4)
    assert Scale().factor(None) == 1.0
    for bad in ("0.07", "mm:", "mm:wide", "cm:3"):
        with pytest.raises(ProtocolError, match=r"'mm:0\.07'"):
            Scale.parse(bad)
    with pytest.raises(ProtocolError, match=r"0\.01 to 0\.5 mm; got 7"):
        Scale.parse("mm:7")


def test_a_scale_in_millimetres_needs_the_spacing_of_the_mammogram():
    with pytest.raises(ImageError, match="its header has none"):
        Scale(0.07).factor(None)
