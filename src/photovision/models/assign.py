"""Which places of a detector learn which object: those whose answer is already the best for it.

After Feng et al. 2021 (TOOD). An object is learned by the places inside it, and near its middle, whose box fits it best
and that name it with the highest score; of these the best aims at its own overlap with the object, the others at less.
So a score comes to mean both that the class is right and that the box fits, and the best place of every object stands
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torchvision.ops import box_iou

from photovision.data.augment.box import UNJUDGED

NOTHING = -1
"""The label of rows of the truth that hold no object."""
_BEST = 10  # places an object is learned by, at most
_SURE, _FITS = 0.5, 4.0  # how much the score and the overlap count
_REACH = 1.5  # strides from the middle of an object smaller than that, which else might have no place in it
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Assigned:
    """What the places of one picture should say.

    Attributes:
        scores: float (P, C), 0 to 1.
        boxes: float (P, 4), the object's; anything where there is none.
        weight: float (P,), of the place's box, 0 where there is no object.
        judged: bool (P,), False where a prediction counts as neither right nor wrong.
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    weight: torch.Tensor
    judged: torch.Tensor


@torch.no_grad()
def assign(boxes: torch.Tensor, probs: torch.Tensor, places: torch.Tensor, truth: torch.Tensor) -> Assigned:
    """Say what every place of a picture should learn.

    Args:
        boxes: float (P, 4), what the places say now.
        probs: float (P, C).
        places: float (P, 3): x, y and stride of each.
        truth: float (M, 5): class and box of every object; NOTHING fills up, UNJUDGED marks areas.
    """
    scores = torch.zeros_like(probs)
    weight = probs.new_zeros(len(probs))
    unjudged, objects = truth[truth[:, 0] == UNJUDGED, 1:], truth[truth[:, 0] >= 0]
    judged = ~_inside(places, unjudged).any(1)
    if not len(objects):
        return Assigned(scores, boxes, weight, judged)
    labels, wanted = objects[:, 0].long(), objects[:, 1:]
    overlap = box_iou(boxes, wanted)
    fit = probs[:, labels].pow(_SURE) * overlap.pow(_FITS)
    near = _inside(places, wanted) | _near(places, wanted)
    # Where no box overlaps yet the place nearest to the middle learns it.
    distance = (places[:, None, :2] - _middle(wanted)[None]).norm(dim=2) / places[:, 2:]
    fit = torch.where(near, fit + _TINY / (1 + distance), 0)
    chosen = fit >= fit.topk(min(_BEST, len(fit)), dim=0).values[-1].clamp(min=_TINY * _TINY)
    # A place that several objects want is the one's that it fits best.
    owner = torch.where(chosen, overlap + fit, -1.0).argmax(1)
    taken = chosen.any(1)
    fit, overlap = (value.gather(1, owner[:, None])[:, 0] * taken for value in (fit, overlap))
    best = probs.new_zeros(len(objects)).scatter_reduce(0, owner, fit, "amax")
    fits = probs.new_zeros(len(objects)).scatter_reduce(0, owner, overlap, "amax")
    weight = torch.where(taken, (fit / best[owner].clamp(min=_TINY * _TINY) * fits[owner].clamp(min=0.05)), 0)
    scores[taken, labels[owner[taken]]] = weight[taken]
    return Assigned(scores, wanted[owner], weight, judged | taken)


def _inside(places: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """bool (P, M): whether the middle of a place lies in a box."""
    x, y = places[:, :1], places[:, 1:2]
    return (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])


def _near(places: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """bool (P, M): whether a place of the finest map is near the middle of a box."""
    apart = (places[:, None, :2] - _middle(boxes)[None]).abs().amax(2)
    return (places[:, 2:] == places[:, 2].min()) & (apart <= _REACH * places[:, 2:])


def _middle(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[:, :2] + boxes[:, 2:]) / 2
