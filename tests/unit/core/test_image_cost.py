"""What a picture costs is known from its header: bombs are refused within milliseconds, honest files never."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import make_picture
from PIL import Image

from photovision.core.errors import UnreadableImage
from photovision.core.image import decode
from photovision.core.image_cost import MAX_SCANS, estimate_cost

PICTURE = make_picture(1, 128)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def blank_png(width: int, height: int, bits: int, colour: int, bands: int) -> bytes:
    """A large PNG of zeros, packed to almost nothing, made without holding it."""
    line, packer = b"\0" * (1 + width * bands * bits // 8), zlib.compressobj(6)
    packed = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def scans(count: int, side: int = 4096) -> bytes:
    """A progressive JPEG of side x side pixels, whose last scan comes again and again."""
    content = saved(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def tile(width: int, height: int, side: int) -> bytes:
    """A TIFF of width x height pixels in one tile of side x side."""
    packed = zlib.compress(b"\0" * 1000)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, len(packed)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + directory + b"\0" * 4


def layers(count: int) -> bytes:
    """A JPEG 2000 file whose header promises so many quality layers."""
    content = saved(PICTURE, "JPEG2000")
    at = content.index(b"\xff\x52") + 6
    return content[:at] + struct.pack(">H", count) + content[at + 2 :]


def tiles_2000(side: int) -> bytes:
    """A JPEG 2000 file whose header promises tiles of side x side."""
    content = saved(PICTURE, "JPEG2000")
    at = content.index(b"\xff\x51") + 4 + 2 + 16
    return content[:at] + struct.pack(">II", side, side) + content[at + 8 :]


def small_tiles() -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((2000, 2000), np.uint16), compression="zlib", tile=(16, 16))
    return buffer.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "progressive scans": lambda: scans(MAX_SCANS + 20),
    "scans one byte too many": lambda: scans(MAX_SCANS),
    "scans of a large picture": lambda: scans(60, 9000),
    "small tiles": lambda: small_tiles(),
    "empty segments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 500_000 + saved(PICTURE, "JPEG")[2:],
    "fill bytes": lambda: b"\xff\xd8" + b"\xff" * 2_000_000 + saved(PICTURE, "JPEG")[2:],
    "tile": lambda: tile(64, 64, 23008),
    "flat tile": lambda: tile(1, 1_000_000, 20000),
    "empty chunks": lambda: blank_png(8, 8, 8, 2, 3)[:33] + chunk(b"prVt", b"") * 300_000,
    "chunks of data": lambda: blank_png(8, 8, 8, 2, 3)[:33] + chunk(b"IDAT", b"") * 300_000,
    "GIF comments": lambda: saved(PICTURE, "GIF")[:781] + b"!\xfe\0" * 500_000,
    "GIF comment": lambda: saved(PICTURE, "GIF")[:781] + b"!\xfe" + b"\1a" * 500_000,
    "ASCII": lambda: b"P2 2000 2000 255\n" + b"1 " * 4_000_000,
    "PNM comments": lambda: b"P5\n" + b"#\n" * 2_000_000 + b"1 1 255\na",
    "layers": lambda: layers(65535),
    "tiles": lambda: tiles_2000(1),
    "giant tile": lambda: tiles_2000(2**31),
    "webp canvas": lambda: b"RIFF\xff\0\0\0WEBPVP8X\n\0\0\0\x10\0\0\0" + b"\xff" * 6 + b"\0" * 60,
    "boxes": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08free" * 500_000,
    "directory": lambda: b"II*\0\x08\0\0\0\xff\xff" + b"\0\1\4\0\1\0\0\0\1\0\0\0" * 65535,
    "strips": lambda: _tiff_of_strips(20_000_000),
}


def _tiff_of_strips(rows: int) -> bytes:
    entries = [
        (256, 4, 1, 1), (257, 4, 1, rows), (258, 3, 1, 16), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, rows, 8),
        (278, 4, 1, 1), (279, 4, rows, 8), (284, 3, 1, 2), (277, 3, 1, 9),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in sorted(entries))
    return struct.pack("<2sHI", b"II", 42, 8) + directory + b"\0" * 4


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_milliseconds(name: str) -> None:
    content = BOMBS[name]()
    began = time.process_time()
    with pytest.raises(UnreadableImage) as caught:
        decode(content, max_pixels=100_000_000)
    assert time.process_time() - began < 0.5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"])
def test_the_size_is_right_and_the_estimate_is_no_less_than_the_picture(kind: str) -> None:
    cost = estimate_cost(saved(PICTURE.resize((120, 70)), kind))
    assert (cost.format, cost.size, cost.pixels) == (kind, (70, 120), 8400)
    assert cost.bytes >= 4 * cost.pixels
    assert 0 < cost.seconds < 0.1


def test_more_scans_cost_more_and_usual_progressive_files_are_read() -> None:
    plain = estimate_cost(saved(PICTURE, "JPEG"))
    progressive = saved(PICTURE, "JPEG", progressive=True)
    assert estimate_cost(progressive).seconds > plain.seconds
    assert estimate_cost(progressive).bytes > plain.bytes
    assert decode(progressive).size == PICTURE.size


def test_a_file_that_contradicts_its_own_header_is_refused() -> None:
    small, large = (saved(PICTURE.resize((side, side)), "JPEG2000") for side in (16, 128))
    hidden = small[small.index(b"\xff\x4f\xff\x51") :]
    both = large.replace(b"jp2c", b"free", 1) + struct.pack(">I4s", len(hidden) + 8, b"jp2c") + hidden
    with pytest.raises(UnreadableImage):
        decode(both, max_pixels=1000)


PEAK = """
import sys
from pathlib import Path
from photovision.core.image import decode

def highest():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

content = Path(sys.argv[1]).read_bytes()
least = None if sys.argv[2] == "whole" else (448, 448)
before = highest()
picture = decode(content, least)
peak = highest()
print((peak - before) * 1024, picture.width, picture.height)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is counted in other units elsewhere")
@pytest.mark.parametrize(
    ("bits", "colour", "bands", "how", "most"),
    [(8, 6, 4, "whole", 9), (8, 6, 4, "least", 9), (16, 0, 1, "least", 4.5), (8, 2, 3, "least", 4.5)],
    ids=["RGBA", "RGBA small", "16 bits small", "RGB small"],
)
def test_the_peak_of_memory_stays_near_the_picture_itself(
    tmp_path: Path, bits: int, colour: int, bands: int, how: str, most: float
) -> None:
    """Bytes a pixel of a picture of 56 megapixels, of which Pillow's own form takes 4, of grey with 16 bits 2."""
    side = 7500
    content = blank_png(side, side, bits, colour, bands)
    (tmp_path / "a.png").write_bytes(content)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "a.png"), how]
    took = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    assert took <= most * side * side
    assert took <= estimate_cost(content).bytes * 1.1


def test_memory_is_shared_by_turns() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from photovision.core.budget import MemoryBudget

    budget, held, most = MemoryBudget(100, 10), [0], [0]

    def work(wanted: int) -> None:
        with budget.taken(wanted):
            held[0] += min(wanted, 100)
            most[0] = max(most[0], held[0])
            time.sleep(0.001)
            held[0] -= min(wanted, 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [40, 60, 500, 30, 70] * 8))
    assert most[0] <= 100
    assert budget.free == 100


def test_random_bytes_behind_every_beginning_are_refused_and_quickly() -> None:
    rng = np.random.default_rng(0)
    began = time.process_time()
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"):
        whole = saved(PICTURE, kind)
        for _ in range(40):
            content = bytearray(whole)
            for place in rng.integers(4, min(len(content), 400), 6):
                content[place] = rng.integers(256)
            try:
                decode(bytes(content), max_pixels=4_000_000)
            except UnreadableImage as error:
                assert "\n" not in str(error)  # noqa: PT017
    assert time.process_time() - began < 20
