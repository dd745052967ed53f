"""Decoding: every format and pixel mode gives the same upright RGB picture, and bad files give one clear error."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image

from photovision.core.errors import UnreadableImage
from photovision.core.image import MAX_PIXELS, Capture, captured, decode, decode_values, read_header, to_array

PICTURE = make_picture(2, 64).resize((64, 48))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(to_array(one).astype(int) - to_array(other)).mean())


@pytest.mark.parametrize(
    ("content", "worst"),
    [
        (saved(PICTURE, "PNG"), 0),
        (saved(PICTURE, "BMP"), 0),
        (saved(PICTURE, "TIFF", compression="tiff_lzw"), 0),
        (saved(PICTURE, "WEBP", lossless=True), 0),
        (saved(PICTURE, "PPM"), 0),
        (saved(PICTURE, "JPEG", quality=95), 6),
        (saved(PICTURE.convert("CMYK"), "JPEG", quality=95), 6),
        (saved(PICTURE.convert("CMYK"), "TIFF"), 1),
        (saved(PICTURE.quantize(256), "PNG"), 8),  # palette
        (saved(PICTURE.quantize(256), "GIF"), 8),
    ],
    ids=["png", "bmp", "tiff", "webp", "ppm", "jpeg", "cmyk-jpeg", "cmyk-tiff", "palette-png", "gif"],
)
def test_every_format_shows_the_same_picture(content: bytes, worst: float) -> None:
    picture = decode(content)
    assert picture.mode == "RGB"
    assert picture.size == (64, 48)
    assert difference(picture, PICTURE) <= worst


def test_a_picture_made_of_several_jpegs_shows_its_first() -> None:
    content = saved(PICTURE, "MPO", save_all=True, append_images=[make_picture(0, 64)], quality=95)
    assert difference(decode(content), PICTURE) <= 6


def test_of_an_animation_the_first_frame_is_shown() -> None:
    first = PICTURE.quantize(64)
    content = saved(first, "GIF", save_all=True, append_images=[make_picture(1, 64).resize((64, 48)).quantize(64)])
    assert difference(decode(content), first.convert("RGB")) < 1


def test_grey_pictures_have_three_equal_channels() -> None:
    image = to_array(decode(saved(PICTURE.convert("L"), "PNG")))
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 0] == np.asarray(PICTURE.convert("L"))).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_keep_their_full_range(kind: str) -> None:
    grey = np.asarray(PICTURE.convert("L"))
    content = saved(Image.fromarray(grey.astype(np.uint16) * 256 + 200), kind)
    assert read_header(content).mode.startswith("I;16")
    assert (to_array(decode(content))[..., 0] == grey).all()


def test_transparent_pictures_lie_on_white() -> None:
    clear = PICTURE.convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(np.arange(64) < 32, 0, 255).astype(np.uint8)[None].repeat(48, 0)))
    image = to_array(decode(saved(clear, "PNG")))
    assert (image[:, :32] == 255).all()
    assert (image[:, 32:] == to_array(PICTURE)[:, 32:]).all()


def test_a_transparent_palette_colour_is_white() -> None:
    flat = Image.new("P", (8, 8), 1)
    flat.putpalette([0, 0, 0, 200, 10, 10])
    assert (to_array(decode(saved(flat, "PNG", transparency=1))) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(kind: str, orientation: int) -> None:
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = PICTURE
    for step in undo.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    content = saved(stored, kind, exif=exif, **options)
    assert decode(content).size == PICTURE.size
    assert difference(decode(content), PICTURE) <= (6 if kind == "JPEG" else 0)
    header = read_header(content)
    assert header.size == (48, 64)
    assert header.rotated == (orientation != 1)


def test_a_large_jpeg_is_decoded_smaller_but_never_too_small() -> None:
    large = make_picture(1, 1000).resize((1000, 600))
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(large, "JPEG", exif=exif)
    width, height = decode(content, least=(200, 100)).size
    assert 100 <= width < 300
    assert 200 <= height < 500
    assert read_header(content).size == (1000, 600)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no picture, whatever its name says",
        saved(PICTURE, "PNG")[:-200],
        saved(PICTURE, "JPEG", quality=95)[:-300],
        saved(PICTURE, "BMP")[:-300],
        saved(PICTURE, "WEBP")[:-100],
        saved(PICTURE, "TIFF")[:300],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    ],
    ids=["empty", "text", "png", "jpeg", "bmp", "webp", "tiff", "eps"],
)
def test_damaged_files_raise_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        decode(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG whose header promises `width` x `height` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(UnreadableImage, match=r"100000 x 100000 pixels, more than the limit"):
        decode(bomb(100_000, 100_000))
    assert decode(saved(PICTURE, "PNG")).width * 48 < MAX_PIXELS


def test_damaged_exif_does_not_harm_the_pixels() -> None:
    content = saved(PICTURE, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)
    assert difference(decode(content), PICTURE) <= 6


def test_threads_share_decoders_and_leave_the_warning_filters_alone() -> None:
    damaged = saved(PICTURE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)
    contents = [saved(PICTURE, kind) for kind in ("PPM", "PNG", "TIFF", "GIF")] * 20 + [damaged] * 40
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        assert {picture.size for picture in pool.map(decode, contents)} == {(64, 48)}
    assert warnings.filters == before


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=r"cannot be opened \(No such file"):
        decode(tmp_path / "nowhere.jpg")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for read in (decode, decode_values):
        with pytest.raises(UnreadableImage, match=r"pipe\.png: is a pipe, not a regular file$"):
            read(tmp_path / "pipe.png")
    assert captured(tmp_path / "pipe.png") == Capture()
