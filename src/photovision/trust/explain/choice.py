"""Choice: which explainer a model gets when nobody chose one."""

from __future__ import annotations

from typing import NamedTuple

from photovision.trust.explain.subject import Subject
from photovision.trust.explain.trial import CELLS


class Choice(NamedTuple):
    """The name of an explainer, and why it was chosen, a sentence for people."""

    name: str
    reason: str


def choose(subject: Subject) -> Choice:
    """The class activation map where it is exact and fine enough, else occlusion; both need no torch.

    Measured with `benchmarks/explain.py`: where maps are 7 x 7 or finer, the class activation map stands its test as
    often as occlusion and takes one run of the network instead of 164; maps of 4 x 4 places are too coarse to stand it.
    """
    if subject.layer is None:
        return Choice(
            "occlusion", "Occlusion was chosen, since feature maps do not explain this kind of network exactly."
        )
    rows, columns = subject.grid
    if min(rows, columns) < CELLS:
        return Choice(
            "occlusion",
            f"Occlusion was chosen, since the network's last maps are too coarse ({rows} x {columns} places).",
        )
    return Choice(
        "cam",
        "The class activation map was chosen, since it is exact for this network: its last layer is linear in the mean"
        f" of maps of {rows} x {columns} places.",
    )
