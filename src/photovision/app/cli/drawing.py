"""Drawings and files of predictions: what `predict --output` writes, in the form that the task gives them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from photovision.core.result import Result
    from photovision.runtime.model import OnnxModel
    from photovision.video.reader import Frame
    from photovision.video.writer import Film


def drawings(model: OnnxModel[Any], folder: Path) -> Drawings | PredictionFiles:
    """Where the predictions of a model go; raises UsageError for a task that draws none."""
    from photovision.core.errors import UsageError

    row = model.bundle.row
    if not row.has("files") and not row.has("draw"):
        raise UsageError(f"--output cannot be used with {row.text.a_noun}, which draws nothing: leave it out")
    return PredictionFiles(model, folder) if row.has("files") else Drawings(model, folder, row.part("draw"))


class PredictionFiles:
    """Writes the files of predictions, by the part "files" of the task: `files(model, value) -> {place: image}`.

    A place is the name of a folder below the output, "" for the output itself.
    """

    def __init__(self, model: OnnxModel[Any], folder: Path) -> None:
        self._model, self._folder, self._taken = model, folder, set[str]()

    def __call__(self, result: Result[Any], frame: Frame | None) -> None:
        """Write the files of one image."""
        from photovision.app.cli.output import free_name, write_png

        name = free_name(Path(result.file or "picture").stem, self._taken, "-")
        for place, image in self._model.bundle.row.part("files")(self._model, result.value).items():
            write_png(image, self._folder / place / f"{name}.png", result.file)

    def close(self) -> None:
        """Nothing is left to be done."""


class Drawings:
    """Writes images and videos with their predictions drawn over them: `draw(image, value) -> image`.

    Names are those of no other file of the run.
    """

    def __init__(self, model: OnnxModel[Any], folder: Path, draw: Any) -> None:
        from photovision.video.writer import Film

        self._model, self._folder, self._draw, self._make = model, folder, draw, Film
        self._taken: set[str] = set()
        self._film: Film | None = None

    def __call__(self, result: Result[Any], frame: Frame | None) -> None:
        """Draw one image or frame."""
        from photovision.core.image import to_array
        from photovision.core.output import SIGNATURE, write_output
        from photovision.core.thumbnail import jpeg

        assert result.file is not None
        if frame is None:
            drawn = self._draw(to_array(self._model.preprocess.decode(result.file)), result.value)
            write_output(self._place(result.file, "jpg"), jpeg(drawn, 90, SIGNATURE), [result.file])
            return
        if frame.index == 0 or self._film is None:
            self.close()
            self._film = self._make(self._place(result.file, "mp4"), inputs=[result.file])
        self._film.add(self._draw(frame.image, result.value), frame.time)

    def close(self) -> None:
        """Finish the video that is being written."""
        if self._film is not None:
            self._film.close()
        self._film = None

    def _place(self, file: str, ending: str) -> Path:
        from photovision.app.cli.output import free_name

        kind = self._model.bundle.row.annotation_type
        return self._folder / f"{free_name(Path(file).stem, self._taken, '.')}.{kind}.{ending}"
