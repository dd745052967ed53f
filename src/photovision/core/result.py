"""Result: the prediction for one image beside the file it came from, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from warnings import warn

from photovision.core.errors import UnreadableImage

Size = tuple[int, int]
"""(H, W) in pixels."""


class Prediction(Protocol):
    """What a model of any task predicts for one image: `Classes`, `Detections`, `Segmentation` ..."""

    def json_fields(self, size: Size) -> dict[str, Any]:
        """JSON-ready: what stands beside "file" in the result for an image of `size`."""
        ...


P = TypeVar("P", bound=Prediction)


@dataclass(frozen=True, eq=False)
class Result(Generic[P]):
    """The result for one image.

    Attributes:
        file: path or name of the image; None for arrays and bytes.
        size: (H, W) of the upright image in pixels; (0, 0) where it could not be read, or where the model does not
            need it.
        value: the prediction; None where the image could not be read.
        error: why it could not be read, or None.

    Example:
        >>> Result(None, (0, 0), None, UnreadableImage("the picture: is empty")).to_json()
        {'file': None, 'error': 'the picture: is empty'}
    """

    file: str | None
    size: Size
    value: P | None
    error: UnreadableImage | None = None

    @property
    def found(self) -> P | None:
        """The old spelling of `value`."""
        warn("Result.found is now Result.value", DeprecationWarning, stacklevel=2)
        return self.value

    def to_json(self) -> dict[str, Any]:
        """`{"file", ...}` with the fields of the prediction, or `{"file", "error"}`."""
        if self.value is None:
            return {"file": self.file, "error": str(self.error).removeprefix(f"{self.file}: ")}
        return {"file": self.file, **self.value.json_fields(self.size)}
