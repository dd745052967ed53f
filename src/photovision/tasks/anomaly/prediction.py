"""Anomaly: the prediction of an anomaly detector for one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.pictured import SIDE, Pictured
from photovision.core.result import Size
from photovision.core.types import Floats, Image
from photovision.tasks.anomaly.heatmap import HotRegion, enlarged, painted, relative
from photovision.tasks.anomaly.threshold import Verdict


@dataclass(frozen=True, eq=False)
class Anomaly(Pictured):
    """How far an image departs from good ones, and where.

    Attributes:
        score: anomaly score, higher for more anomalous; comparable between images of one model only.
        p: conformal p-value, 0 to 1: the share of good images with such a score or a higher one.
        verdict: "good", "anomalous", or "unsure" where the good images are too few to tell.
        heat: float32 (h, w), in units of the limit that good images keep below: 1 and more is hot.
        regions: connected hot regions in pixels of the image, the hottest first; none for a good image.
    """

    score: float
    p: float
    verdict: Verdict
    heat: Floats
    regions: tuple[HotRegion, ...] = ()

    @property
    def label(self) -> str:
        """The verdict, as classifiers call their prediction."""
        return self.verdict

    @property
    def heatmap(self) -> Floats:
        """float32 (h, w): the heat where it is 1 or more, else 0; empty for a good image. One scale for all images."""
        return relative(self.heat, np.inf if self.verdict == "good" else 1.0)

    def mask(self, size: Size) -> np.ndarray:
        """bool (H, W): the hot pixels of an image of this size."""
        return enlarged(self.heatmap, size) >= 1

    def json_fields(self, size: Size) -> dict[str, Any]:
        """`{"score", "p", "verdict", "boxes": [{"xyxy", "score", "area"}]}`; boxes in pixels of the upright image."""
        boxes = [
            {
                "xyxy": [round(float(value), 1) for value in region.box],
                "score": round(region.heat, 4),
                "area": round(region.area, 6),
            }
            for region in self.regions
        ]
        return {"score": round(self.score, 6), "p": round(self.p, 6), "verdict": self.verdict, "boxes": boxes}

    def drawn(self, image: Image, side: int = SIDE) -> Image:
        """The picture with its heat; nothing over a good one."""
        return painted(image, self.heatmap, side)

    def html_facts(self) -> str:
        """The verdict with its p-value, and how many hot regions there are."""
        from photovision.core.notebook import paragraph
        from photovision.core.phrases import count

        hot = paragraph(count(len(self.regions), "hot region")) if self.regions else ""
        return paragraph(self.verdict, strong=True) + paragraph(f"p = {self.p:.3f}") + hot
