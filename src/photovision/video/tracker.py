"""From objects in single frames to objects that keep their number over time.

ByteTrack (Zhang et al., ECCV 2022): a Kalman filter foretells where every object is next; detections with high scores
are matched first, then those with low scores to what is left, since a half hidden object scores low but is still there.
All in NumPy, with SciPy's linear assignment.

The filter treats centre x, centre y, width and height apart from each other, each with its speed, so that its
covariance is three numbers a coordinate instead of a matrix of 8 x 8, and all tracks are filtered in a few array
operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from photovision.core.errors import UsageError
from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.core.types import Floats

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

_PLACE, _SPEED = (
    1 / 20,
    1 / 160,
)  # standard deviations as shares of the box's height, as in SORT, DeepSORT and ByteTrack
_OTHER_CLASS = 0.1  # what a change of class costs: detectors waver between car and truck, seldom between car and person
_BY_SCORE = 0.25  # how much of a match hangs on the score; ByteTrack's 1 fits detectors whose true boxes score near 1
_SAME_OBJECT = 0.7  # a detection that overlaps so much with a tracked one is that one under another class


def assign(cost: Array, limit: float) -> tuple[Rows, Rows]:
    """Rows and columns that belong together at the least cost in all, pairs above `limit` left out.

    Args:
        cost: (N, M), finite.
        limit: the most that a pair may cost.

    Example:
        >>> rows, columns = assign(np.array([[0.1, 0.9], [0.2, 0.3]]), 0.5)
        >>> rows.tolist(), columns.tolist()
        ([0, 1], [0, 1])
    """
    # A forbidden pair costs more than leaving both alone, but no more, or it would force others apart.
    rows, columns = linear_sum_assignment(np.where(cost > limit, limit + 1e-6, cost))
    good = cost[rows, columns] <= limit
    return rows[good], columns[good]


@dataclass(eq=False)
class _Tracks:
    """T objects that are followed. The filter's coordinates are centre x, centre y, width, height, in pixels.

    Attributes:
        place, speed: (T, 4), speed a frame.
        covariance: (T, 4, 3): variance of the place, covariance, variance of the speed.
        votes: (T, C): the sum of scores for every class.
        ids: (T,), -1 until a second frame has confirmed the object.
        missed: (T,), frames since it was last seen.
    """

    place: Array
    speed: Array
    covariance: Array
    votes: Array
    ids: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]

    @classmethod
    def of(cls, boxes: Array, votes: Array) -> _Tracks:
        """New objects, at rest as far as is known."""
        place = _centres(boxes)
        place_error, speed_error = 2 * _PLACE * place[:, 3:], 10 * _SPEED * place[:, 3:]
        covariance = np.zeros((len(place), 4, 3))
        covariance[..., 0], covariance[..., 2] = place_error**2, speed_error**2
        nothing = np.zeros(len(place), dtype=np.int64)
        return cls(place, np.zeros_like(place), covariance, votes, nothing - 1, nothing)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def boxes(self) -> Floats:
        """float32 (T, 4), x1, y1, x2, y2."""
        half = np.clip(self.place[:, 2:], 0, None) / 2
        return np.concatenate([self.place[:, :2] - half, self.place[:, :2] + half], axis=1).astype(np.float32)

    def only(self, keep: npt.NDArray[np.bool_]) -> _Tracks:
        """Some of them."""
        return _Tracks(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))

    def and_also(self, others: _Tracks) -> _Tracks:
        """These and others."""
        return _Tracks(
            *(np.concatenate([getattr(self, name), getattr(others, name)]) for name in self.__dataclass_fields__)
        )

    def step(self) -> None:
        """One frame on: the filter's prediction."""
        self.speed[self.missed > 0, 2:] = 0  # what is hidden does not grow
        self.place += self.speed
        size = np.clip(self.place[:, 3:], 1, None)
        place, both, speed = np.moveaxis(self.covariance, -1, 0)
        place += 2 * both + speed + (_PLACE * size) ** 2
        both += speed
        speed += (_SPEED * size) ** 2

    def see(self, rows: Rows, boxes: Array, votes: Array) -> None:
        """Where some of them are: the filter's correction."""
        place, both, speed = np.moveaxis(self.covariance[rows], -1, 0)
        noise = (_PLACE * np.clip(self.place[rows, 3:], 1, None)) ** 2
        gain, faster = place / (place + noise), both / (place + noise)
        surprise = _centres(boxes) - self.place[rows]
        self.place[rows] += gain * surprise
        self.speed[rows] += faster * surprise
        self.covariance[rows] = np.stack([place - gain * place, both - gain * both, speed - faster * both], axis=-1)
        self.votes[rows] += votes
        self.missed[rows] = 0


class ObjectTracker:
    """Follows objects from frame to frame; give it the detections of one frame after the other.

    Args:
        high: detections from this score on are matched first, and only they begin a track.
        low: detections below this score are ignored.
        new: least score of a detection that begins a track; at least `high`.
        patience: frames for which a hidden object is remembered.

    Raises:
        UsageError: scores are not in order.

    Example:
        >>> tracker = ObjectTracker()
        >>> for x in (0, 2, 4):
        ...     box = np.float32([[x, 0, x + 20, 20]])
        ...     seen = tracker.update(Detections(box, np.array([0]), ("cup",), np.float32([0.9])))
        >>> seen.track_ids.tolist()
        [1]
    """

    def __init__(self, *, high: float = 0.5, low: float = 0.1, new: float = 0.6, patience: int = 30) -> None:
        if not 0 <= low <= high <= new <= 1 or patience < 1:
            raise UsageError(
                f"a tracker needs 0 <= low <= high <= new <= 1 and patience of at least 1 frame, got low {low}, high"
                f" {high}, new {new}, patience {patience}"
            )
        self.high, self.low, self.new, self.patience = high, low, new, patience
        self.count = 0
        self._tracks = _Tracks.of(np.zeros((0, 4)), np.zeros((0, 1)))

    def update(self, found: Detections) -> Detections:
        """What is tracked in the next frame.

        Args:
            found: the detections of the frame; without scores all count as certain. Frames without any count, too.

        Returns:
            Those detections that belong to a track, in their order, with `track_ids` from 1 on, which never come back,
            and the class that the track has had most, weighed by scores. An object gets its number when it is seen in
            a second frame running, so that a flicker is none.
        """
        scores = np.ones(len(found)) if found.scores is None else found.scores.astype(np.float64)
        boxes, votes = found.boxes.astype(np.float64), self._votes(found, scores)
        tracks = self._tracks
        tracks.step()
        owners = np.full(len(found), -1, dtype=np.intp)
        strong, weak = scores >= self.high, (scores >= self.low) & (scores < self.high)
        known, taken = tracks.ids > 0, np.zeros(len(tracks), dtype=bool)
        # Each stage: which tracks, which detections, and the most that a pair may cost.
        for which, candidates, limit, weighed in (
            (known, strong, 0.8, True),
            (known & (tracks.missed == 0), weak, 0.5, False),
            (~known, strong, 0.7, True),
        ):
            rows, columns = np.flatnonzero(which & ~taken), np.flatnonzero(candidates & (owners < 0))
            near = overlap(tracks.boxes[rows], found.boxes[columns]) * (
                1 - _BY_SCORE * (1 - scores[columns]) if weighed else 1.0
            )
            own = tracks.votes[rows].argmax(1)[:, None] if len(rows) else np.zeros((0, 1))
            a, b = assign(1 - near + _OTHER_CLASS * (own != found.labels[columns]) * (near > 0), limit)
            owners[columns[b]], taken[rows[a]] = rows[a], True
        self._learn(boxes, votes, owners)
        kept = np.flatnonzero(owners >= 0)
        kept = kept[tracks.ids[owners[kept]] > 0]
        answer = _some(found, kept, tracks.ids[owners[kept]], tracks.votes[owners[kept]])
        self._begin(found.boxes, votes, (scores >= self.new) & (owners < 0), owners >= 0)
        return answer

    def _votes(self, found: Detections, scores: Array) -> Array:
        """(N, C): every detection's score in the column of its class."""
        most = max(len(found.classes), int(found.labels.max(initial=-1)) + 1, self._tracks.votes.shape[1])
        if missing := most - self._tracks.votes.shape[1]:
            self._tracks.votes = np.pad(self._tracks.votes, ((0, 0), (0, missing)))
        votes = np.zeros((len(found), most))
        votes[np.arange(len(found)), found.labels] = scores
        return votes

    def _learn(self, boxes: Array, votes: Array, owners: Rows) -> None:
        seen = np.flatnonzero(owners >= 0)
        self._tracks.missed += 1
        self._tracks.see(owners[seen], boxes[seen], votes[seen])
        fresh = owners[seen][self._tracks.ids[owners[seen]] < 0]
        self._tracks.ids[fresh] = self.count + 1 + np.arange(len(fresh))
        self.count += len(fresh)

    def _begin(self, boxes: Floats, votes: Array, fresh: npt.NDArray[np.bool_], owned: npt.NDArray[np.bool_]) -> None:
        """Forget what was not seen for long, and take up what is new."""
        again = (overlap(boxes, boxes[owned]) > _SAME_OBJECT).any(1)
        rows: list[int] = []
        for row in np.flatnonzero(fresh & ~again)[np.argsort(-votes[fresh & ~again].sum(1), kind="stable")].tolist():
            if not (overlap(boxes[[row]], boxes[rows]) > _SAME_OBJECT).any():
                rows.append(row)
        patience = np.where(self._tracks.ids > 0, self.patience, 0)  # a flicker is forgotten at once
        self._tracks = self._tracks.only(self._tracks.missed <= patience).and_also(
            _Tracks.of(boxes[rows].astype(np.float64), votes[rows])
        )


def _centres(boxes: Array) -> Array:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _some(found: Detections, rows: Rows, ids: npt.NDArray[np.int64], votes: Array) -> Detections:
    return replace(
        found,
        boxes=found.boxes[rows],
        labels=votes.argmax(1).astype(np.int64) if len(rows) else np.zeros(0, dtype=np.int64),
        scores=None if found.scores is None else found.scores[rows],
        masks=None if found.masks is None else tuple(found.masks[row] for row in rows.tolist()),
        crowd=None if found.crowd is None else found.crowd[rows],
        track_ids=ids,
    )
