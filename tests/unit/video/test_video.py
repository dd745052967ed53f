"""Frames of videos, folders and streams: what is whole comes whole, what is not gives a clear line."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import draw, moving, write
from PIL import Image

from photovision.core.errors import DataError, UsageError
from photovision.video import reader as video_module
from photovision.video.reader import AHEAD, open_video


def clip(path: Path, count: int = 30, **options: Any) -> Path:
    return write(path, moving([(0, lambda i: (10 + 3 * i, 40))], count), **options)


def frames(source: Any, **options: Any) -> list[Any]:
    with open_video(source, **options) as video:
        return list(video)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "mpeg4"), ("a.avi", "mjpeg"), ("a.mkv", "ffv1"), ("a.webm", "libvpx"), ("a.ts", "mpeg2video")],
)
def test_every_frame_of_a_file_comes_in_order_with_its_time(tmp_path: Path, name: str, codec: str) -> None:
    path = clip(tmp_path / name, codec=codec)
    with open_video(path) as video:
        found = list(video)
        assert (video.live, video.corrupt, video.dropped, video.warnings) == (False, 0, 0, [])
    assert [frame.index for frame in found] == list(range(30))
    np.testing.assert_allclose([frame.time for frame in found], np.arange(30) / 25, atol=2e-3)
    for number in (0, 14, 29):
        picture = found[number].image
        assert picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - draw([(0, (10 + 3 * number, 40))])).mean() < 6


def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    whole = clip(tmp_path / "a.mkv", codec="ffv1")
    assert len(frames(whole.rename(tmp_path / "a.mp4"))) == 30
    assert len(frames((tmp_path / "a.mp4").rename(tmp_path / "holiday"))) == 30


def test_every_third_frame_keeps_its_number_and_time(tmp_path: Path) -> None:
    found = frames(clip(tmp_path / "a.mp4"), every=3)
    assert [frame.index for frame in found] == list(range(0, 30, 3))
    assert found[1].time == pytest.approx(3 / 25, abs=1e-3)
    with pytest.raises(UsageError, match="every"):
        open_video(tmp_path / "a.mp4", every=0)


@pytest.mark.parametrize("turn", [0, 90, -90, 180])
def test_frames_are_turned_upright(tmp_path: Path, turn: int) -> None:
    upright = draw([(0, (20, 30)), (1, (100, 70))])
    stored = np.rot90(upright, -turn // 90)  # a player turns it counterclockwise by `turn` before it is shown
    path = write(tmp_path / "a.mp4", [np.ascontiguousarray(stored)] * 3, rotation=turn)
    assert np.abs(frames(path)[1].image.astype(int) - upright).mean() < 6


def test_mirrored_frames_are_mirrored_back(tmp_path: Path) -> None:
    upright = draw([(0, (20, 30)), (1, (100, 70))])
    path = write(tmp_path / "a.mp4", [np.ascontiguousarray(upright[:, ::-1])] * 3, rotation=0)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16
    assert content[matrix : matrix + 4] == (1 << 16).to_bytes(4, "big")
    content[matrix : matrix + 4] = (-(1 << 16)).to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    assert np.abs(frames(path)[1].image.astype(int) - upright).mean() < 6


def test_damaged_frames_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", count=40, codec="mjpeg")
    content = bytearray(path.read_bytes())
    chunks = [at for at in range(len(content) - 4) if content[at : at + 4] == b"00dc"][:40]
    for at in chunks[10:14]:
        content[at + 8 : at + 800] = bytes(792)
    path.write_bytes(content)
    with open_video(path) as video:
        found = list(video)
        assert video.corrupt >= 4
    assert 36 <= len(found) <= 40
    assert np.abs(found[-1].image.astype(int) - draw([(0, (10 + 3 * 39, 40))])).mean() < 6


def test_a_file_that_was_cut_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", count=40, codec="mjpeg")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_video(path) as video:
        found = list(video)
        assert 10 <= len(found) < 30
        assert "of 40 frames" in video.warnings[0]


def test_frames_may_change_their_size(tmp_path: Path) -> None:
    small = clip(tmp_path / "a.ts", count=5, codec="mpeg2video").read_bytes()
    large = write(tmp_path / "b.ts", [draw([], (64, 96))] * 5, codec="mpeg2video").read_bytes()
    (tmp_path / "c.ts").write_bytes(small + large)
    shapes = [frame.image.shape for frame in frames(tmp_path / "c.ts")]
    assert {(96, 128, 3), (64, 96, 3)} == set(shapes)


def _sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _headless(path: Path) -> None:
    clip(path)
    path.write_bytes(path.read_bytes()[:2000])


def _frameless(path: Path) -> None:
    clip(path)
    content = path.read_bytes()
    at = content.index(b"stsz") + 4  # the table of sizes: no frames
    path.write_bytes(content[: at + 8] + bytes(4) + content[at + 12 :])


def _empty_track(path: Path) -> None:
    content = bytearray(clip(path, codec="mjpeg", format="avi").read_bytes())
    first = content.index(b"movi") + 4
    path.write_bytes(content[:first])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "cannot be opened"),
        (lambda path: path.write_text("not a video at all"), "cannot be opened"),
        (lambda path: path.write_bytes(bytes(range(256)) * 40), "cannot be opened"),
        (lambda path: Image.new("RGB", (40, 30)).save(path, "PNG"), "cannot be opened"),
        (lambda path: path.write_text(f"#EXTM3U\n#EXTINF:1,\n{path.with_name('other.mp4')}\n"), "cannot be opened"),
        (lambda path: path.write_text(f"ffconcat version 1.0\nfile {path.with_name('other.mp4')}\n"), "cannot be op"),
        (_sound, "only audio"),
        (_headless, "cannot be opened|no frame"),
        (_frameless, "cannot be opened|no frame"),
        (_empty_track, "cannot be opened|no frame"),
        (lambda path: path.mkdir(), "holds no pictures"),
    ],
)
def test_what_is_no_video_gives_one_clear_line(tmp_path: Path, make: Any, message: str) -> None:
    clip(tmp_path / "other.mp4", count=3)
    make(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=message) as caught:
        frames(tmp_path / "a.mp4")
    assert "\n" not in str(caught.value)
    assert "a.mp4" in str(caught.value)


@pytest.mark.parametrize("source", ["absent.mp4", "/dev/video97", "97", "http://127.0.0.1:9/a.mp4"])
def test_what_is_not_there_gives_one_clear_line(source: str) -> None:
    with pytest.raises(DataError, match=r"does not exist|cannot be opened") as caught:
        frames(source)
    assert "\n" not in str(caught.value)


def test_passwords_are_not_repeated() -> None:
    with pytest.raises(DataError) as caught:
        frames("http://me:secret@127.0.0.1:9/a.mp4")
    assert "secret" not in str(caught.value)


def test_a_folder_is_a_video_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 10, 11):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "frame3.png").write_bytes(b"broken")
    (tmp_path / "notes.txt").write_text("no picture")
    with open_video(tmp_path) as video:
        found = list(video)
        assert (video.frames, video.corrupt) == (5, 1)
    assert [int(frame.image[0, 0, 0]) for frame in found] == [1, 2, 10, 11]


def test_ten_hours_are_no_more_than_their_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [draw([])] * 37, codec="mjpeg", gap=1000, rate=1)
    found = frames(path)
    assert len(found) == 37
    assert found[-1].time == pytest.approx(36_000)


def test_a_slow_reader_of_a_file_misses_nothing_and_nothing_piles_up(tmp_path: Path) -> None:
    with open_video(clip(tmp_path / "a.mp4")) as video:
        reader = iter(video)
        next(reader)
        time.sleep(0.3)
        assert video.read <= AHEAD + 3
        assert len(list(reader)) == 29


def test_a_slow_reader_of_a_live_source_gets_the_newest_frame(tmp_path: Path) -> None:
    with open_video(clip(tmp_path / "a.mp4"), live=True) as video:
        time.sleep(0.5)
        found = list(video)
        assert [frame.index for frame in found] == [29]
        assert video.dropped == 29


def test_closing_early_ends_the_thread(tmp_path: Path) -> None:
    video = open_video(clip(tmp_path / "a.mp4"))
    next(iter(video))
    video.close()
    assert not any(thread.name == "decoder" and thread.is_alive() for thread in threading.enumerate())


@contextmanager
def breaking(content: bytes, parts: int) -> Iterator[str]:
    """An HTTP server that sends a stream `parts` times, each time breaking off in the middle, and then is gone."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(parts):
            line, _ = server.accept()
            with line:
                line.recv(4096)
                line.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + content)
        server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/stream.ts"
    thread.join(5)


def test_a_stream_that_breaks_off_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_module, "PAUSES", (0.01, 0.05))
    content = clip(tmp_path / "a.ts", count=20, codec="mpeg2video").read_bytes()
    with breaking(content[: len(content) * 3 // 4], 3) as address, open_video(address, patience=0.5) as video:
        assert video.live
        indices = [frame.index for frame in video]
        assert video.reconnects == 2
        assert video.read > 25
        assert indices == sorted(set(indices))
        assert "did not come back within 0.5 s" in video.warnings[0]


def test_pyav_is_loaded_when_a_video_is_opened_and_not_before() -> None:
    code = "import sys, photovision.video.reader, photovision.video.sources; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_frames_are_let_go_of_at_once(tmp_path: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        with open_video(clip(tmp_path / "a.mp4")) as video:
            for _ in video:
                pass
        # By type: asking proxies of other libraries for their class makes them warn.
        kept = [one for one in gc.get_objects() if type(one) is av.VideoFrame]
    finally:
        gc.enable()
    assert len(kept) <= 2
