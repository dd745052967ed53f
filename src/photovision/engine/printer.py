"""Printer: predictions as lines for people and as rows of CSV; each task has one as its part "print"."""

from __future__ import annotations

from typing import Protocol, TypeVar

from photovision.core.result import Prediction, Size

V_contra = TypeVar("V_contra", bound=Prediction, contravariant=True)


class Printer(Protocol[V_contra]):
    """What the part "print" of a task makes from a model; JSON needs none, since `Result.to_json` is it.

    Attributes:
        columns: of CSV, between "file" and "error".
    """

    columns: tuple[str, ...]

    def text(self, value: V_contra) -> list[tuple[str, str]]:
        """What follows the name of the file in a line: (name, figure) pairs, the figure "" where there is none."""
        ...

    def rows(self, value: V_contra, size: Size) -> list[list[str]]:
        """The rows of CSV for one image of `size` (H, W), each with a cell for every column."""
        ...
