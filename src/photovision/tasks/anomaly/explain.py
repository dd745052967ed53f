"""Explain an anomaly detector: where an image departs from good ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UsageError
from photovision.core.image import to_array
from photovision.core.inputs import Source
from photovision.core.phrases import count
from photovision.core.report import Figure, Report
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.core.types import Attribution, Image
from photovision.tasks.anomaly.detector import AnomalyDetector
from photovision.tasks.anomaly.heatmap import enlarged, painted
from photovision.tasks.anomaly.prediction import Anomaly
from photovision.trust.explain.request import AUTO, ExplainRequest

METHOD = "distance"
"""The heatmap of the model itself: distances of patches to the nearest good ones."""
GRID = 14


@dataclass(frozen=True, eq=False)
class ExplainedAnomaly:
    """One image with its heatmap.

    Attributes:
        name: in the report.
        found: the prediction.
        maps: the heatmap over the pixels that the network sees, 0 to 1.
        drawn: the image with its heat.
    """

    name: str
    found: Anomaly
    maps: tuple[Attribution, ...]
    drawn: Image


@dataclass(frozen=True, eq=False)
class AnomalyExplainer:
    """An `ImageExplainer`.

    Attributes:
        model: the detector.
        request: what is to be explained.
    """

    model: AnomalyDetector
    request: ExplainRequest

    def explain(self, source: Source, name: str) -> ExplainedAnomaly:
        """Explain one image; raises UnreadableImage."""
        image = source if isinstance(source, np.ndarray) else to_array(self.model.preprocess.decode(source))
        found = self.model.predict(image)
        assert isinstance(found, Anomaly)
        heat = enlarged(found.heat, self.model.preprocess.size)
        scaled = heat / max(float(heat.max()), 1e-9)
        attribution = Attribution(scaled.astype(np.float32), found.verdict, METHOD)
        return ExplainedAnomaly(name, found, (attribution,), painted(image, found.heatmap))

    def report(self, images: Sequence[ExplainedAnomaly], unreadable: Sequence[str]) -> Report:
        """The report of kind "explain"."""
        bad = sum(one.found.verdict == "anomalous" for one in images)
        statistic = self.model.info["anomaly"].get("statistic", "")
        summary = (
            f"{count(bad, 'image')} of {len(images):,} {'is' if bad == 1 else 'are'} called anomalous.",
            f"The score is made from the distances that the map shows ({statistic}). The map is no approximation, so"
            " it needs no test.",
        )
        pictures = tuple((jpeg(one.drawn), f"{one.found.verdict}, p = {one.found.p:.3f}\n{one.name}") for one in images)
        note = "Red is hotter than good images get, on one scale for all images; a good image has none."
        return Report(
            kind="explain",
            title=_title(self.model.bundle.name, images),
            summary=summary,
            figures=(Figure("Heatmaps", pictures=pictures, note=note, first=True),),
            warnings=tuple(unreadable),
            provenance={"model": {"backbone": (self.model.info.get("backbone") or {}).get("name")}, **provenance()},
            data={"task": "anomaly", "pictures": [_json(one) for one in images]},
        )


def _title(name: str, images: Sequence[ExplainedAnomaly]) -> str:
    if len(images) > 1:
        return f"{name}: where {count(len(images), 'image')} depart from good ones"
    return f"{name}: {images[0].found.verdict} (p = {images[0].found.p:.3f})"


def explainer(model: AnomalyDetector, request: ExplainRequest) -> AnomalyExplainer:
    """The part "explain"; raises UsageError for another method than the model's own distances."""
    strange = [name for name in request.methods if name not in (AUTO, METHOD)]
    if strange:
        raise UsageError(f"an anomaly detector is explained by its own distances ('{METHOD}'), not by '{strange[0]}'")
    return AnomalyExplainer(model, request)


def coarse(found: Anomaly) -> list[list[float]]:
    """The heat over the pixels that the network sees, 14 x 14 from 0 to 1, row by row."""
    heat = np.asarray(Pillow.fromarray(found.heat).resize((GRID, GRID), Pillow.Resampling.BOX))
    scaled: list[list[float]] = np.round(heat / max(float(heat.max()), 1e-9), 3).tolist()
    return scaled


def _json(one: ExplainedAnomaly) -> dict[str, object]:
    return {
        "file": one.name,
        **one.found.json_fields((one.drawn.shape[0], one.drawn.shape[1])),
        "method": METHOD,
        "heatmap": coarse(one.found),
    }
