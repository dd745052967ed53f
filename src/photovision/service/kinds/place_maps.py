"""Place maps: what a detector's boxes, or a segmenter's regions, rest on."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image as Pillow

from photovision.core.errors import DataError, UsageError
from photovision.engine.explain import explained
from photovision.service.http_error import Refusal
from photovision.service.kinds.kind import Source, Why, opened, through
from photovision.service.settings import Limits
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.explain.regions import ExplainedRegions
from photovision.trust.explain.request import ExplainRequest

METHODS = ("auto", "drise")
BOXES, REGIONS = 5, 1
"""What is explained of one picture at most: boxes share the calls of the network, regions do not."""
_TOLD = ("label", "score", "xyxy", "heatmap", "window", "heat_inside", "area_inside")


@dataclass(frozen=True, eq=False)
class PlaceMaps:
    """The maps of the most probable boxes, or of the largest region."""

    found: ExplainedRegions

    def to_json(self) -> dict[str, Any]:
        """Every box with a map of 14 x 14 cells over a window of the picture, in its pixels."""
        from photovision.trust.explain.regions_text import describe

        told = describe(self.found)
        return {"size": told["size"], "boxes": [{name: one[name] for name in _TOLD} for one in told["boxes"]]}

    def png(self) -> bytes:
        """The map of the first of them, outlined."""
        from photovision.trust.explain.regions_text import drawn

        if not self.found.places:
            raise DataError("nothing was found in the picture, so there is nothing to explain: lower the threshold")
        stream = io.BytesIO()
        Pillow.fromarray(drawn(self.found.places[0])).save(stream, "PNG")
        return stream.getvalue()


def explain_places(model: Detector | Segmenter, source: Source, why: Why, limits: Limits) -> PlaceMaps:
    """The maps of what is found, of one class where that is asked for, by an explainer that needs no torch."""
    if why.method not in METHODS:
        raise UsageError(f"what is where is explained by {' or '.join(METHODS)} here, got {why.method}")
    if why.label is not None and why.label not in model.classes:
        raise Refusal(404, "the model knows no class of that name: GET /v2/models/{model} lists them", "unknown")
    count = BOXES if isinstance(model, Detector) else REGIONS
    picture = opened(source, model.preprocess, limits)
    own = through(model, why.session)
    request = ExplainRequest((why.method,), why.label, boxes=count, tests=False)
    return PlaceMaps(explained(own, picture, request))
