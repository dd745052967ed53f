"""Trial: the test that every map has to pass before it is believed.

Faithfulness: the places that a map ranks first are shown in a blurred picture (insertion) or hidden in the sharp one
(deletion), in steps that grow. If the map is right, the answer comes and goes sooner than in random orders (Petsiuk,
Das & Saenko 2018). Random orders go through places as coherently as maps do, from one random patch to the next: against
scattered places a smooth map that says nothing would pass too often, since one object lies in one place.

Sanity: the map of the same model with shuffled weights must look different. A map that stays the same shows the picture
and not what was learned (Adebayo et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image, Ints
from photovision.trust.explain.explained_model import ExplainedModel, Explainer, blurred, resized

CELLS = 7
"""Cells along each side in which places are shown and hidden; maps that are coarser can hardly tell them apart."""
SHARES = np.array([0, 1, 3, 7, 14, 24, 36, 49]) / 49
"""Shares of the cells after each step: close together at first, where maps differ most from chance."""
ORDERS, CHANCE = 19, 0.1
"""Random orders to compare with, and how often at most a map that says nothing may pass: it may lose to one of 19."""
PATCHES = 3
"""Random values along each side of the picture that a random order is smoothly drawn through."""
TWINS = 2
_AT_ONCE = 5  # orders whose views are in memory
SPAN = 0.1
"""Least fall of the probability from the whole picture to the blurred one: with less, there is nothing to explain."""
ALIKE = 0.5
"""Rank correlation with the maps of shuffled models from which a map shows the picture rather than the model."""

Verdict = Literal["holds", "fails", "untestable"]


class ScoringModel(Protocol):
    """What a trial asks of a model."""

    def probs(self, images: Image) -> Floats:
        """float32 (N, C), 0 to 1, for uint8 pictures (N, H, W, 3)."""
        ...


@dataclass(frozen=True, eq=False)
class FaithfulnessTest:
    """How one map stood its test.

    Attributes:
        insertion, deletion: float32 (S,): probability of the class at each of SHARES.
        random_insertion, random_deletion: float32 (R, S): the same for random orders.
        likeness: mean rank correlation with the maps of shuffled models, -1 to 1; None where it was not measured.
        flat: whether the map has the same value everywhere.
    """

    insertion: Floats
    deletion: Floats
    random_insertion: Floats
    random_deletion: Floats
    likeness: float | None = None
    flat: bool = False

    @property
    def areas(self) -> tuple[float, float]:
        """Areas under insertion (higher is better) and deletion (lower is better), 0 to 1."""
        return float(_area(self.insertion)), float(_area(self.deletion))

    @property
    def random_areas(self) -> tuple[float, float]:
        """The means of these areas over the random orders."""
        return float(_area(self.random_insertion).mean()), float(_area(self.random_deletion).mean())

    @property
    def beats_insertion(self) -> bool:
        """Whether insertion is better than random orders are on average."""
        return self.areas[0] > self.random_areas[0]

    @property
    def beats_deletion(self) -> bool:
        """Whether deletion is better than random orders are on average."""
        return self.areas[1] < self.random_areas[1]

    @property
    def beaten(self) -> int:
        """How many random orders the map beats by insertion less deletion."""
        insertion, deletion = self.areas
        gains = _area(self.random_insertion) - _area(self.random_deletion)
        return int((insertion - deletion > gains).sum())

    @property
    def chance(self) -> float:
        """How often a random order would do as well by insertion less deletion: a permutation test's p-value."""
        orders = len(self.random_insertion)
        return (1 + orders - self.beaten) / (1 + orders)

    @property
    def span(self) -> float:
        """By how much the probability falls from the whole picture to the blurred one."""
        return float(self.insertion[-1] - self.insertion[0])

    @property
    def verdict(self) -> Verdict:
        """Whether the map may be trusted."""
        if self.flat or (self.likeness is not None and self.likeness >= ALIKE):
            return "fails"
        if self.span < SPAN:
            return "untestable"
        better = self.beats_insertion and self.beats_deletion and self.chance <= CHANCE + 1e-9
        return "holds" if better else "fails"

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        orders = len(self.random_insertion)
        if self.flat:
            return "Do not trust this map: it has the same value everywhere."
        if self.likeness is not None and self.likeness >= ALIKE:
            return (
                "Do not trust this map: a model with shuffled weights, which has learned nothing, gives nearly the same"
                f" (rank correlation {self.likeness:.2f})."
            )
        if self.verdict == "untestable":
            return (
                "This map cannot be tested, so do not rely on it: the model gives this answer of the picture blurred"
                " beyond recognition with nearly the same score, or hardly gives it at all."
            )
        if self.verdict == "holds":
            return (
                "This heatmap can be trusted: hiding or showing what it marks changes the answer faster than doing so"
                f" with parts at random ({self.beaten} of {orders} times)"
                f"{'' if self.likeness is None else ', and a network with shuffled weights gives a different map'}."
            )
        if self.chance <= CHANCE:
            side = "hiding" if self.beats_insertion else "showing"
            return f"Do not trust this map: {side} what it marks changes the answer no faster than parts at random do."
        return (
            "Do not trust this map: what it marks changes the answer faster than parts at random do only"
            f" {self.beaten} of {orders} times."
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        (insertion, deletion), (random_insertion, random_deletion) = self.areas, self.random_areas
        return {
            "insertion": insertion,
            "deletion": deletion,
            "random_insertion": random_insertion,
            "random_deletion": random_deletion,
            "random_orders": len(self.random_insertion),
            "random_orders_beaten": self.beaten,
            "shuffled_weights_correlation": self.likeness,
            "verdict": self.verdict,
            "sentence": self.sentence,
        }


def trials(
    subject: ScoringModel,
    image: Image,
    target: int | Sequence[int],
    heatmaps: Floats,
    *,
    alike: Sequence[float | None] = (),
    orders: int = ORDERS,
    seed: int = 0,
) -> list[FaithfulnessTest]:
    """Test M maps of one picture: 2 x (orders + M) x 6 runs of the network, and two more.

    Args:
        subject: the model whose answers decide.
        image: uint8 (H, W, 3) at the network's size.
        target: index of the class that the maps explain; or of each map's own.
        heatmaps: float32 (M, H, W).
        alike: what `likeness` found for each of them, None where it was not asked; empty for none.
        orders: random orders to compare with, at least 1; all maps meet the same ones.
        seed: of the random orders, and of the order of equal values.
    """
    if heatmaps.ndim != 3 or heatmaps.shape[1:] != image.shape[:2] or orders < 1:
        raise UsageError(
            f"a test takes heatmaps (M, {image.shape[0]}, {image.shape[1]}) and at least one random order, got"
            f" {heatmaps.shape} and {orders}"
        )
    rng = np.random.default_rng(seed)
    places, heat = _cells(heatmaps.shape[1:]), cell_means(heatmaps)
    count = heat.shape[1]
    taken = [*_random_orders(places, orders, rng)]
    # Equal values come in random order, else the first rows of the picture would lead.
    taken += [np.lexsort((rng.random(count), -row)) for row in heat]
    insertion, deletion = _curves(subject, image, places, np.argsort(taken, axis=1))
    flat = np.ptp(heat, axis=1) <= 1e-6 * np.abs(heat).max(1)
    likenesses = list(alike) or [None] * len(heat)
    found = []
    for row, aim in enumerate([target] * len(heat) if isinstance(target, int) else target):
        shown, hidden = insertion[..., aim], deletion[..., aim]
        random = shown[:orders], hidden[:orders]
        found.append(
            FaithfulnessTest(shown[orders + row], hidden[orders + row], *random, likenesses[row], bool(flat[row]))
        )
    return found


def likeness(
    explainer: Explainer, twins: Sequence[ExplainedModel], images: Image, classes: Ints, heatmaps: Floats
) -> Floats:
    """Mean rank correlation of each map with those of models with shuffled weights: float32 (N,), -1 to 1.

    Args:
        twins: from `Subject.shuffled`, at least one.
        heatmaps: float32 (N, H, W), those of the model itself.
    """
    return correlation(heatmaps, [explainer.heatmaps(twin, images, classes) for twin in twins])


def correlation(heatmaps: Floats, others: Sequence[Floats]) -> Floats:
    """Mean rank correlation of maps float32 (N, H, W) with others, (N, H, W) each, of the same pictures: float32."""
    own = cell_means(heatmaps)
    every = [cell_means(np.nan_to_num(theirs)) for theirs in others]
    found = [[_rank_correlation(a, b) for a, b in zip(own, theirs, strict=True)] for theirs in every]
    return np.asarray(np.mean(found, axis=0), np.float32)


def cell_means(heatmaps: Floats, cells: int = CELLS) -> Floats:
    """Mean heat of each of cells x cells parts, row by row: float32 (N, cells * cells); of small pictures fewer parts.

    Example:
        >>> cell_means(np.float32([[[1, 3], [5, 9]]]), 1)
        array([[4.5]], dtype=float32)
    """
    places = _cells(heatmaps.shape[1:], cells).ravel()
    flat = heatmaps.reshape(len(heatmaps), -1).astype(np.float64)
    counts = np.bincount(places)
    return np.stack([np.bincount(places, row) / counts for row in flat]).astype(np.float32)


def _curves(subject: ScoringModel, image: Image, places: Ints, ranks: Ints) -> tuple[Floats, Floats]:
    """Insertion and deletion, float32 (R, S, C) each, for R ranks of the cells, int64 (R, cells)."""
    steps = np.round(SHARES * ranks.shape[1]).astype(int)
    fill = blurred(image[None])[0]
    # The ends, nothing and everything, are the same for all orders.
    ends = subject.probs(np.stack([fill, image]))
    middle = []
    for start in range(0, len(ranks), _AT_ONCE):
        part = ranks[start : start + _AT_ONCE]
        views = np.empty((len(part), len(steps) - 2, 2, *image.shape), np.uint8)
        for row, rank in enumerate(part):
            for column, step in enumerate(steps[1:-1]):
                taken = (rank[places] < step)[..., None]
                views[row, column, 0] = np.where(taken, image, fill)
                views[row, column, 1] = np.where(taken, fill, image)
        probs = subject.probs(views.reshape(-1, *image.shape))
        middle.append(probs.reshape(*views.shape[:3], -1))
    shown, hidden = (np.concatenate(middle)[:, :, way] for way in (0, 1))
    blank, whole = (np.broadcast_to(end, (len(ranks), 1, len(end))) for end in ends)
    return np.hstack([blank, shown, whole]), np.hstack([whole, hidden, blank])


def _random_orders(places: Ints, orders: int, rng: np.random.Generator) -> Ints:
    """Orders of the cells of smooth random maps, int64 (orders, cells)."""
    columns = int(places[0, -1]) + 1
    rows = (int(places[-1, -1]) + 1) // columns
    smooth = resized(rng.normal(size=(orders, PATCHES, PATCHES)).astype(np.float32), (rows, columns))
    return np.argsort(smooth.reshape(orders, -1), axis=1)


def _cells(size: tuple[int, ...], cells: int = CELLS) -> Ints:
    """The number of the cell that each pixel belongs to, int64 (H, W), row by row."""
    rows, columns = (np.arange(side) * min(cells, side) // side for side in size)
    return np.asarray(rows[:, None] * (columns[-1] + 1) + columns[None], np.int64)


def _area(curve: Floats) -> Floats:
    """Area under curves (..., S) over 0 to 1, by trapezoids."""
    return np.asarray((curve[..., 1:] + curve[..., :-1]) @ np.diff(SHARES) / 2, np.float32)


def _rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation; 0 where one of the two is flat."""
    from scipy.stats import rankdata

    x, y = rankdata(a), rankdata(b)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
