"""Areas of classes as lines for people and as rows of CSV."""

from __future__ import annotations

from photovision.core.phrases import count
from photovision.core.regions import Segmentation
from photovision.core.result import Size
from photovision.tasks.segment.segmenter import Segmenter


class AreaPrinter:
    """See `photovision.engine.printer.Printer`."""

    columns = ("label", "area", "objects", "height", "width")

    def __init__(self, model: Segmenter) -> None:
        pass  # a segmentation says all of itself

    def text(self, value: Segmentation) -> list[tuple[str, str]]:
        """How many objects there are, where they are separated, and the share of each class, the largest first."""
        shares = sorted(value.areas().items(), key=lambda pair: -pair[1])
        areas = (", ".join(f"{name} {100 * share:.1f} %" for name, share in shares), "")
        return [areas] if value.objects is None else [(count(len(value.objects), "object"), ""), areas]

    def rows(self, value: Segmentation, size: Size) -> list[list[str]]:
        """A row for each class that occurs."""
        objects = "" if value.objects is None else str(len(value.objects))
        return [[name, f"{share:.6f}", objects, *map(str, size)] for name, share in value.areas().items()]
