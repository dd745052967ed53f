"""Every face is covered in every frame, for good, and nothing but pixels is written."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from pathlib import Path

import av
import numpy as np
import pytest
from clips import write
from faces_of import astronaut, enlarged, london, needs_weights
from PIL import Image as Pillow

from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.core.inputs import as_pixels
from photovision.faces.blur import FaceBlurrer, blur
from photovision.faces.cover import covered, widened
from photovision.faces.detect import FaceDetector
from photovision.faces.identify_video import identify_video
from photovision.faces.register import FaceStore
from photovision.faces.tracks import DROPOUT, FaceFollower, cover_plan, filled
from photovision.video.reader import Frame, open_video

GROUND = {"purpose": "the door", "basis": "consent", "until": date.today() + timedelta(days=30)}


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.mark.parametrize("how", ["solid", "pixels"])
def test_what_is_covered_is_gone(how: str) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    shown = covered(picture, [(20, 20, 40, 40), (70, 50, 95, 70)], how)
    left, top, right, bottom = widened((20, 20, 40, 40), picture.shape)
    assert (left, top, right, bottom) == (14, 14, 46, 46)
    assert len(np.unique(shown[top:bottom, left:right].reshape(-1, 3), axis=0)) <= (1 if how == "solid" else 25)
    assert (shown[45:, 63:] != picture[45:, 63:]).any()
    outside = np.ones(picture.shape[:2], bool)
    outside[top:bottom, left:right] = outside[42:, 62:] = False
    assert np.array_equal(shown[outside], picture[outside])


def test_a_face_that_is_missed_stays_covered() -> None:
    boxes = {frame: (10.0 * frame, 0.0, 10.0 * frame + 40, 40.0) for frame in (8, 9, 15)}
    plan = dict(filled(boxes, 40))
    assert sorted(plan) == [*range(3, 8), *range(10, 15), *range(16, 21)]
    assert plan[12] == pytest.approx((120, 0, 160, 40))
    apart = dict(filled({5: (0.0, 0.0, 9.0, 9.0), 35: (90.0, 0.0, 99.0, 9.0)}, 40))
    assert sorted(apart) == [*range(0, 5), *range(6, 11), *range(30, 35), *range(36, 40)]


class Flickering(FaceDetector):
    """A real detector that misses every face in some frames."""

    def __init__(self, missed: set[int]) -> None:
        self.missed, self.frame = missed, -1

    def find(self, image: np.ndarray, **options: object) -> list:
        """See `FaceDetector.find`."""
        self.frame += 1
        return [] if self.frame in self.missed else super().find(image, least=0.7)


def moving(count: int) -> list[np.ndarray]:
    """The astronaut's head, which moves to the right over a grey ground."""
    head = enlarged(astronaut()[30:230, 120:320], 0.6)
    frames = []
    for number in range(count):
        page = np.full((180, 320, 3), 110, np.uint8)
        page[30:150, 10 + 5 * number : 130 + 5 * number] = head
        frames.append(page)
    return frames


@needs_weights
def test_dropouts_of_five_frames_uncover_nothing(detector: FaceDetector) -> None:
    frames, missed = moving(24), {0, 1, *range(6, 11), 15, 16, 22, 23}
    follower = FaceFollower(Flickering(missed), thorough=True, shots=False)
    for number, image in enumerate(frames):
        follower.see(Frame(number, number / 25, image))
    plan = cover_plan(follower)
    for number in missed:
        (face,) = detector.find(frames[number])
        hidden = np.zeros(frames[number].shape[:2], bool)
        for box in plan[number]:
            x1, y1, x2, y2 = widened(box, hidden.shape)
            hidden[y1:y2, x1:x2] = True
        x1, y1, x2, y2 = face.inside(hidden.shape)
        assert hidden[y1:y2, x1:x2].mean() > 0.95, number
    assert DROPOUT == 5


@needs_weights
def test_a_picture_loses_its_faces_its_place_and_its_camera(tmp_path: Path, detector: FaceDetector) -> None:
    exif = Pillow.Exif()
    exif[0x0110], exif[0x8825] = "SpyCam", {1: "N", 2: (48.0, 1.0, 2.0)}
    Pillow.fromarray(astronaut()).save(tmp_path / "in.jpg", exif=exif, comment=b"taken at home")
    for ending in ("jpg", "png"):
        (done,) = blur(tmp_path / "in.jpg", tmp_path / f"out.{ending}")
        assert done.faces == 1
        content = (tmp_path / f"out.{ending}").read_bytes()
        assert b"SpyCam" not in content
        assert b"taken at home" not in content
        with Pillow.open(io.BytesIO(content)) as picture:
            assert not picture.getexif()
        assert detector.find(as_pixels(tmp_path / f"out.{ending}")) == []
    (done,) = blur(tmp_path / "in.jpg", tmp_path / "out.png", how="pixels")  # its own output may be replaced
    assert detector.find(as_pixels(tmp_path / "out.png")) == []


@needs_weights
def test_a_folder_is_gone_through_and_what_is_damaged_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Pillow.fromarray(enlarged(astronaut(), 0.5)).save(tmp_path / "in" / "deep" / "a.bmp")
    (tmp_path / "in" / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    assert run(["faces", "blur", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]) == 2
    output = capsys.readouterr()
    assert "b.jpg" in output.err
    assert json.loads(output.out)["faces"] == 1
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["a.bmp.png"]
    assert run(["faces", "blur", str(tmp_path / "in"), "-o", str(tmp_path / "in" / "out")]) == 2
    assert "lies in the folder" in capsys.readouterr().err


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    Pillow.fromarray(astronaut()).save(tmp_path / "in.png")
    for options, message in (({"how": "gaussian"}, "solid or pixels"), ({"spared": ["Ada"]}, "--store")):
        with pytest.raises(UsageError, match=message):
            FaceBlurrer(**options)
    with pytest.raises(UsageError, match=r"\.jpg or \.png"):
        blur(tmp_path / "in.png", tmp_path / "out.gif")


@needs_weights
def test_a_video_is_covered_but_for_who_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography", reason="needs the library cryptography")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    video = write(tmp_path / "in.mp4", moving(6))
    with FaceStore(tmp_path / "store", create=True) as store:
        store.enroll("Eileen", [astronaut()], **GROUND)
        found = identify_video(store, video)
        assert [(one.verdict, one.name) for one in found.people] == [("same", "Eileen")]
        assert found.frames == 6
        detector = store.recogniser.detector
        for spared, faces in (((), 0), (("Eileen",), 1)):
            (done,) = blur(video, tmp_path / f"{faces}.mp4", store=store, spared=spared)
            assert (done.frames, done.faces, done.spared) == (6, 1 - faces, tuple(spared))
            with open_video(tmp_path / f"{faces}.mp4") as written:
                assert [len(detector.find(frame.image)) for frame in written] == [faces] * 6
        assert [row.event for row in store.log()] == ["enroll", "identify", "blur"]
    with av.open(str(tmp_path / "0.mp4")) as container:
        assert not container.streams.audio


@needs_weights
def test_a_video_that_is_cut_off_is_covered_and_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, cut = write(tmp_path / "whole.mp4", moving(12)), tmp_path / "cut.mp4"
    with av.open(str(whole)) as read, av.open(str(cut), "w", options={"movflags": "faststart"}) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)
    cut.write_bytes(cut.read_bytes()[: -cut.stat().st_size // 3])
    assert run(["faces", "blur", str(cut), "-o", str(tmp_path / "out.mp4")]) == 0
    assert "of 12 frames: it is damaged or cut off" in capsys.readouterr().err
    (done,) = blur(whole, tmp_path / "covered.mp4")
    assert done.warnings == ()


@needs_weights
@pytest.mark.slow
def test_every_face_of_the_london_set_is_covered(shared_data: Path, tmp_path: Path, detector: FaceDetector) -> None:
    blurrer = FaceBlurrer()
    for name, pictures in london(shared_data, 102).items():
        for picture in pictures:
            before = detector.find(as_pixels(picture))
            done = blurrer.picture(picture, tmp_path / "out.png")
            assert done.faces >= len(before) == 1, name
            assert detector.find(as_pixels(tmp_path / "out.png")) == []
