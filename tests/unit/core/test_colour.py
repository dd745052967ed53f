"""Colour profiles: a picture is shown in sRGB, whatever space it was stored in."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image, ImageCms

from photovision.core.image import decode, to_array

PICTURE = make_picture(2, 96)
P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
PROPHOTO = ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
WHITE = (0.9642, 1.0, 0.8249)


def profile(primaries: tuple[tuple[float, float, float], ...], gamma: float, space: bytes = b"RGB ") -> bytes:
    """An ICC profile (version 2) of a display, from the XYZ of its primaries under D50 and one gamma."""
    fixed = lambda values: b"".join(struct.pack(">i", round(v * 65536)) for v in values)  # noqa: E731
    xyz = lambda values: b"XYZ \0\0\0\0" + fixed(values)  # noqa: E731
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + b"\0" * 80
    tags = {b"desc": text, b"wtpt": xyz(WHITE), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {n + b"XYZ": xyz(v) for n, v in zip((b"r", b"g", b"b"), primaries, strict=True)}
        tags |= {n + b"TRC": curve for n in (b"r", b"g", b"b")}
    body, table, at = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", space, b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + fixed(WHITE)
    return head + b"\0" * (128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def stored_in(icc: bytes) -> Image.Image:
    """The picture with the numbers that mean its colours in another space."""
    wanted = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return ImageCms.profileToProfile(PICTURE, ImageCms.createProfile("sRGB"), wanted, outputMode="RGB")


def difference(content: bytes, other: Image.Image = PICTURE) -> float:
    return float(np.abs(to_array(decode(content)).astype(int) - to_array(other)).mean())


@pytest.mark.parametrize("primaries", [P3, PROPHOTO, ADOBE], ids=["P3", "ProPhoto", "Adobe RGB"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "JPEG2000"])
def test_wider_spaces_are_converted(primaries: tuple[tuple[float, float, float], ...], kind: str) -> None:
    icc = profile(primaries, 1.8 if primaries is PROPHOTO else 2.2)
    options = {
        "JPEG": {"quality": 97, "subsampling": 0},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 98, "subsampling": "4:4:4"},
    }
    stored = stored_in(icc)
    ignored = float(np.abs(np.asarray(stored).astype(int) - np.asarray(PICTURE)).mean())
    assert ignored > 3
    content = saved(stored, kind, icc_profile=icc, **options.get(kind, {}))
    if kind == "JPEG2000":  # Pillow writes no profile there: the box that says sRGB gives way to one with a profile
        old, new = b"\0\0\0\x0fcolr\1\0\0\0\0\0\x10", struct.pack(">I", 11 + len(icc)) + b"colr\2\0\0" + icc
        head = content.index(b"jp2h") - 4
        size = struct.unpack_from(">I", content, head)[0] + len(new) - len(old)
        content = content[:head] + struct.pack(">I", size) + content[head + 4 :].replace(old, new)
    assert difference(content) < ignored / 2


def test_srgb_by_any_name_changes_nothing() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(saved(PICTURE, "PNG", icc_profile=icc)) == 0


def test_a_grey_gamma_is_applied_and_a_profile_of_colours_on_a_grey_picture_too() -> None:
    grey = Image.linear_gradient("L")
    linear = profile((), 1.0, b"GRAY")
    image = to_array(decode(saved(grey, "PNG", icc_profile=linear)))
    assert 180 < image[128, 0, 0] < 195  # half the light is 188 in sRGB
    assert (image[..., 0] == image[..., 2]).all()
    image = to_array(decode(saved(grey, "PNG", icc_profile=profile(P3, 1.0))))
    assert 180 < image[128, 0, 0] < 195


def test_transparent_and_palette_pictures_are_converted_as_well() -> None:
    icc = profile(P3, 2.2)
    clear = stored_in(icc).convert("RGBA")
    assert difference(saved(clear, "PNG", icc_profile=icc)) < 2
    assert difference(saved(stored_in(icc).quantize(256), "PNG", icc_profile=icc)) < 9


@pytest.mark.parametrize(
    ("icc", "reason"),
    [
        (b"nonsense", "damaged"),
        (profile(P3, 2.2)[:200], "damaged"),
        (profile(P3, 2.2) + b"\0" * (5 << 20), "more than"),
        (profile((), 2.2, b"GRAY"), "GRAY pictures"),
    ],
    ids=["nonsense", "cut", "huge", "grey on colours"],
)
def test_a_profile_that_cannot_be_used_is_left_out_with_a_note(icc: bytes, reason: str) -> None:
    content = saved(PICTURE, "TIFF", icc_profile=icc)
    picture = decode(content)
    assert (to_array(picture) == np.asarray(PICTURE)).all()
    assert reason in picture.info["notes"][0]


def test_a_small_jpeg_is_still_decoded_smaller() -> None:
    icc = profile(P3, 2.2)
    large = stored_in(icc).resize((1600, 1600), Image.Resampling.BICUBIC)
    content = saved(large, "JPEG", quality=95, icc_profile=icc)
    small = decode(content, least=(100, 100))
    assert small.width == 200
    assert difference(saved(small.resize((96, 96)), "PNG")) < 12


def test_many_strange_profiles_cost_milliseconds() -> None:
    contents = [saved(PICTURE, "TIFF", icc_profile=profile(P3, 1.0 + number / 100)) for number in range(100)]
    began = time.process_time()
    for content in contents:
        decode(content)
    assert time.process_time() - began < 5
