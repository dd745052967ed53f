"""Choice: which explainer a model gets when nobody chose one."""

from __future__ import annotations

from typing import NamedTuple

from photovision.trust.explain.explained_model import ExplainedModel
from photovision.trust.explain.faithfulness import CELLS


class DefaultMethod(NamedTuple):
    """The name of an explainer, and why it was chosen, a sentence for people."""

    name: str
    reason: str


def choose(subject: ExplainedModel) -> DefaultMethod:
    """The class activation map where it is exact and fine enough, else occlusion; both need no torch.

    Measured with `benchmarks/explain.py`: maps of 4 x 4 places are too coarse to stand the trial, where occlusion beats
    random orders on 200 of 200 pictures. Of 7 x 7 places they beat them on 183 of 200, occlusion on 96 of 100, for
    which it takes thirty times as long.
    """
    if subject.layer is None:
        return DefaultMethod(
            "occlusion", "Method: occlusion, since feature maps do not explain this kind of network exactly."
        )
    rows, columns = subject.grid
    if min(rows, columns) < CELLS:
        return DefaultMethod(
            "occlusion",
            f"Method: occlusion, since the network's last maps are too coarse ({rows} x {columns} places).",
        )
    return DefaultMethod(
        "cam",
        f"Method: class activation map (exact for this network; {rows} x {columns} places).",
    )
