"""Region maps: the explanation over HTTP of a detector's boxes, or of a segmenter's regions."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image as Pillow

from photovision.core.errors import DataError
from photovision.engine.explain import explained
from photovision.engine.wire import ImageLimits, MapRequest, Source, whole_image
from photovision.trust.explain.regions import ExplainedRegions
from photovision.trust.explain.request import ExplainRequest

_FIELDS = ("label", "score", "xyxy", "heatmap", "window", "heat_inside", "area_inside")


@dataclass(frozen=True, eq=False)
class RegionMaps:
    """The maps of the most probable boxes, or of the largest region."""

    found: ExplainedRegions

    def to_json(self) -> dict[str, Any]:
        """Every box with a map of 14 x 14 cells over a window of the picture, in its pixels."""
        from photovision.trust.explain.regions_text import describe

        fields = describe(self.found)
        return {"size": fields["size"], "boxes": [{name: one[name] for name in _FIELDS} for one in fields["boxes"]]}

    def png(self) -> bytes:
        """The map of the first of them, outlined."""
        from photovision.trust.explain.regions_text import drawn

        if not self.found.places:
            raise DataError("nothing was found in the picture, so there is nothing to explain: lower the threshold")
        stream = io.BytesIO()
        Pillow.fromarray(drawn(self.found.places[0])).save(stream, "PNG")
        return stream.getvalue()


def explain_regions(
    model: Any, source: Source, request: MapRequest, limits: ImageLimits, max_regions: int
) -> RegionMaps:
    """The maps of at most so many boxes or regions, of one class where that is asked for; it needs no torch."""
    image = whole_image(source, model.preprocess, limits)
    own = model.with_session(request.session)
    chosen = ExplainRequest((request.method,), request.label, boxes=max_regions, tests=False)
    return RegionMaps(explained(own, image, chosen))
