"""DICOM pictures: rescaled, windowed and inverted in that order, alike in every encoding."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photovision.core import dicom_file
from photovision.core.dicom_file import MAX_FRAMES
from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.image import captured, decode, measure, read_header, to_array
from photovision.core.image_cost import estimate_cost
from photovision.core.image_formats import is_picture
from photovision.core.preprocess import Preprocess
from photovision.core.value_range import ValueRange
from photovision.core.windows import named_window
from tests.dicoms import dicom, saved, table

pydicom = pytest.importorskip("pydicom")
FILES = Path(pydicom.__file__).parent / "data" / "test_files"
GENERATOR = np.random.default_rng(0)
STORED = GENERATOR.integers(0, 4096, (24, 20)).astype(np.uint16)
WINDOW = {"WindowCenter": 1500, "WindowWidth": 1001}


def content(pixels: np.ndarray, **tags: Any) -> bytes:
    file = io.BytesIO()
    dicom(pixels, **tags).save_as(file, enforce_file_format=True)
    return file.getvalue()


def shown(pixels: np.ndarray, **tags: Any) -> np.ndarray:
    return to_array(decode(content(pixels, **tags)))


def test_rescale_comes_before_the_window_and_inversion_after_it() -> None:
    values = np.array([[0, 1000, 1024, 1064, 2000]], np.uint16)  # -1024, -24, 0, 40, 976 in Hounsfield units
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40.5, "WindowWidth": 81}
    assert shown(values, **tags)[0, :, 0].tolist() == [0, 0, 0, 128, 255]
    negative = shown(values, **tags, PhotometricInterpretation="MONOCHROME1")
    assert negative[0, :, 0].tolist() == [255, 255, 255, 128, 0]


@pytest.mark.parametrize("slope", [1, -1, 0.5, -10])
def test_a_picture_and_its_negative_are_shown_alike(slope: float) -> None:
    one = shown(STORED, bits=12, RescaleSlope=slope, RescaleIntercept=7, **WINDOW)
    ends = 4095 * slope + 14  # stored as its negative: value v is ends - v
    tags = {"WindowCenter": ends - WINDOW["WindowCenter"] + 1, "WindowWidth": WINDOW["WindowWidth"]}
    other = shown(
        4095 - STORED, bits=12, RescaleSlope=slope, RescaleIntercept=7, PhotometricInterpretation="MONOCHROME1", **tags
    )
    assert np.array_equal(one, other)


def test_a_window_and_the_same_window_as_a_table_are_alike() -> None:
    levels = np.clip((np.arange(4096) - 1499.5) / 1000 + 0.5, 0, 1)
    tabled = table(0, np.floor(65535 * levels + 0.5).astype(int).tolist(), 16)
    assert np.array_equal(shown(STORED, bits=12, **WINDOW), shown(STORED, bits=12, VOILUTSequence=tabled))
    rescaled = table(0, (np.arange(4096) + 100).tolist(), 16)
    moved = {"WindowCenter": 1600, "WindowWidth": 1001}
    assert np.array_equal(
        shown(STORED, bits=12, **WINDOW), shown(STORED, bits=12, ModalityLUTSequence=rescaled, **moved)
    )
    assert np.array_equal(
        shown(STORED, bits=12, **WINDOW), shown(STORED, bits=12, RescaleIntercept=100, RescaleSlope=1, **moved)
    )


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_windows_of_every_function_are_shown_as_pydicom_does(function: str) -> None:
    from pydicom.pixels import apply_windowing

    ds = dicom(STORED, bits=12, VOILUTFunction=function, **WINDOW)
    wanted = apply_windowing(STORED, ds) * (255 / 4095)
    assert np.abs(shown(STORED, bits=12, VOILUTFunction=function, **WINDOW)[..., 0] - wanted).max() <= 0.51


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_bits_and_signs_are_shown_alike(bits: int, signed: bool) -> None:
    low, kind = (-(2 ** (bits - 1)), "i") if signed else (0, "u")
    values = (GENERATOR.integers(0, 2**bits, (6, 5)) + low).astype(f"{kind}{1 if bits == 8 else 2}")
    window = {"WindowCenter": low + 2 ** (bits - 1) + 0.5, "WindowWidth": 2**bits}
    got = shown(values, bits=bits, **window)[..., 0]
    assert np.abs(got - (values.astype(float) - low) * 255 / (2**bits - 1)).max() <= 1


def test_padding_is_black_and_does_not_count() -> None:
    values = np.array([[-2000, -1000, 0, 1000]], np.int16)
    tags = {"PixelPaddingValue": -2000, "PixelRepresentation": 1}
    assert (
        shown(values, PhotometricInterpretation="MONOCHROME1", WindowCenter=0, WindowWidth=2000, **tags)[0, 0, 0] == 0
    )
    found = measure(content(values, **tags))
    assert found is not None
    assert -1000 <= found.low < -900


def test_without_a_window_the_range_of_the_data_set_counts_and_with_one_it_does_not() -> None:
    ranges = (ValueRange("unsigned", 0, 1023), ValueRange("signed", 0, 100))
    plain, windowed = content(STORED, bits=12), content(STORED, bits=12, **WINDOW)
    assert read_header(plain).wide
    assert not read_header(windowed).wide
    assert measure(windowed) is None
    bright = to_array(decode(plain, ranges=ranges))[..., 0]
    assert np.array_equal(bright == 255, STORED >= 1021)
    assert np.array_equal(to_array(decode(windowed, ranges=ranges)), to_array(decode(windowed)))


def test_a_named_window_is_part_of_the_preprocessing_and_shows_hounsfield_units() -> None:
    values = np.array([[-1400, -600, 0, 40, 80, 300, 1400]], np.int16)
    ct = content(values, WindowCenter=0, WindowWidth=10)
    brain, plain = Preprocess((1, 7), value_ranges=named_window("brain")), Preprocess((1, 7))
    assert brain.load(ct)[0, :, 0].tolist() == [0, 0, 0, 128, 255, 255, 255]
    assert plain.load(ct)[0, :, 0].tolist() == [0, 0, 142, 255, 255, 255, 255]
    assert brain.hash != plain.hash
    assert Preprocess.from_json(brain.to_json()) == brain
    three = Preprocess((1, 7), value_ranges=named_window("ct")).load(ct)[0]
    assert three[1].tolist() == [128, 0, 0]
    assert three[5, 1] == 255
    for tags in ({"Modality": "MR"}, {"RescaleType": "OD"}):
        with pytest.raises(UnreadableImage, match="no Hounsfield units"):
            brain.load(content(values, **tags))
    with pytest.raises(UsageError, match="lung, bone, brain"):
        named_window("liver")
    assert named_window("50/400") == named_window("soft-tissue")


def test_colours_and_palettes_are_shown_as_they_are() -> None:
    colours = GENERATOR.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert np.array_equal(shown(colours), colours)
    planes = np.ascontiguousarray(colours.transpose(2, 0, 1))
    by_plane = dicom(colours, PlanarConfiguration=1, PixelData=planes.tobytes() + b"\0")
    file = io.BytesIO()
    by_plane.save_as(file, enforce_file_format=True)
    assert np.array_equal(to_array(decode(file.getvalue())), colours)


ALIKE: Sequence[tuple[str, ...]] = (
    (
        *("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm"),
        *("MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm"),
    ),
    ("rtdose.dcm", "rtdose_expb.dcm", "rtdose_rle.dcm"),
    ("rtdose_1frame.dcm", "rtdose_expb_1frame.dcm", "rtdose_rle_1frame.dcm"),
    ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
    ("SC_rgb_rle.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_jpeg_gdcm.dcm"),
    ("SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm"),
)


@pytest.mark.parametrize("names", ALIKE, ids=lambda names: names[0])
def test_every_encoding_of_a_picture_gives_the_same_pixels(names: Sequence[str]) -> None:
    first, *others = (to_array(decode(FILES / name)) for name in names)
    for name, other in zip(names[1:], others, strict=True):
        assert np.array_equal(first, other), name


def test_every_file_of_pydicom_is_read_or_named() -> None:
    """What pydicom itself decodes is read; of all others one line says what they are."""
    read, named = [], []
    for path in sorted(FILES.rglob("*")):
        if not path.is_file() or not is_picture(path) or "TINY_ALPHA" in path.parts:
            continue
        if (error := unreadable(path)) is None:
            read.append(path)
            assert read_header(path.read_bytes()).size == estimate_cost(path).size
        else:
            named.append(path)
            assert error.startswith(f"{path}: ")
            assert "\n" not in error
    assert len(read) >= 80
    assert len(named) >= 20
    decoded = [path.name for path in named if decodes(path)]
    assert decoded == []


def unreadable(path: Path) -> str | None:
    """Why a file is not read; None where it is."""
    try:
        assert decode(path).mode == "RGB"
    except UnreadableImage as error:
        return str(error)
    return None


def decodes(path: Path) -> bool:
    """Whether pydicom itself decodes it."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return pydicom.dcmread(path, force=True).pixel_array.size > 0
        except Exception:
            return False


def test_time_and_device_of_a_picture_come_from_its_header() -> None:
    found = captured(
        content(
            STORED, AcquisitionDate="20240601", AcquisitionTime="101500.5", Manufacturer="ACME", StudyDate="20200101"
        )
    )
    assert found == ("2024:06:01 10:15:00", "ACME")
    assert captured(content(STORED)) == (None, "")


def test_the_middle_frame_of_several_is_shown_and_that_is_noted() -> None:
    frames = GENERATOR.integers(0, 256, (5, 8, 6), dtype=np.uint8)
    picture = decode(content(frames))
    assert np.array_equal(to_array(picture)[..., 0], frames[2])
    assert picture.info["notes"] == ("has 5 frames, of which number 3 is shown",)


def test_what_is_stated_for_a_frame_counts() -> None:
    frames = np.stack([np.full((2, 2), level, np.uint16) for level in (100, 200)])
    ds = dicom(frames, bits=12)
    items = []
    for slope in (1, 2):
        item, values, voi = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        values.RescaleSlope, values.RescaleIntercept = slope, 0
        voi.WindowCenter, voi.WindowWidth = 400.5, 801
        item.PixelValueTransformationSequence, item.FrameVOILUTSequence = [values], [voi]
        items.append(item)
    ds.PerFrameFunctionalGroupsSequence = items
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    assert to_array(decode(file.getvalue()))[0, 0, 0] == 128


def test_files_without_preamble_and_meta_header_are_read(tmp_path: Path) -> None:
    ds = dicom(STORED, bits=12, **WINDOW)
    del ds.file_meta
    path = tmp_path / "raw"
    ds.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    bare = path.read_bytes()
    start = bare.index(b"\x08\0\x16\0")
    path.write_bytes(bare[start:])
    assert is_picture(path)
    assert np.array_equal(to_array(decode(path)), shown(STORED, bits=12, **WINDOW))


def test_deflated_files_are_read_and_bombs_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deflated = "1.2.840.10008.1.2.1.99"
    plain = content(STORED, bits=12, **WINDOW)
    packed = content(STORED, bits=12, syntax=deflated, **WINDOW)
    assert np.array_equal(to_array(decode(packed)), to_array(decode(plain)))
    (length,) = struct.unpack_from("<I", packed, 140)
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    monkeypatch.setattr(dicom_file, "MAX_INFLATED", 1 << 20)
    bomb = packed[: 144 + length] + engine.compress(b"\0" * ((1 << 20) + 1))
    with pytest.raises(UnreadableImage, match="deflated DICOM file of more than"):
        decode(bomb + engine.flush())


def test_sizes_are_bounded_before_memory_is_taken() -> None:
    small = np.zeros((2, 2), np.uint8)
    for tags, said in (
        ({"Rows": 60000, "Columns": 60000}, "pixels, more than the limit"),
        ({"Rows": 3000, "Columns": 3000}, "cut short"),
        ({"NumberOfFrames": 10**9}, f"from 1 to {MAX_FRAMES:,} are read"),
        ({"NumberOfFrames": 30}, "cut short"),
        ({"SamplesPerPixel": 900}, "900 values a pixel"),
    ):
        with pytest.raises(UnreadableImage, match=said):
            decode(content(small, **tags))


def test_a_compressed_frame_larger_than_its_header_is_refused() -> None:
    ds = pydicom.dcmread(FILES / "MR_small_jp2klossless.dcm")
    ds.Rows = 8
    file = io.BytesIO()
    ds.save_as(file)
    with pytest.raises(UnreadableImage, match="compressed frame of 64 x 64 pixels, but 64 x 8"):
        decode(file.getvalue())
    ds = pydicom.dcmread(FILES / "SC_rgb_jpeg_dcmtk.dcm")
    ds.Columns = 8
    file = io.BytesIO()
    ds.save_as(file)
    with pytest.raises(UnreadableImage, match="compressed frame of 100 x 100 pixels, but 8 x 100"):
        decode(file.getvalue())


def test_deep_nesting_is_one_line(tmp_path: Path) -> None:
    item = b""
    for _ in range(3000):
        item = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" + item
    plain = content(STORED)
    at = plain.index(b"\x10\0\x20\0LO")
    path = tmp_path / "deep.dcm"
    path.write_bytes(plain[:at] + item + plain[at:])
    with pytest.raises(UnreadableImage, match=r"deep\.dcm"):
        decode(path)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_named_and_never_crash(seed: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(seed)
    plain = np.frombuffer(content(STORED, bits=12, **WINDOW), np.uint8)
    path = tmp_path / "broken.dcm"
    for _ in range(60):
        broken = plain.copy()
        where = generator.integers(0, len(broken), 8)
        broken[where] = generator.integers(0, 256, 8)
        path.write_bytes(broken[: generator.integers(200, len(broken) + 1)].tobytes())
        error = unreadable(path)
        assert error is None or (error.startswith(f"{path}: ") and "\n" not in error)


def test_without_the_library_the_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.dcm", STORED)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UnreadableImage, match=r"is a DICOM file, which needs a library: .*install .*pydicom"):
        decode(path)
