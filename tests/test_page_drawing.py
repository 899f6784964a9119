"""What the page draws is what the server decoded: each grey within half a level, at every density of the screen."""

from collections.abc import Iterator

import numpy as np
import pytest

from dicom_samples import dataset, to_bytes
from microcalc.intake.dicom import Mammogram, read_mammogram
from page_browser import Browser, Room, Visitor, chromium, served, visiting

HALF_A_LEVEL = 0.5 + 1e-9
ROWS, COLS = 1100, 900
BOX = {"left": 280, "top": 140, "right": 700, "bottom": 680}
"""CSS pixels of the pane that no text covers."""


def noise() -> bytes:
    """A mammogram in which every pixel differs from its neighbours, so that a shift by one shows."""
    stored = np.random.default_rng(3).integers(0, 4096, (ROWS, COLS)).astype(np.uint16)
    return to_bytes(dataset(stored, WindowCenter=2048, WindowWidth=4096))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with served(tmp_path_factory.mktemp("room")) as made:
        yield made


@pytest.fixture(scope="module")
def source(browser: Browser, room: Room) -> np.ndarray:
    """(rows, cols) greys in [0, 255], not rounded; the image is in the room."""
    with visiting(browser, room) as visitor:
        visitor.by_token().upload(noise())
    mammogram = read_mammogram(noise())
    assert isinstance(mammogram, Mammogram)
    return np.rint(mammogram.pixels.astype(np.float64) * 65535) / 257


def opened(visitor: Visitor, way: str) -> None:
    """The one image, alone, the pointer away from it."""
    visitor.by_token(f"?draw={way}")
    visitor.open_exam("P1")
    visitor.page.mouse.move(1, 1)


def pane_of(visitor: Visitor) -> tuple[np.ndarray, float]:
    """The pane's own pixels, and screen pixels for each CSS pixel."""
    shown = visitor.pixels(visitor.page.locator(".pane"))
    return shown, shown.shape[1] / visitor.page.locator(".pane").bounding_box()["width"]


def part(shown: np.ndarray, ratio: float) -> np.ndarray:
    """Greys of the part that no text covers; the three colours must be one grey."""
    top, bottom, left, right = (round(BOX[side] * ratio) for side in ("top", "bottom", "left", "right"))
    colours = shown[top:bottom, left:right]
    assert (colours == colours[..., :1]).all()
    return colours[..., 0]


def corner(visitor: Visitor) -> tuple[int, int]:
    """Row and column of the image under the pane's first screen pixel, from what the page says under the pointer."""
    box = visitor.page.locator(".pane").bounding_box()
    visitor.page.mouse.move(box["x"] + BOX["left"], box["y"] + BOX["top"])
    words = visitor.page.locator("#place").inner_text().split()
    visitor.page.mouse.move(1, 1)
    return int(words[words.index("row") + 1]), int(words[words.index("col") + 1])


@pytest.mark.parametrize(("way", "density"), [("2d", 1), ("2d", 1.5), ("webgl2", 1), ("webgl2", 2)])
def test_at_one_to_one_each_screen_pixel_has_the_grey_of_its_image_pixel(browser, room, source, way, density):
    with visiting(browser, room, device_scale_factor=density) as visitor:
        opened(visitor, way)
        visitor.press("0")
        row, col = corner(visitor)
        shown, ratio = pane_of(visitor)
        seen = part(shown, ratio)
    assert ratio == pytest.approx(density, abs=0.01)
    height, width = seen.shape
    expected = source[row : row + height, col : col + width]
    assert np.abs(seen[: len(expected)] - expected).max() <= HALF_A_LEVEL
    assert len(np.unique(seen)) > 250


def averaged(source: np.ndarray, scale: float, top: float, left: float, shape: tuple[int, int]) -> np.ndarray:
    """Mean of the image over the box behind each screen pixel, by sums of areas: nothing of the page's own method.

    Args:
        source: (rows, cols).
        scale: screen pixels for each image pixel.
        top, left: place on the image of the part's corner, in image pixels.
        shape: screen pixels of the part.
    """
    sums = np.pad(source.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def at(edges: np.ndarray, plane: np.ndarray) -> np.ndarray:
        whole = np.floor(edges).astype(int).clip(0, len(plane) - 2)
        share = (edges - whole).reshape(-1, *[1] * (plane.ndim - 1))
        return plane[whole] * (1 - share) + plane[whole + 1] * share

    rows, cols = top + np.arange(shape[0] + 1) / scale, left + np.arange(shape[1] + 1) / scale
    areas = at(cols, at(rows, sums).T).T
    return np.diff(np.diff(areas, axis=0), axis=1) * scale**2


@pytest.mark.parametrize("way", ["2d", "webgl2"])
def test_a_reduced_image_is_the_mean_of_the_pixels_behind_each_screen_pixel(browser, room, source, way):
    with visiting(browser, room) as visitor:
        opened(visitor, way)
        pane = visitor.page.locator(".pane")
        scale = float(pane.get_attribute("data-scale"))
        shown, _ = pane_of(visitor)
        seen = part(shown, 1)
    room_beside = shown.shape[1] - COLS * scale
    x, y = round(room_beside / 2), round((shown.shape[0] - ROWS * scale) / 2)
    expected = averaged(source, scale, (BOX["top"] - y) / scale, (BOX["left"] - x) / scale, seen.shape)
    assert 0.5 < scale < 1
    assert np.abs(seen - expected).max() <= HALF_A_LEVEL + 0.01  # its sums are in single precision


def test_window_and_inversion_follow_the_ramp(browser, room, source):
    with visiting(browser, room) as visitor:
        opened(visitor, "2d")
        visitor.press("0", ".", ".", "k", "i")
        row, col = corner(visitor)
        words = visitor.page.locator(".pane-foot").inner_text()
        seen = part(pane_of(visitor)[0], 1)
    step = 1600 / 257
    low, width = step - 2 * step / 2, 255 + 2 * step
    expected = 255 - 255 * (source[row : row + len(seen), col : col + seen.shape[1]] - low) / width
    assert "inverted" in words
    assert np.abs(seen - expected.clip(0, 255)).max() <= HALF_A_LEVEL


def test_the_square_lies_where_the_roi_is_cut(browser, room, source):
    with visiting(browser, room) as visitor:
        opened(visitor, "2d")
        visitor.press("0")
        row, col = corner(visitor)
        box = visitor.page.locator(".pane").bounding_box()
        visitor.page.mouse.click(box["x"] + 500, box["y"] + 400)
        visitor.saved()
        visitor.page.mouse.move(1, 1)
        shown, _ = pane_of(visitor)
        place = visitor.page.get_by_label("Labels of the square").locator("p").first.inner_text()
        visitor.press("Delete")
    centre_row, centre_col = row + 400 - BOX["top"], col + 500 - BOX["left"]
    assert place.startswith(f"row {centre_row}, column {centre_col} · 512 px")
    blue = shown[..., 2].astype(int) - shown[..., 0] > 40
    across, down = np.flatnonzero(blue[:, 300:700].all(axis=1)), np.flatnonzero(blue[200:600].all(axis=0))
    # A line of two pixels around the edge that lies between pixel 255 before and pixel 256 before the middle.
    assert list(across) == [400 - 257, 400 - 256, 400 + 255, 400 + 256]
    assert list(down) == [500 - 257, 500 - 256, 500 + 255, 500 + 256]
