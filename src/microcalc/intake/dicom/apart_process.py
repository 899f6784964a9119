"""The program in which frames are decoded apart from everything else: GDCM aborts its process on some damaged ones.

Run as a script by `microcalc.intake.dicom.apart`; imports nothing of microcalc, so it starts fast. Requests come on
standard input, answers go to standard output: a line of JSON, then as many bytes as its ``length`` says.
"""

import importlib
import json
import os
import sys
from typing import BinaryIO, TypedDict

__all__ = ["Answer", "Request", "decoded", "serve"]

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"


class Request(TypedDict):
    """What is to be decoded.

    Attributes:
        syntax: UID of the transfer syntax.
        rows, columns, allocated, stored: of the image.
        signed: 1 for two's complement.
        length: bytes of the frame that follow.
    """

    syntax: str
    rows: int
    columns: int
    allocated: int
    stored: int
    signed: int
    length: int


class Answer(TypedDict):
    """What came of it.

    Attributes:
        words: what went wrong; empty where nothing did.
        length: bytes of the values that follow.
    """

    words: str
    length: int


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while line := requests.readline():
        request: Request = json.loads(line)
        frame = requests.read(request["length"])
        try:
            plain, words = decoded(request, frame), ""
        except Exception as error:  # noqa: BLE001 - foreign code on foreign content; the reason goes back
            plain, words = b"", f"{type(error).__name__}: {error}"
        answer: Answer = {"words": words, "length": len(plain)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.write(plain)
        answers.flush()


def decoded(request: Request, frame: bytes) -> bytes:
    """Stored values of a frame: little endian, row by row, ``allocated`` bits each."""
    if request["syntax"] == JPEG_EXTENDED and request["allocated"] == 16:
        return _by_gdcm(request, frame)  # pydicom does not ask it for more than 8 bits, though it can
    return _by_pydicom(request, frame)


def _by_pydicom(request: Request, frame: bytes) -> bytes:
    decoder = importlib.import_module("pydicom.pixels").get_decoder(request["syntax"])
    even = frame + bytes(len(frame) % 2)
    item = b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0" + len(even).to_bytes(4, "little") + even
    values, _ = decoder.as_array(
        item,
        raw=True,
        index=0,
        rows=request["rows"],
        columns=request["columns"],
        samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=request["allocated"],
        bits_stored=request["stored"],
        pixel_representation=request["signed"],
        number_of_frames=1,
        pixel_keyword="PixelData",
        transfer_syntax_uid=importlib.import_module("pydicom.uid").UID(request["syntax"]),
    )
    if values.shape != (request["rows"], request["columns"]):
        raise ValueError(f"the codec gave {values.shape}; the header says ({request['rows']}, {request['columns']})")
    sign = "i" if request["signed"] else "u"
    return bytes(values.astype(f"<{sign}{request['allocated'] // 8}", copy=False).tobytes())


def _by_gdcm(request: Request, frame: bytes) -> bytes:
    gdcm = importlib.import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((request["columns"], request["rows"], 1))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(request["syntax"])))
    bits = (request["allocated"], request["stored"], request["stored"] - 1)
    image.SetPixelFormat(gdcm.PixelFormat(1, *bits, request["signed"]))
    image.SetDataElement(element)
    plain: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    if not plain:
        raise ValueError("GDCM gave nothing")
    return plain


if __name__ == "__main__":
    # The codecs' own words go nowhere, so that standard output holds answers only.
    with os.fdopen(os.dup(1), "wb") as _answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        serve(sys.stdin.buffer, _answers)
