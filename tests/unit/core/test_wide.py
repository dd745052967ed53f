"""Pictures of more than 8 bits, of every kind of number and number of bands, are shown by one stated range."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import make_picture
from PIL import Image

from photovision.core.errors import UnreadableImage
from photovision.core.image import decode, measure, read_header, to_array
from photovision.core.preprocess import Preprocess
from photovision.core.value_range import ValueRange, Values, choose

GREY = np.asarray(make_picture(2, 64).resize((64, 48)).convert("L"))
COLOUR = np.asarray(make_picture(2, 64).resize((64, 48)))
TWELVE = (ValueRange("unsigned", 0, 4095),)


def tiff(values: np.ndarray, **options: object) -> bytes:
    """A TIFF file; deflated without imagecodecs, which tifffile alone cannot do with differences in it."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def png(values: np.ndarray, clear: tuple[int, ...] = ()) -> bytes:
    """A PNG of 16 bits a sample, uint16 (H, W) or (H, W, 2 to 4), which Pillow cannot write in colours.

    Args:
        values: of its pixels.
        clear: the colour that is transparent, () for none.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    bands = 1 if values.ndim == 2 else values.shape[2]
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0)
    rows = values.astype(">u2").reshape(len(values), -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    start += chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b""
    return start + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def pgm(values: np.ndarray, most: int) -> bytes:
    kind = b"P5" if values.ndim == 2 else b"P6"
    return (
        b"%s\n# made by hand\n%d %d\n%d\n" % (kind, values.shape[1], values.shape[0], most)
        + values.astype(">u2" if most > 255 else "u1").tobytes()
    )


def worst(content: bytes, expected: np.ndarray, ranges: tuple[ValueRange, ...] = ()) -> int:
    image = to_array(decode(content, ranges=ranges))
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, 2)
    return int(np.abs(image.astype(int) - expected).max())


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("write", [png, tiff], ids=["png", "tiff"])
def test_any_number_of_bits_looks_the_same_by_its_range(bits: int, pixels: np.ndarray, write: object) -> None:
    content = write(pixels.astype(np.uint16) << (bits - 8))  # type: ignore[operator]
    assert worst(content, pixels, (ValueRange("unsigned", 0, 2**bits - 1),)) == 0
    measured = measure(content)
    assert measured is not None
    assert choose([measured, Values("unsigned", 0, 2**bits - 1)])[0].high == 2**bits - 1
    header = read_header(content)
    assert header.wide
    assert header.size == (48, 64)


def test_opacity_of_16_bits_lies_on_white_by_its_own_range() -> None:
    clear = np.dstack([COLOUR.astype(np.uint16) << 4, np.full(GREY.shape, 65535, np.uint16)])
    clear[:, :32, 3] = 0
    expected = COLOUR.copy()
    expected[:, :32] = 255
    assert worst(png(clear), expected, TWELVE) == 0
    grey = np.dstack([GREY.astype(np.uint16) << 4, clear[..., 3]])
    expected = GREY.copy()
    expected[:, :32] = 255
    assert worst(png(grey), expected, TWELVE) == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 7},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib", "predictor": True},
        {"bigtiff": True},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
@pytest.mark.parametrize(("bands", "planar"), [(1, False), (3, False), (3, True), (5, False), (5, True)])
def test_tiff_of_every_layout(options: dict[str, object], kind: type, bands: int, planar: bool) -> None:
    pixels = COLOUR if bands > 1 else GREY
    values = (pixels.astype(kind) * 4).astype(kind)
    if bands == 5:
        values = np.dstack([values, values[..., :2] * 0 + 7])
    if planar:
        values = np.moveaxis(values, 2, 0)
        options = {**options, "planarconfig": "separate"}
    if bands > 1:
        options = {"planarconfig": "contig", **options, "photometric": "rgb" if bands == 3 else "minisblack"}
    if options.get("predictor") and np.dtype(kind).kind == "f":
        options = {**options, "predictor": False}  # those of floating point have a test of their own
    content = tiff(values, **options)
    kinds = {"u": "unsigned", "i": "signed", "f": "float"}
    ranges = (ValueRange(kinds[np.dtype(kind).kind], 0, 1023 if np.dtype(kind).kind != "f" else 1020),)  # type: ignore[arg-type]
    assert worst(content, pixels, ranges) <= 1
    if bands == 5:
        assert "5 bands" in decode(content).info["notes"][0]


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_differences_of_floating_point_are_undone(compression: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.float32) / 255).save(buffer, "TIFF", compression=compression, tiffinfo={317: 3})
    assert worst(buffer.getvalue(), GREY) <= 1


def test_lzw_of_five_bands_with_differences_is_read() -> None:
    """Written by hand, because tifffile alone cannot: Pillow packs the rows as one wide picture."""
    wide = Image.fromarray(np.dstack([COLOUR, COLOUR[..., :2]]).reshape(48, 64 * 5))
    buffer = io.BytesIO()
    wide.save(buffer, "TIFF", compression="tiff_lzw")
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as file:
        page = file.pages[0]
        strips, counts = page.dataoffsets, page.databytecounts
        rows = page.rowsperstrip
    packed = [buffer.getvalue()[at : at + count] for at, count in zip(strips, counts, strict=True)]
    body = b"".join(packed)
    offsets = np.cumsum([8, *map(len, packed)])[:-1].tolist()
    at = 8 + len(body) + len(body) % 2
    arrays = struct.pack(f"<{len(packed)}I{len(packed)}I5H", *offsets, *map(len, packed), *(8,) * 5)
    size = 4 * len(packed)
    here = at + 2 + 10 * 12 + 4
    many = [(273, 4, len(packed), here), (279, 4, len(packed), here + size)]
    if len(packed) == 1:
        many = [(273, 4, 1, offsets[0]), (279, 4, 1, len(body))]
    entries = sorted(
        [
            (256, 4, 1, 64), (257, 4, 1, 48), (258, 3, 5, here + 2 * size), (259, 3, 1, 5), (262, 3, 1, 1),
            (277, 3, 1, 5), (278, 4, 1, rows), (284, 3, 1, 1), *many,
        ]
    )  # fmt: skip
    directory = struct.pack("<H", 10) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0" * 4
    content = struct.pack("<2sHI", b"II", 42, at) + body + b"\0" * (len(body) % 2) + directory + arrays
    assert worst(content, COLOUR) == 0


@pytest.mark.parametrize("most", [15, 100, 1023, 4095, 65535])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_pnm_is_shown_by_its_largest_value(most: int, pixels: np.ndarray) -> None:
    values = np.round(pixels / 255 * most)
    assert worst(pgm(values, most), pixels) <= max(1, 255 // most)
    assert read_header(pgm(values, most)).size == (48, 64)


def test_without_a_range_the_file_decides_and_never_its_brightest_pixel() -> None:
    dim, bright = (np.full((8, 8), 0.5, np.float32) for _ in range(2))
    bright[0, 0] = 1.02
    assert (to_array(decode(tiff(dim))) == to_array(decode(tiff(bright))))[1:].all()
    assert to_array(decode(tiff(bright)))[1, 1, 0] == 127
    twelve = tiff(GREY.astype(np.uint16) << 4, extratags=[(341, "H", 1, 4095, True)])
    assert worst(twelve, GREY) == 0


def test_what_is_no_number_is_black_and_what_has_no_data_too() -> None:
    values = COLOUR[..., 0].astype(np.float32) / 255
    values[0], values[1], values[2], values[3] = np.nan, np.inf, -np.inf, -9999
    content = tiff(values, extratags=[(42113, "s", 0, "-9999", True)])
    image = to_array(decode(content))[..., 0]
    assert image[:4, 0].tolist() == [0, 255, 0, 0]
    measured = measure(content)
    assert measured is not None
    assert 0 <= measured.low < measured.high <= 1


def test_signed_hounsfield_units_have_one_range_over_all_pictures() -> None:
    rng = np.random.default_rng(0)
    measured = []
    for number in range(24):
        slice_ = (-1000 + COLOUR[..., number % 3].astype(np.float32) * 12).astype(np.int16)
        slice_[rng.integers(48), rng.integers(64)] = 32767  # a piece of metal
        found = measure(tiff(slice_))
        assert found is not None
        measured.append(found)
    (shown,) = choose(measured)
    assert shown.kind == "signed"
    assert -1000 <= shown.low < shown.high <= 2100


def test_one_wrong_picture_does_not_set_the_range() -> None:
    values = [Values("float", 20.0, 35.0 + number / 10) for number in range(30)]
    shown = choose([*values, Values("float", -1e30, 1e30)])
    assert choose(values)[0].high == pytest.approx(shown[0].high, abs=0.2)
    assert shown[0].low == 20
    assert choose([Values("float", 0.0, 0.9), Values("float", 0.1, 0.8)]) == (ValueRange("float", 0.0, 1.0),)
    assert choose([]) == ()


@pytest.mark.parametrize(
    ("highest", "bits"), [(200, 8), (1023, 10), (1024, 12), (4095, 12), (9000, 14), (20000, 16), (65535, 16)]
)
def test_the_smallest_number_of_bits_that_holds_all_pictures(highest: int, bits: int) -> None:
    assert choose([Values("unsigned", 0, 3), Values("unsigned", 1, highest)])[0].high == 2**bits - 1


def test_each_kind_of_number_has_its_own_range() -> None:
    ranges = choose([Values("unsigned", 0, 4000), Values("float", 0, 0.9)])
    assert worst(tiff(GREY.astype(np.uint16) << 4), GREY, ranges) == 0
    assert worst(tiff(GREY.astype(np.float32) / 255), GREY, ranges) <= 1


def test_orientation_and_size_agree_in_wide_tiff() -> None:
    stored = np.rot90(GREY.astype(np.uint16) << 4)  # counter-clockwise: orientation 6 turns it back
    content = tiff(stored, extratags=[(274, "H", 1, 6, True)])
    header = read_header(content)
    assert header.size == (48, 64)
    assert header.rotated
    assert worst(content, GREY, TWELVE) == 0


def test_jpeg_2000_of_16_bits(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint16) << 4).save(buffer, "JPEG2000", irreversible=False)
    assert read_header(buffer.getvalue()).wide
    assert worst(buffer.getvalue(), GREY, TWELVE) == 0


def test_ranges_travel_with_the_preprocessing_and_old_bundles_keep_their_hash() -> None:
    plain = Preprocess((32, 32))
    assert plain.hash == "8f2a75650d149eb6"
    assert "value_ranges" not in plain.to_json()
    wide = Preprocess((48, 64), value_ranges=(*TWELVE, ValueRange("float", -0.5, 1e6)))
    assert wide.hash != Preprocess((48, 64)).hash
    assert Preprocess.from_json(wide.to_json()) == wide
    content = png(GREY.astype(np.uint16) << 4)
    assert (wide.load(content)[..., 0] == GREY).all()
    assert (Preprocess((48, 64)).load(content)[..., 0] == GREY // 16).all()


@pytest.mark.parametrize("cut", [10, 100, 400, 2000])
def test_wide_files_that_are_cut_short_are_refused_in_one_line(cut: int) -> None:
    for content in (tiff(GREY.astype(np.float32)), png(GREY.astype(np.uint16)), pgm(GREY.astype(np.uint16), 4095)):
        with pytest.raises(UnreadableImage) as caught:
            decode(content[: min(cut, len(content) - 40)])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [65535 - GREY.astype(np.uint16) * 257, 1 - GREY.astype(np.float32) / 255, 4095 - GREY.astype(np.uint16) * 16],
    ids=["16 bits", "float", "12 of 16 bits"],
)
def test_low_values_are_bright_where_the_tiff_says_so(values: np.ndarray) -> None:
    ranges = TWELVE if 1 < values.max() < 4096 else ()
    assert worst(tiff(values, photometric="miniswhite"), GREY, ranges) <= 1
    assert worst(tiff(values, photometric="minisblack"), 255 - GREY, ranges) <= 1


def test_what_is_no_number_is_black_also_where_low_values_are_bright() -> None:
    values = np.full((4, 5), np.nan, np.float32)
    values[0] = 0
    shown = to_array(decode(tiff(values, photometric="miniswhite")))
    assert (shown[0] == 255).all()
    assert (shown[1:] == 0).all()


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_transparent_colour_of_a_png_of_16_bits_lies_on_white(pixels: np.ndarray) -> None:
    values = pixels.astype(np.uint16) * 257
    clear = np.atleast_1d(values[3, 7])
    gone = (values.reshape(*GREY.shape, -1) == clear).all(axis=2)
    shown = to_array(decode(png(values, tuple(map(int, clear)))))
    assert (shown[gone] == 255).all()
    assert np.abs(shown[~gone].astype(int) - pixels.reshape(*GREY.shape, -1)[~gone]).max() <= 1


def test_a_pfm_picture_in_colour_is_named() -> None:
    with pytest.raises(UnreadableImage, match="is a PFM picture in colour: save it as PNG or TIFF"):
        decode(b"PF\n4 2\n-1.0\n" + bytes(4 * 2 * 12))
