"""blur: every face of a picture, a folder or a video is covered, but those of people who are named.

Videos are gone through twice: first all faces are looked for and followed, then they are covered, also in the frames in
which they were missed. What is written holds pixels only: no metadata, and no sound, for a voice names a person, too.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.files import open_regular
from photovision.core.image_formats import BEGINNING, sniff
from photovision.core.inputs import as_pixels
from photovision.core.output import SIGNATURE, check_file, write_output
from photovision.core.progress import ProgressCallback
from photovision.core.types import Image
from photovision.data.image_paths import find_pictures
from photovision.faces.cover import How, checked_how, covered
from photovision.faces.detect import MAYBE, FaceDetector
from photovision.faces.identify import FaceGallery
from photovision.faces.identify_video import named_tracks
from photovision.faces.register import FaceStore
from photovision.faces.tracks import FaceFollower, cover_plan
from photovision.video.reader import open_video
from photovision.video.writer import Film

_JPEG = (".jpg", ".jpeg")
_SUFFIXES = (*_JPEG, ".png")


class Blurred(NamedTuple):
    """A file that was written.

    Attributes:
        file, output: what was read, and what was written.
        faces: how many were covered; in a video, how many were followed.
        spared: names of people who were left as they are.
        frames: of a video; 1 of a picture.
        warnings: what should be known of a video, such as that it is cut off.
    """

    file: str
    output: str
    faces: int
    spared: tuple[str, ...]
    frames: int
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `photovision faces blur --json` prints, a line a file."""
        return {**self._asdict(), "spared": list(self.spared), "warnings": list(self.warnings)}


class FaceBlurrer:
    """Covers faces; see `blur` for the arguments.

    Raises:
        UsageError: a name is given without a store, or nobody is enrolled by it.
    """

    def __init__(self, *, store: FaceStore | None = None, spared: Sequence[str] = (), how: str = "solid") -> None:
        if spared and store is None:
            raise UsageError("--except names people of a store: name it with --store")
        self.how: How = checked_how(how)
        self.spared = {store.entry(name).name for name in spared} if store is not None else set[str]()
        self.store = store if self.spared else None
        self.detector = store.recogniser.detector if store is not None else FaceDetector()

    def picture(self, source: str | Path, output: Path) -> Blurred:
        """Write a picture with its faces covered; raises UnreadableImage."""
        image = as_pixels(source)
        faces = self.detector.find(image, least=MAYBE, tiles=True)
        names: list[str | None] = [None] * len(faces)
        if self.store is not None and faces:
            gallery = FaceGallery(self.store)
            found = gallery.names(self.store.recogniser.embedded(image, faces))
            names = [one.name if one.name in self.spared else None for one in found]
            self.store.note("blur", faces=len(faces), found=gallery.subjects(found))
        hidden = [face.box for face, name in zip(faces, names, strict=True) if name is None]
        _write(covered(image, hidden, self.how), output, source)
        return Blurred(str(source), str(output), len(hidden), tuple(sorted(filter(None, names))), 1)

    def video(self, source: str | Path, output: Path, progress: ProgressCallback | None = None) -> Blurred:
        """Write a video with its faces covered, in two passes; raises DataError."""
        check_file(output, [source])
        follower = FaceFollower(self.detector, thorough=True, shots=self.store is not None)
        with open_video(source, live=False) as video:
            for frame in video:
                follower.see(frame)
                if progress is not None:
                    progress(frame.index + 1, 2 * (video.frames or follower.frames))
        spared, names = self._spared_tracks(follower)
        plan = cover_plan(follower, spared)
        with open_video(source, live=False) as video, Film(output, video.rate, [source]) as film:
            for frame in video:
                film.add(covered(frame.image, plan.get(frame.index, ()), self.how), frame.time)
                if progress is not None:
                    progress(follower.frames + frame.index + 1, 2 * follower.frames)
        hidden = len(follower.tracks) - len(spared)
        seen = tuple(sorted(set(names)))
        return Blurred(str(source), str(output), hidden, seen, film.frames, tuple(video.warnings))

    def _spared_tracks(self, follower: FaceFollower) -> tuple[list[int], list[str]]:
        """Numbers of the tracks of people who stay as they are, and their names."""
        if self.store is None:
            return [], []
        people = named_tracks(follower, FaceGallery(self.store), self.store)
        known = [one for one in people if one.name in self.spared]
        pseudonyms = [self.store.entry(one.name).pseudonym for one in known if one.name]
        self.store.note("blur", faces=len(follower.tracks), found=[{"subject": one} for one in pseudonyms])
        return [one.track.number for one in known], [one.name for one in known if one.name]


def blur(
    source: str | Path,
    output: str | Path,
    *,
    store: FaceStore | None = None,
    spared: Sequence[str] = (),
    how: str = "solid",
    progress: ProgressCallback | None = None,
) -> list[Blurred | UnreadableImage]:
    """Cover every face of a picture, of the pictures of a folder, or of a video.

    No metadata is taken over, and no sound. A face that no detector finds stays visible: look through what matters.

    Args:
        source: a picture, a folder of pictures, or a video.
        output: a file that ends in .jpg, .png or, for a video, .mp4; a folder for the pictures of a folder.
        store: of people who may stay visible.
        spared: their names, as enrolled. Who is not recognised for sure is covered.
        how: "solid", or "pixels" for five squares across a face.
        progress: called with the steps done, and in all.

    Returns:
        what was written; in place of a picture of a folder that cannot be decoded, its error.

    Raises:
        UsageError: the output has another ending, or something else is in the way.
        UnreadableImage, DataError: the picture, or the video, cannot be decoded.
    """
    return list(blurred(FaceBlurrer(store=store, spared=spared, how=how), source, output, progress))


def blurred(
    blurrer: FaceBlurrer, source: str | Path, output: str | Path, progress: ProgressCallback | None = None
) -> Iterator[Blurred | UnreadableImage]:
    """What `blur` does, file by file as the results are asked for."""
    given, target = Path(source), Path(output)
    if given.is_dir():
        yield from _folder(blurrer, given, target, progress)
    elif is_picture(given):
        yield blurrer.picture(source, _placed(target))
    else:
        yield blurrer.video(source, target, progress)


def is_picture(path: Path) -> bool:
    """Whether a file begins like a picture of a known format; raises DataError where there is none."""
    try:
        with open_regular(path) as file:
            return sniff(file.read(BEGINNING)) is not None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}): give a picture, a folder or a video") from None


def _folder(
    blurrer: FaceBlurrer, folder: Path, target: Path, progress: ProgressCallback | None
) -> Iterator[Blurred | UnreadableImage]:
    if target.absolute().resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{target} lies in the folder {folder} that is read: choose another one with --output")
    files = list(find_pictures([str(folder)]))
    for number, file in enumerate(files, 1):
        name = Path(os.path.relpath(file, folder))
        # Two pictures may differ by their endings alone.
        ending = name.name if name.suffix.lower() in _SUFFIXES else f"{name.name}.png"
        try:
            yield blurrer.picture(file, target / name.with_name(ending))
        except UnreadableImage as error:
            yield error
        if progress is not None:
            progress(number, len(files))


def _placed(path: Path) -> Path:
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"pictures are written as JPEG or PNG: give a name that ends in .jpg or .png, not {path.name}")
    return path


def _write(image: Image, path: Path, source: str | Path) -> None:
    buffer, picture = io.BytesIO(), Pillow.fromarray(image)
    if path.suffix.lower() in _JPEG:
        picture.save(buffer, "JPEG", quality=95, comment=SIGNATURE)
    else:
        facts = PngInfo()
        facts.add_text("Software", SIGNATURE.decode())
        picture.save(buffer, "PNG", pnginfo=facts)
    write_output(path, buffer.getvalue(), [source])
