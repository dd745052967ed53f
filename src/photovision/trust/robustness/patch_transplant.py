"""Transplants: does a small region at the border of a picture decide which class a model names?

A region of a picture of class A is pasted into pictures of other classes. If the model then says A, although the object
has stayed what it was, it looks at something that lies there: a sticker, a date, a watermark, a frame. Objects reach
into borders, too, so the region must do more than the same region of pictures of other classes, more than an equally
large square from the centre of A's pictures, and not only on the classes that look most like A.

Three stages, so that searching does not make what is found look better than it is: screening of all classes with large
joint regions, fewer classes and more pairs in each round; search for the region; and confirmation on pictures that took
no part in the first two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from photovision.core.types import Floats, Image
from photovision.trust.metrics.statistics import Estimate, difference, wilson

Answer = Callable[[Image], Floats]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
BAR = 0.05
"""The share of answers that a region must move, with all doubt taken off, to be called a shortcut."""
LEVEL = 0.05
"""The probability with which any region of a model without shortcuts is called one, at most."""
MIN_PICTURES = 12
"""A class with fewer pictures is not examined: half of them search, half confirm."""
SUSPECTS = 3
"""How many classes go from screening to the search, and one region of each to confirmation."""
CORNERS = "one corner, another from picture to picture"
_EXAMPLES = 4
_ROUND = 3  # the part of the classes that goes on to the next round of screening
_LIKE = 0.25  # the share of other classes that are set aside as look-alikes


@dataclass(frozen=True, eq=False)
class TransplantRegion:
    """A part of every picture.

    Attributes:
        name: where it lies, in words.
        masks: bool (1, H, W), the same in every picture, or (M, H, W), one for each of M donors.
    """

    name: str
    masks: Flags

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return int(self.masks[0].sum())


class Confirmed(NamedTuple):
    """One region of one class on pairs of pictures that took no part in finding it.

    Attributes:
        target: the class whose pictures gave the region.
        region: what was pasted.
        moved: share of other pictures called `target` with the region from a picture of `target`.
        control: the same with the region from a picture of another class.
        centre: the same with an equally large square from the centre of a picture of `target`.
        effect: moved minus control; its bounds are corrected for the number of regions confirmed.
        excess: moved minus centre, likewise.
        n: pairs of pictures behind each of the three shares.
        share_of_other_class: where it is found, share of `target`'s pictures still called so when the region comes
            from a picture of another class; `share_of_same_class`, when it comes from another picture of `target`.
        examples: where it is found, (host, donor) positions of at most 4 pairs whose host was called something else
            before, with their `composites` uint8 (E, H, W, 3).
    """

    target: int
    region: str
    moved: Estimate
    control: Estimate
    centre: Estimate
    effect: Estimate
    excess: Estimate
    n: int
    share_of_other_class: Estimate | None = None
    share_of_same_class: Estimate | None = None
    examples: tuple[tuple[int, int], ...] = ()
    composites: Image | tuple[Image, ...] = ()

    @property
    def found(self) -> bool:
        """Whether the region is called a shortcut."""
        return self.effect.low > BAR and self.excess.low > 0


def border_regions(height: int, width: int) -> tuple[TransplantRegion, ...]:
    """The regions that are searched; each lies in the outer quarter of the picture.

    Twelve cells of a grid of 4 x 4, the corners first; four strips an eighth deep; the frame a sixteenth deep.

    Example:
        >>> len(border_regions(28, 28))
        17
    """
    rows, columns = _cuts(height), _cuts(width)
    places = sorted(
        ((r, c) for r in range(4) for c in range(4) if r in (0, 3) or c in (0, 3)),
        key=lambda place: not (place[0] in (0, 3) and place[1] in (0, 3)),
    )
    cells = [
        TransplantRegion(_place(r, c), _mask(height, width, rows[r : r + 2], columns[c : c + 2])) for r, c in places
    ]
    deep, wide = max(1, height // 8), max(1, width // 8)
    strips = [
        TransplantRegion("a strip along the top", _mask(height, width, (0, deep), (0, width))),
        TransplantRegion("a strip along the bottom", _mask(height, width, (height - deep, height), (0, width))),
        TransplantRegion("a strip along the left", _mask(height, width, (0, height), (0, wide))),
        TransplantRegion("a strip along the right", _mask(height, width, (0, height), (width - wide, width))),
    ]
    deep, wide = max(1, round(height / 16)), max(1, round(width / 16))
    inside = _mask(height, width, (deep, height - deep), (wide, width - wide))
    return (*cells, *strips, TransplantRegion("the frame", ~inside))


def centred(height: int, width: int, pixels: int) -> TransplantRegion:
    """A centred rectangle in the picture's proportions with about so many pixels."""
    side = float(np.sqrt(pixels / (height * width)))
    tall, wide = max(1, round(height * side)), max(1, round(width * side))
    top, left = (height - tall) // 2, (width - wide) // 2
    return TransplantRegion("the centre", _mask(height, width, (top, top + tall), (left, left + wide)))


@dataclass(frozen=True, eq=False)
class Bench:
    """What transplants are made from.

    Attributes:
        answer: from uint8 pictures (N, H, W, 3) to float32 (N, C).
        says: from probabilities (N, C) to what the model states, bool (N, C).
        images: uint8 (N, H, W, 3).
        true: bool (N, C).
    """

    answer: Answer
    says: Callable[[Floats], Flags]
    images: Image
    true: Flags

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.images.shape[1:3]
        return height, width

    def paste(self, masks: Flags, donors: Rows, hosts: Rows) -> Image:
        """`hosts` with the masked places taken from `donors`, (M,) each: uint8 (M, H, W, 3)."""
        return np.where(masks[..., None], self.images[donors], self.images[hosts])

    def ask(self, region: TransplantRegion, donors: Rows, hosts: Rows) -> Floats:
        """Answers float32 (M, C) for the composites, in blocks so that memory stays flat."""
        masks = np.broadcast_to(region.masks, (len(donors), *self.size))
        blocks = [slice(at, at + 64) for at in range(0, len(donors), 64)]
        return np.concatenate([self.answer(self.paste(masks[b], donors[b], hosts[b])) for b in blocks])


def transplant(bench: Bench, rng: np.random.Generator, answers: int) -> tuple[list[Confirmed], list[int]]:
    """Search for border regions that decide the class.

    Args:
        bench: pictures, truth and model.
        rng: draws the pairs.
        answers: about how many pictures the model may be asked about.

    Returns:
        what was confirmed or not, the strongest effect first, and the classes that were examined.
    """
    n = len(bench.true)
    examined = [c for c in range(bench.true.shape[1]) if MIN_PICTURES <= bench.true[:, c].sum() <= n - MIN_PICTURES]
    if not examined:
        return [], []
    searching = _half(bench.true, rng)
    search, confirm = np.flatnonzero(searching), np.flatnonzero(~searching)
    suspects = _screen(bench, rng, examined, search, int(0.4 * answers))
    chosen = [(c, _search(bench, rng, c, search, int(0.2 * answers / len(suspects)))) for c in suspects]
    each = int(0.4 * answers / len(suspects))
    found = [_confirm(bench, rng, c, region, confirm, each, len(suspects)) for c, region in chosen]
    found.sort(key=lambda one: -one.effect.low)
    exclusive = bench.true.shape[1] == 2 and bool((bench.true.sum(1) == 1).all())
    # Of two classes, what speaks for one is missing where it speaks for the other: one shortcut, not two.
    return found[:1] if exclusive and found[0].found else found, examined


def _screen(bench: Bench, rng: np.random.Generator, examined: Sequence[int], rows: Rows, answers: int) -> list[int]:
    """The classes whose corners or edges raise their probability most beyond an equally large centre.

    In rounds: each asks about as much, and drops two thirds of the classes, so that the last ones are well known.
    """
    corners, edges = (
        TransplantRegion("", np.logical_or.reduce([region.masks for region in part]))
        for part in (border_regions(*bench.size)[:4], border_regions(*bench.size)[4:12])
    )
    left, gained = list(examined), {c: np.empty((2, 0)) for c in examined}
    rounds = int(np.ceil(np.log(max(1, len(examined) / SUSPECTS)) / np.log(_ROUND)))
    for _ in range(rounds):
        donors, givers, hosts = _crossed(bench.true, rng, left, rows, answers // (4 * rounds))
        for c, gain in zip(givers, _gains(bench, donors, givers, hosts, (corners, edges)).T, strict=True):
            gained[int(c)] = np.column_stack([gained[int(c)], gain])
        left.sort(key=lambda c: -float(gained[c].mean(1).max()))
        left = left[: max(SUSPECTS, int(np.ceil(len(left) / _ROUND)))]
    return left[:SUSPECTS]


def _gains(bench: Bench, donors: Rows, givers: Rows, hosts: Rows, regions: Sequence[TransplantRegion]) -> Floats:
    """How much more each region raises the probability of its class than an equally large centre: float32 (R, M)."""

    def raised(region: TransplantRegion) -> Floats:
        return bench.ask(region, donors, hosts)[np.arange(len(donors)), givers]

    return np.stack([raised(region) - raised(centred(*bench.size, region.pixels)) for region in regions])


def _search(bench: Bench, rng: np.random.Generator, c: int, rows: Rows, n: int) -> TransplantRegion | None:
    """The border region that raises the probability of class c most beyond an equally large centre.

    None stands for a corner that is another from picture to picture.
    """
    regions = border_regions(*bench.size)
    sizes = sorted({region.pixels for region in regions})
    donors, hosts = _pairs(bench.true, rng, c, rows, max(8, n // (len(regions) + len(sizes))))
    middle = {size: float(bench.ask(centred(*bench.size, size), donors, hosts)[:, c].mean()) for size in sizes}
    raised = np.stack([bench.ask(region, donors, hosts)[:, c] for region in regions])
    gain = raised.mean(1) - np.array([middle[region.pixels] for region in regions])
    # The best of four corners looks good by chance, too: the second best tells by how much.
    first, second = np.sort(raised[:4], axis=0)[[-1, -2]]
    roving = float((first - second).mean()) - middle[regions[0].pixels]
    return None if roving > gain.max() + BAR else regions[int(np.argmax(gain))]


def _confirm(
    bench: Bench, rng: np.random.Generator, c: int, chosen: TransplantRegion | None, rows: Rows, n: int, tests: int
) -> Confirmed:
    own = rows[bench.true[rows, c]]
    if chosen is None:
        givers = _cycled(rng, own, min(len(own), n // 20))
        corners = _strongest_corners(bench, rng, c, rows, givers)
        pick = np.resize(np.arange(len(givers)), n // 4)
        donors, region = givers[pick], TransplantRegion(CORNERS, corners[pick])
    else:
        donors, region = _cycled(rng, own, n // 3), chosen
    hosts = _spread(bench.true, rng, rows[~bench.true[rows, c]], len(donors))
    strangers = _spread(bench.true, rng, rows[~bench.true[rows, c]], len(donors))
    middle = centred(*bench.size, region.pixels)
    trials = ((region, donors), (region, strangers), (middle, donors))
    flags = [bench.says(bench.ask(part, givers, hosts))[:, c] for part, givers in trials]
    z = _normal(1 - LEVEL / tests)
    used = _without_look_alikes(bench.true, hosts, flags[0], c)
    moved, control, centre = (
        _clustered(f[used], givers[used], z) for f, (_, givers) in zip(flags, trials, strict=True)
    )
    found = Confirmed(
        c,
        region.name,
        moved,
        control,
        centre,
        difference(control, moved),
        difference(centre, moved),
        len(used),
    )
    if not found.found:
        return found
    found = _needed(bench, rng, region, donors, strangers, found)
    return _with_examples(bench, region, donors, hosts, np.flatnonzero(flags[0]), found)


def _strongest_corners(bench: Bench, rng: np.random.Generator, c: int, rows: Rows, donors: Rows) -> Flags:
    """The corner of each donor that raises the probability of class c most in two other pictures: bool (M, H, W)."""
    corners = border_regions(*bench.size)[:4]
    raised = np.zeros((4, len(donors)))
    for _ in range(2):
        hosts = _spread(bench.true, rng, rows[~bench.true[rows, c]], len(donors))
        raised += [bench.ask(corner, donors, hosts)[:, c] for corner in corners]
    return np.stack([corners[i].masks[0] for i in raised.argmax(0)])


def _needed(
    bench: Bench, rng: np.random.Generator, region: TransplantRegion, donors: Rows, strangers: Rows, found: Confirmed
) -> Confirmed:
    """What becomes of the class's own pictures when the region comes from elsewhere."""
    shares = []
    for givers in (strangers, rng.permutation(donors)):
        still = bench.says(bench.ask(region, givers, donors))[:, found.target]
        shares.append(_clustered(still, donors, _normal(0.975)))
    return found._replace(share_of_other_class=shares[0], share_of_same_class=shares[1])


def _with_examples(
    bench: Bench, region: TransplantRegion, donors: Rows, hosts: Rows, moved: Rows, found: Confirmed
) -> Confirmed:
    """Up to four pairs whose host was called something else before."""
    some = moved[: 4 * _EXAMPLES]
    before = bench.says(bench.answer(bench.images[hosts[some]]))[:, found.target]
    shown = some[~before][:_EXAMPLES]
    masks = np.broadcast_to(region.masks, (len(donors), *bench.size))[shown]
    pairs = tuple((int(hosts[i]), int(donors[i])) for i in shown)
    return found._replace(examples=pairs, composites=bench.paste(masks, donors[shown], hosts[shown]))


def _without_look_alikes(true: Flags, hosts: Rows, flags: Flags, c: int) -> Rows:
    """Positions of the pairs without the quarter of the other classes that moved most often: to tip the balance between
    look-alikes is what a part of an object may do."""
    others = true.shape[1] - 1
    if others < 3 or not flags.any():
        return np.arange(len(hosts))
    counts = true[hosts].sum(0)
    rate = (true[hosts] & flags[:, None]).sum(0) / np.maximum(counts, 1)
    rate[c] = -1
    alike = np.argsort(-rate, kind="stable")[: int(np.ceil(_LIKE * others))]
    return np.flatnonzero(~true[hosts][:, alike].any(1))


def _clustered(flags: Flags, clusters: np.ndarray, z: float) -> Estimate:
    """A share whose flags come in clusters (one donor gives several), as Korn & Graubard (1998) count them: with as
    many independent flags as would vary as much as the clusters do, at least one a cluster."""
    n, value = len(flags), float(flags.mean())
    _, which, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    off = np.bincount(which, flags - value)
    spread = float((off**2).sum()) / n**2 * len(sizes) / max(1, len(sizes) - 1)
    independent = min(n, max(len(sizes), int(value * (1 - value) / spread))) if spread > 0 else n
    return Estimate(value, *wilson(round(value * independent), independent, z))


def _pairs(true: Flags, rng: np.random.Generator, c: int, rows: Rows, n: int) -> tuple[Rows, Rows]:
    """n donors of class c, each as often as the others, and n hosts of other classes, each class as often."""
    donors = _cycled(rng, rows[true[rows, c]], n)
    return donors, _spread(true, rng, rows[~true[rows, c]], n)


def _crossed(
    true: Flags, rng: np.random.Generator, classes: Sequence[int], rows: Rows, n: int
) -> tuple[Rows, Rows, Rows]:
    """About n donors, each class as often as the others, the class that each stands for, and hosts of other classes."""
    each = max(2, n // len(classes))
    pairs = [_pairs(true, rng, c, rows, each) for c in classes]
    donors, hosts = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return donors, np.repeat(np.array(classes, np.int64), each), hosts


def _spread(true: Flags, rng: np.random.Generator, rows: Rows, n: int) -> Rows:
    """n of the rows, each class of theirs as often as the others: int (n,), in random order."""
    labels = np.where(true[rows].any(1), true[rows].argmax(1), -1)
    per = [_cycled(rng, rows[labels == c], -(-n // len(np.unique(labels)))) for c in np.unique(labels)]
    return rng.permutation(np.concatenate(per))[:n]


def _cycled(rng: np.random.Generator, rows: Rows, n: int) -> Rows:
    return np.resize(rng.permutation(rows), n)


def _half(true: Flags, rng: np.random.Generator) -> Flags:
    """bool (N,): half of the pictures of every class."""
    chosen = np.zeros(len(true), bool)
    labels = np.where(true.any(1), true.argmax(1), -1)
    for c in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == c))
        chosen[rows[: (len(rows) + 1) // 2]] = True
    return chosen


def _normal(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))


def _cuts(length: int) -> list[int]:
    return [round(length * i / 4) for i in range(5)]


def _mask(height: int, width: int, rows: Sequence[int], columns: Sequence[int]) -> Flags:
    mask = np.zeros((1, height, width), bool)
    mask[:, rows[0] : rows[1], columns[0] : columns[1]] = True
    return mask


def _place(row: int, column: int) -> str:
    across = ("left", "left of the middle", "right of the middle", "right")[column]
    down = ("top", "above the middle", "below the middle", "bottom")[row]
    if row in (0, 3) and column in (0, 3):
        return f"the {down} {across} corner"
    return f"the {down} edge, {across}" if row in (0, 3) else f"the {across} edge, {down}"
