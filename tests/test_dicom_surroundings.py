"""What the pixels say against the header: bright surroundings, and text outside the breast."""

import numpy as np
import pytest

from dicom_samples import breast, dataset, to_bytes, with_text
from microcalc.intake.dicom import Mammogram, NoteCode, ReadOptions, read_mammogram

INVERSE = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}


def read(stored, options=None, **elements) -> Mammogram:
    answer = read_mammogram(to_bytes(dataset(stored, **elements)), options or ReadOptions())
    assert isinstance(answer, Mammogram), answer
    return answer


def codes(answer) -> set[NoteCode]:
    return {note.code for note in answer.notes}


@pytest.mark.parametrize("shape", [(96, 64), (900, 700)])
def test_bright_surroundings_are_turned_round_and_said(shape):
    right = read(breast(*shape))
    assert NoteCode.BACKGROUND_BRIGHT not in codes(right)
    wrong = read(breast(*shape), **INVERSE)  # the header says inverse, the pixels are not
    assert NoteCode.BACKGROUND_BRIGHT in codes(wrong)
    np.testing.assert_allclose(wrong.pixels, right.pixels, atol=1e-6)


def test_a_true_inverse_image_is_left_as_the_header_says():
    answer = read(4095 - breast(900, 700), **INVERSE)
    assert NoteCode.BACKGROUND_BRIGHT not in codes(answer)
    np.testing.assert_allclose(answer.pixels, read(breast(900, 700)).pixels, atol=1e-6)


def test_it_can_be_turned_off():
    answer = read(breast(900, 700), ReadOptions(check_pixels=False), **INVERSE)
    assert np.median(answer.pixels) > 0.9


def test_a_view_that_fills_the_image_is_left_to_the_header_and_said():
    y, x = np.mgrid[:900, :700]
    full = (2000 + 900 * np.sin(y / 90) * np.cos(x / 70) + (y * 7 + x * 13) % 301).astype("u2")
    answer = read(full)
    assert NoteCode.BACKGROUND_UNCLEAR in codes(answer)
    assert NoteCode.BACKGROUND_BRIGHT not in codes(answer)


def test_padding_says_nothing_of_the_surroundings():
    stored = breast(900, 700)
    stored[:80], stored[-80:], stored[:, -80:] = 4095, 4095, 4095
    assert NoteCode.BACKGROUND_BRIGHT not in codes(read(stored, PixelPaddingValue=4095))


def test_text_outside_the_breast_is_suspected_where_it_is():
    stored = with_text(breast(1200, 900), "DOE JANE", (600, 100))
    answer = read(stored)
    assert NoteCode.BURNED_IN_SUSPECTED in codes(answer)
    message = next(n.message for n in answer.notes if n.code is NoteCode.BURNED_IN_SUSPECTED)
    assert "rows 96 to" in message or "rows 112 to" in message
    assert answer.stored.max() == 4095  # nothing is painted over
    assert NoteCode.BURNED_IN_SUSPECTED in codes(read(stored, **INVERSE))


@pytest.mark.parametrize("change", ["nothing", "speck", "line", "text in the breast"])
def test_what_is_no_text_outside_the_breast_is_not_suspected(change):
    stored = breast(1200, 900)
    if change == "speck":
        stored[100:104, 700:704] = 4095
    elif change == "line":
        stored[:, 800:803] = 4095
    elif change == "text in the breast":
        stored = with_text(stored, "IN", (100, 580))
    assert NoteCode.BURNED_IN_SUSPECTED not in codes(read(stored))


def test_the_headers_word_on_text_is_kept():
    assert NoteCode.BURNED_IN_DECLARED in codes(read(breast(), BurnedInAnnotation="YES"))
    assert read(breast()).facts.burned_in == "NO"
