"""Likeness: which pictures of a data set are alike, by their features and by the capture sessions that are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from photovision.core.errors import UsageError
from photovision.core.types import Ints
from photovision.data.components import AnyFloats, centred, merged, mixed_components, nearest_similarity
from photovision.data.dataset import Dataset
from photovision.data.deal import Deal
from photovision.data.sessions import Sessions, fitting

_SAMPLE = 2000


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike the N pictures of a data set are.

    Attributes:
        rows: float16 (N, D), of `centred`, 0 for pictures that are not usable; None where they were not compared.
        component: int64 (N,), equal for pictures that are held out together.
        draws: int64 (N,), random numbers that belong to the pictures.
        deal: deals whole components.
        sessions: those that the components keep together, or none.
        note: a sentence on the sessions, or "".
    """

    rows: AnyFloats | None
    component: Ints
    draws: Ints
    deal: Deal
    sessions: Sessions | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        truth: csr_array,
        usable: Ints,
        units: Ints,
        draws: Ints,
        *,
        features: AnyFloats | None,
        sessions: Sessions,
        share: float,
    ) -> Likeness | None:
        """Find what is alike.

        Args:
            dataset: N pictures.
            truth: int64 (N, C), sparse, their classes.
            usable: int64 positions of those that count.
            units: int64 (N,), equal for pictures that must stay together.
            draws: int64 (N,), random numbers that belong to the pictures.
            features: float (N, D), or None.
            sessions: of the pictures; left out where whole ones make up less than half of the share.
            share: of the pictures that are to be held out.

        Returns:
            None where nothing is known of how alike they are.
        """
        one_each = dataset.annotation_type == "labels" and not dataset.multilabel
        codes = np.full(len(dataset), -1)
        codes[usable] = truth[usable].indices if one_each else 0
        alike = cls._by_features(codes, units, draws, truth, features)
        if not sessions.known:
            return alike
        joined = merged(units if alike is None else alike.component, fitting(sessions, codes))
        deal = Deal(truth, joined, draws, fair=True)
        if 2 * len(deal(usable, share, 0.0)[1]) < share * len(usable):
            note = f"{sessions.described()} They are too few and too large to hold out whole ones."
            return None if alike is None else replace(alike, note=note)
        rows = None if alike is None else alike.rows
        return cls(rows, joined, draws, deal, sessions, f"{sessions.described()} Val holds whole ones.")

    @classmethod
    def _by_features(
        cls, codes: Ints, units: Ints, draws: Ints, truth: csr_array, features: AnyFloats | None
    ) -> Likeness | None:
        if features is None:
            return None
        if len(features) != len(codes):
            raise UsageError(f"features of {len(features):,} pictures were given, the dataset has {len(codes):,}")
        usable = np.flatnonzero(codes >= 0)
        rows: AnyFloats = np.zeros(features.shape, np.float16)
        rows[usable] = centred(features[usable])
        component = np.arange(len(codes)) + len(codes)  # the others are alone
        component[usable] = mixed_components(rows[usable], codes[usable], units[usable], draws[usable])
        return cls(rows, component, draws, Deal(truth, component, draws, fair=True))

    @property
    def how(self) -> str:
        """What val is held out as, in words."""
        parts = ["capture sessions"] if self.sessions is not None else []
        parts += ["groups of similar pictures"] if self.rows is not None else []
        return " and ".join(parts)

    def close(self, some: Ints, train: Ints) -> bool:
        """Whether some pictures are as much like those of train as these are like each other.

        The median of the ones is to reach the lower quartile of the others, which a sample of train stands for.
        """
        if self.rows is None:
            return False
        order = train[np.argsort(self.draws[train])]
        sample, rest = np.split(order, [min(max(len(order) // 10, 1), _SAMPLE)])
        within = nearest_similarity(self.rows[sample], self.rows[rest])
        between = nearest_similarity(self.rows[some], self.rows[train])
        return bool(np.median(between) >= np.percentile(within, 25))

    def similarity(self, held: Ints, train: Ints) -> AnyFloats | None:
        """float32 (N,): how alike pictures at `held` are to the nearest at `train`, NaN for others, or None."""
        if self.rows is None:
            return None
        found = np.full(len(self.rows), np.nan, np.float32)
        found[held] = nearest_similarity(self.rows[held], self.rows[train])
        return found
