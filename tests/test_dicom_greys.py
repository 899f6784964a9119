"""Greys by the formulas of PS3.3 C.11, written out here once more, pixel by pixel."""

import math

import numpy as np
import pytest

from dicom_samples import breast, dataset, item, to_bytes
from microcalc.intake.dicom import Mammogram, NoteCode, ReadOptions, Refusal, read_mammogram
from microcalc.intake.dicom.greys import GreyScale

LOOK_AWAY = ReadOptions(check_pixels=False)


def read(ds, options=LOOK_AWAY) -> Mammogram:
    answer = read_mammogram(to_bytes(ds), options)
    assert not isinstance(answer, Refusal), answer
    return answer


def table_item(descriptor, data, *, kind="US", **elements):
    """An item of a LUT sequence."""
    found = item(**elements)
    found.add_new("LUTDescriptor", kind, descriptor)
    found.add_new("LUTData", "US", data)
    return found


def ramp(bits=12, signed=False) -> np.ndarray:
    """(16, 256) every 12-bit value once."""
    values = np.arange(1 << bits).reshape(16, -1) - ((1 << (bits - 1)) if signed else 0)
    return values.astype("i2" if signed else "u2")


def linear(x: float, c: float, w: float) -> float:
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 1.0
    return (x - (c - 0.5)) / (w - 1) + 0.5


def linear_exact(x: float, c: float, w: float) -> float:
    if x <= c - w / 2:
        return 0.0
    if x > c + w / 2:
        return 1.0
    return (x - c) / w + 0.5


def sigmoid(x: float, c: float, w: float) -> float:
    return 1 / (1 + math.exp(min(-4 * (x - c) / w, 700)))


FORMULAS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


@pytest.mark.parametrize("function", FORMULAS)
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1000, 500), (-200, 900), (3000.5, 1), (2047.25, 30.5)])
def test_windows_follow_the_formulas_of_the_standard(function, center, width):
    answer = read(dataset(ramp(), WindowCenter=center, WindowWidth=width, VOILUTFunction=function))
    expected = [FORMULAS[function](x, center, width) for x in range(4096)]
    np.testing.assert_allclose(answer.pixels.ravel(), expected, atol=2e-6)
    assert f"window {center:g}/{width:g} {function}" in answer.facts.voi


def test_rescale_comes_before_the_window():
    answer = read(dataset(ramp(), RescaleSlope="0.5", RescaleIntercept="-100", WindowCenter=300, WindowWidth=800))
    expected = [linear(0.5 * x - 100, 300, 800) for x in range(4096)]
    np.testing.assert_allclose(answer.pixels.ravel(), expected, atol=2e-6)


def test_a_falling_rescale_turns_the_ramp_round():
    answer = read(dataset(ramp(), RescaleSlope="-1", RescaleIntercept="4095", WindowCenter=2048, WindowWidth=4096))
    np.testing.assert_allclose(answer.pixels.ravel(), [linear(4095 - x, 2048, 4096) for x in range(4096)], atol=2e-6)


def test_signed_values_keep_their_sign():
    answer = read(dataset(ramp(signed=True), WindowCenter=0, WindowWidth=1000))
    expected = [linear(x, 0, 1000) for x in range(-2048, 2048)]
    np.testing.assert_allclose(answer.pixels.ravel(), expected, atol=2e-6)
    assert answer.stored.min() == -2048


def test_a_modality_table_replaces_rescale():
    table = [(x * x) // 4096 for x in range(4096)]
    modality = table_item([4096, 0, 16], table, ModalityLUTType="US")
    answer = read(dataset(ramp(), ModalityLUTSequence=[modality], WindowCenter=2000, WindowWidth=1000))
    np.testing.assert_allclose(answer.pixels.ravel(), [linear(t, 2000, 1000) for t in table], atol=2e-6)


def test_a_voi_table_comes_before_a_window_and_its_ends_reach_on():
    table = [round(1023 * math.sqrt(i / 999)) for i in range(1000)]
    voi = table_item([1000, 500, 10], table, LUTExplanation="NORMAL")
    answer = read(dataset(ramp(), VOILUTSequence=[voi], WindowCenter=2048, WindowWidth=4096))
    expected = [table[min(max(x - 500, 0), 999)] / 1023 for x in range(4096)]
    np.testing.assert_allclose(answer.pixels.ravel(), expected, atol=1e-6)
    assert answer.facts.voi == "VOI LUT of 1000 entries 'NORMAL'"


def test_a_voi_table_of_bytes_in_two_forms():
    table = np.arange(256)[::-1]
    for data in (table.astype("<u2").tobytes(), table.astype("u1").tobytes()):
        voi = item(LUTDescriptor=[256, 0, 8])
        voi.add_new("LUTData", "OW", data)
        answer = read(dataset(ramp(), VOILUTSequence=[voi]))
        assert answer.pixels.ravel()[[0, 10, 300]].tolist() == pytest.approx([1, 245 / 255, 0])


def test_a_voi_table_over_negative_values():
    voi = table_item([2, -1, 16], [0, 65535], kind="SS")
    answer = read(dataset(ramp(signed=True), VOILUTSequence=[voi]))
    assert answer.pixels.ravel()[2047:2049].tolist() == [0, 1]


def test_a_voi_table_that_writes_8_bits_and_means_16_is_not_cut_off():
    voi = table_item([4096, 0, 8], [x * 16 for x in range(4096)])
    assert read(dataset(ramp(), VOILUTSequence=[voi])).pixels.max() == pytest.approx(65520 / 65535)


def test_monochrome1_is_turned_round_after_the_window():
    elements = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    answer = read(dataset(ramp(), WindowCenter=1000, WindowWidth=500, **elements))
    np.testing.assert_allclose(answer.pixels.ravel(), [1 - linear(x, 1000, 500) for x in range(4096)], atol=2e-6)
    assert not [n for n in answer.notes if n.code is NoteCode.GREY_CONTRADICTION]


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", None), ("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]
)
def test_inverse_by_either_element_is_inverse_once(photometric, shape):
    ds = dataset(ramp(), PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    answer = read(ds)
    assert answer.pixels.ravel()[[0, -1]].tolist() == [1, 0]
    assert (NoteCode.GREY_CONTRADICTION in [n.code for n in answer.notes]) == (shape is not None)


def test_inverse_holds_for_tables_too():
    voi = table_item([4096, 0, 12], list(range(4096)))
    answer = read(dataset(ramp(), VOILUTSequence=[voi], PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_allclose(answer.pixels.ravel(), [1 - x / 4095 for x in range(4096)], atol=1e-6)


def test_the_first_of_several_windows_is_applied_and_another_on_request():
    ds = dataset(ramp(), WindowCenter=[1000, 3000], WindowWidth=[500, 100],
                 WindowCenterWidthExplanation=["SOFT", "HARD"])  # fmt: skip
    first = read(ds)
    assert first.facts.voi == "window 1000/500 LINEAR 'SOFT' (1 of 2)"
    note = next(n for n in first.notes if n.code is NoteCode.SEVERAL_WINDOWS)
    assert "window 3000/100 LINEAR 'HARD'" in note.message
    second = read(ds, ReadOptions(window=1, check_pixels=False))
    assert second.pixels.ravel()[3000] == pytest.approx(linear(3000, 3000, 100), abs=1e-6)
    assert read(ds, ReadOptions(window=9, check_pixels=False)).facts.voi == first.facts.voi


@pytest.mark.parametrize(("center", "width"), [(100, 0), (100, -5), (100, 0.5), ("", ""), (1e30, 10)])
def test_a_window_without_width_is_ignored_and_said(center, width):
    answer = read(dataset(ramp(), WindowCenter=center, WindowWidth=width))
    codes = [n.code for n in answer.notes]
    assert NoteCode.NO_WINDOW in codes
    assert (NoteCode.WINDOW_IGNORED in codes) == (center != "")
    np.testing.assert_allclose(answer.pixels.ravel(), np.arange(4096) / 4095, atol=1e-6)


def test_an_exact_window_may_be_narrower_than_one():
    ds = dataset(ramp(), WindowCenter=100, WindowWidth=0.5, VOILUTFunction="LINEAR_EXACT")
    assert read(ds).pixels.ravel()[99:102].tolist() == [0, 0.5, 1]


def test_an_unknown_function_is_said_and_read_as_linear():
    answer = read(dataset(ramp(), VOILUTFunction="CUBIC", WindowCenter=1000, WindowWidth=500))
    assert answer.pixels.ravel()[1000] == pytest.approx(linear(1000, 1000, 500), abs=1e-6)
    assert "CUBIC" in next(n.message for n in answer.notes if n.code is NoteCode.WINDOW_IGNORED)


def test_a_broken_voi_table_gives_way_to_the_window():
    voi = table_item([4096, 0, 12], [1, 2, 3])
    answer = read(dataset(ramp(), VOILUTSequence=[voi], WindowCenter=1000, WindowWidth=500))
    assert answer.facts.voi.startswith("window 1000/500")
    assert NoteCode.WINDOW_IGNORED in [n.code for n in answer.notes]


def test_without_a_window_the_bits_give_the_range():
    answer = read(dataset(ramp(), WindowCenter=None, WindowWidth=None))
    np.testing.assert_allclose(answer.pixels.ravel(), np.arange(4096) / 4095, atol=1e-6)
    assert answer.facts.voi == "full range of 12 bits"


def test_without_a_window_a_corner_of_the_range_is_stretched():
    stored = (1000 + ramp() // 8).astype("u2")  # 1000 to 1511 of 65,536
    answer = read(dataset(stored, bits=16, WindowCenter=None, WindowWidth=None, PixelPaddingValue=0))
    np.testing.assert_allclose(answer.pixels, (stored - 1000.0) / 511, atol=1e-5)
    assert answer.facts.voi == "range of its values 1000 to 1511"


def test_padding_is_black_even_where_it_would_be_bright():
    stored = breast()
    stored[:, -8:] = 4095
    answer = read(dataset(stored, PixelPaddingValue=4095))
    assert answer.facts.padding == (4095, 4095)
    assert answer.pixels[:, -8:].max() == 0
    assert answer.pixels[48, 4] > 0.5


def test_a_range_of_padding_is_black_in_inverse_images():
    elements = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    answer = read(dataset(ramp(), PixelPaddingValue=0, PixelPaddingRangeLimit=9, **elements))
    assert answer.pixels.ravel()[:10].max() == 0
    assert answer.pixels.ravel()[10] > 0.99


def test_padding_of_signed_pixels_may_be_written_unsigned():
    ds = dataset(ramp(signed=True), WindowCenter=0, WindowWidth=4096, PixelPaddingValue=-2048)
    answer = read(ds)
    assert answer.facts.padding == (-2048, -2048)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_8_to_16_bits_signed_or_not(bits, signed):
    stored = breast(bits=bits, signed=signed)
    center = 0 if signed else 1 << (bits - 1)
    answer = read(dataset(stored, bits=bits, WindowCenter=center, WindowWidth=1 << bits))
    np.testing.assert_array_equal(answer.stored, stored)
    lowest = -(1 << (bits - 1)) if signed else 0
    np.testing.assert_allclose(answer.pixels, (stored.astype(float) - lowest) / ((1 << bits) - 1), atol=2e-6)


def test_overlay_bits_above_and_below_the_value_are_left_out():
    stored = ramp()
    ds = dataset((stored << 2 | 0x4001).astype("u2"), BitsStored=12, HighBit=13)
    np.testing.assert_array_equal(read(ds).stored, stored)
    signed = ramp(signed=True)
    raw = ((signed.astype("i4") << 2) & 0x3FFF | 0x8002).astype("u2").view("i2")
    answer = read(dataset(raw, BitsStored=12, HighBit=13, WindowCenter=0))
    np.testing.assert_array_equal(answer.stored, signed)


def test_a_part_of_the_greys_equals_that_part_of_all():
    for function in ("LINEAR", "SIGMOID"):
        answer = read(dataset(PixelPaddingValue=100, VOILUTFunction=function))
        part = answer.grey(slice(10, 40), slice(3, 20))
        np.testing.assert_array_equal(
            part, read(dataset(PixelPaddingValue=100, VOILUTFunction=function)).pixels[10:40, 3:20]
        )
        np.testing.assert_array_equal(answer.plane[10:40, 3:20], part)
        assert answer.plane.shape == answer.pixels.shape == (96, 64)


def test_a_steep_window_is_as_exact_as_a_flat_one():
    stored = np.arange(65536, dtype="u2").reshape(256, 256)
    answer = read(dataset(stored, bits=16, WindowCenter=60000.3, WindowWidth=40, VOILUTFunction="LINEAR_EXACT"))
    expected = [linear_exact(x, 60000.3, 40) for x in range(59970, 60030)]
    np.testing.assert_allclose(answer.pixels.ravel()[59970:60030], expected, atol=1e-6)


def test_values_beyond_the_stored_bits_get_the_nearest_grey():
    """A codec may give more than Bits Stored says; the table ends there."""
    for kind, first in (("u2", 0), ("i2", -2048)):
        scale = GreyScale(table=np.linspace(0, 1, 4096, dtype="f4"), first=first)
        values = np.array([[first, first + 4095, 30_000]], kind)
        assert scale.apply(values).tolist() == [[0, 1, 1]]
