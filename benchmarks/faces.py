"""Faces: found, compared, identified among strangers, and how fast.

    python benchmarks/faces.py london shared/data/london-faces
    python benchmarks/faces.py orl shared/data/orl-faces
    python benchmarks/faces.py speed shared/data/london-faces

`london` (102 people, two pictures each, metadata.csv) prints a JSON line each for faces not found, for thresholds and
false non-matches at false-match rates, for open sets (20 and 51 people enrolled by their neutral picture, drawn with
seeds 0 to 39; searched for by their smiling one, with both pictures of all others as strangers), and for covered faces.
`orl` (a folder a person) does the first two. Their thresholds are those of `photovision/faces/thresholds.py`. `speed`
enrols 1,000 people (drawn around those of the folder), and times one picture of 640 pixels and a video of one person.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import av
import numpy as np
from PIL import Image as Pillow

from photovision.core.inputs import as_pixels
from photovision.core.types import Image
from photovision.faces.blur import FaceBlurrer
from photovision.faces.detect import SURE
from photovision.faces.identify import FaceGallery, identify
from photovision.faces.identify_video import identify_video
from photovision.faces.pairs import FaceData, read_face_data
from photovision.faces.recognise import FaceEmbedding, FaceRecogniser, unit
from photovision.faces.register import FaceStore
from photovision.faces.thresholds import threshold_for
from photovision.trust.metrics.verification import all_pairs, clopper_pearson, match_rate, threshold_at

UNTIL = date.today() + timedelta(days=1)
ENROLLED, FRAMES, REPEATS, DRAWS = 1000, 200, 60, 40


class Remembering(FaceRecogniser):
    """Looks at every picture once."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, list[FaceEmbedding]] = {}

    def faces(self, image: Image, *, least: float = SURE, upright: bool = False) -> list[FaceEmbedding]:
        """See `FaceRecogniser.faces`."""
        key = hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()
        if key not in self._known:
            self._known[key] = super().faces(image, least=least, upright=upright)
        return self._known[key]


class Drawn(FaceRecogniser):
    """Gives the face of a picture the next of some vectors."""

    def __init__(self, seen: FaceEmbedding, vectors: Sequence[np.ndarray]) -> None:
        super().__init__()
        self._seen, self._vectors = seen, iter(vectors)

    def faces(self, image: Image, *, least: float = SURE, upright: bool = False) -> list[FaceEmbedding]:
        """See `FaceRecogniser.faces`."""
        return [FaceEmbedding(self._seen.face, self._seen.quality, next(self._vectors))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["london", "orl", "speed"])
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    table = asked.folder / "metadata.csv"
    data, seen = read_face_data(table if table.is_file() else asked.folder), Remembering()
    with tempfile.TemporaryDirectory() as top:
        os.environ["XDG_CONFIG_HOME"] = top
        if asked.what == "speed":
            speed(data, seen, Path(top))
            return
        rates(data, seen)
        if asked.what == "london":
            open_set(data, seen, Path(top))
            coverage(data, Path(top))


def show(**facts: object) -> None:
    """A JSON line."""
    print(json.dumps(facts), flush=True)


def rates(data: FaceData, seen: Remembering) -> None:
    """Faces not found, and error rates of all pairs."""
    vectors, people, missed = [], [], 0
    for file, person in zip(data.files, data.people, strict=True):
        faces = seen.faces(as_pixels(file))
        missed += not faces
        if faces:
            vectors.append(faces[0].vector)
            people.append(person)
    n = len(data.files)
    show(missed=missed, n=n, interval=clopper_pearson(missed, n))
    pairs = all_pairs(np.stack(vectors), people)
    impostor, genuine = pairs.impostor, pairs.genuine
    show(genuine=len(genuine), impostor=len(impostor), least=float(genuine.scores.min()), people=pairs.people)
    for rate in (0.1, 0.03, 0.01, 0.003, 0.001, 0.0001):
        own, kept = threshold_at(impostor, rate), threshold_for(rate)
        known = [round(1 - value, 5) for value in match_rate(genuine, own.value)]
        shipped = match_rate(impostor, kept.score)
        show(fmr=rate, threshold=[round(value, 4) for value in own], fnmr=known, shipped=kept.score,
             fmr_at_shipped=list(shipped), fnmr_at_shipped=1 - match_rate(genuine, kept.score).value)  # fmt: skip


def open_set(data: FaceData, seen: Remembering, top: Path) -> None:
    """Some of the people enrolled, all others strangers: over all draws, and what 90% of the draws lie within."""
    pictures: dict[str, list[Path]] = {}
    for file, person in zip(data.files, data.people, strict=True):
        pictures.setdefault(person, []).append(file)
    names = sorted(pictures)
    for size in (20, len(names) // 2):
        counts = np.array([draw(pictures, seed, size, seen, top / f"store-{size}-{seed}") for seed in range(DRAWS)])
        missed, known, wrong, named, strangers = counts.T
        spread = {
            "fnir": np.quantile(missed / known, [0.05, 0.95]),
            "fpir": np.quantile(named / strangers, [0.05, 0.95]),
        }
        searches = {"searches": int(known.sum()), "strangers": int(strangers.sum()), "wrong": int(wrong.sum())}
        rates = {"fnir": missed.sum() / known.sum(), "fpir": named.sum() / strangers.sum()}
        within = {name: bounds.round(4).tolist() for name, bounds in spread.items()}
        show(enrolled=size, draws=DRAWS, **searches, **rates, draws_within=within)


def draw(pictures: dict[str, list[Path]], seed: int, size: int, seen: Remembering, place: Path) -> list[int]:
    """Of one draw: missed of known searches, named otherwise, and strangers with a name of all strangers."""
    names = sorted(pictures)
    known = {names[row] for row in np.random.default_rng(seed).permutation(len(names))[:size]}
    missed = wrong = named = 0
    with FaceStore(place, create=True, recogniser=seen) as store:
        for name in known:
            store.enroll(name, pictures[name][:1], purpose="benchmark", basis="consent", until=UNTIL)
        gallery = FaceGallery(store)
        searches = [(name, file) for name in names for file in pictures[name][1 if name in known else 0 :]]
        for name, file in searches:
            found = [face.name for face in gallery.names(seen.faces(as_pixels(file))) if face.name]
            missed += name in known and name not in found
            wrong += name in known and any(one != name for one in found)
            named += name not in known and bool(found)
    own = sum(name in known for name, _ in searches)
    return [missed, own, wrong, named, len(searches) - own]


def coverage(data: FaceData, top: Path) -> None:
    """Faces that are still found in covered pictures."""
    blurrer, left, faces = FaceBlurrer(), 0, 0
    for file in data.files:
        faces += blurrer.picture(file, top / "covered.png").faces
        left += len(blurrer.detector.find(as_pixels(top / "covered.png")))
    show(pictures=len(data.files), covered=faces, still_found=left)


def speed(data: FaceData, seen: Remembering, top: Path) -> None:
    """One picture and one video among 1,000 who are enrolled."""
    rng = np.random.default_rng(0)
    known = [seen.faces(as_pixels(file))[0] for file in data.files[:40]]
    base = np.stack([face.vector for face in known])
    drawn = [unit(base[n % len(base)] + rng.normal(size=128).astype(np.float32) / 8) for n in range(ENROLLED - 1)]
    grey = np.zeros((8, 8, 3), np.uint8)
    with FaceStore(top / "store", create=True, recogniser=Drawn(known[0], drawn)) as store:
        began = time.perf_counter()
        for number in range(len(drawn)):
            store.enroll(f"drawn {number}", [grey], purpose="benchmark", basis="consent", until=UNTIL)
        show(enrolled=len(drawn), seconds=round(time.perf_counter() - began, 1))
    shown = Pillow.fromarray(as_pixels(data.files[0]))
    shown.resize((640, 640)).save(top / "query.jpg", quality=95)
    with FaceStore(top / "store") as store:
        store.enroll("one", [data.files[0]], purpose="benchmark", basis="consent", until=UNTIL)
        for _ in range(3):
            identify(store, top / "query.jpg")
        seconds = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            identify(store, top / "query.jpg")
            seconds.append(time.perf_counter() - began)
        low, median, high = (round(1000 * float(np.quantile(seconds, share)), 1) for share in (0.05, 0.5, 0.95))
        show(picture_ms=median, p5=low, p95=high, enrolled=len(store))
        video = _video(top / "one.mp4", shown)
        began = time.perf_counter()
        found = identify_video(store, video)
        took = time.perf_counter() - began
        people = [person.name for person in found.people]
        show(frames=found.frames, seconds=round(took, 2), frames_per_second=round(found.frames / took, 1), found=people)
        began = time.perf_counter()
        done = FaceBlurrer().video(video, top / "covered.mp4")
        took = time.perf_counter() - began
        show(covered_frames=done.frames, frames_per_second=round(done.frames / took, 1))


def _video(path: Path, face: Pillow.Image) -> Path:
    """640 x 480, 25 frames a second: a person who sways."""
    small = np.asarray(face.resize((320, 320)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 480, "yuv420p", 4_000_000
        for number in range(FRAMES):
            page = np.full((480, 640, 3), 128, np.uint8)
            left = round(160 + 100 * np.sin(number / 20))
            page[80:400, left : left + 320] = small
            container.mux(stream.encode(av.VideoFrame.from_ndarray(page, format="rgb24")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
