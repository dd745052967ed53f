"""Judging a generator: its samples beside real images, in the features of a pretrained network.

The network of the features never learned from what the generator makes; the classifier that names samples is a linear
probe on them. Copies are looked for among all training images, with held-out images as the measure.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image as Pillow
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from photovision.core.preprocess import Preprocess
from photovision.core.report import Metric, Report
from photovision.core.types import Floats, Image, Ints
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.embed import open_trunk
from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone, create
from photovision.models.frozen_features import default_cut
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Session
from photovision.tasks.generate.generator import GeneratedImages, Generator
from photovision.tasks.generate.judge_text import report_of
from photovision.trust.metrics.generation import FeatureAxes, copies, distances, frechet, nearest, precision_recall
from photovision.trust.metrics.statistics import proportion

MAX_JUDGED, MIN_JUDGED = 1000, 64
_GUIDANCE = (1.0, 1.5, 2.0)
_TRIED = 128  # samples of each strength of guidance
_SMALL = 16  # side at which pixels are compared
_BATCH = 32
_PROBED = 3  # times as many training images for the linear probe as are judged
_SPENT = 0.7  # share of the time that is left, the report apart
_PAIRS = 20


@dataclass(frozen=True, eq=False)
class Judged:
    """What came out.

    Attributes:
        samples: that were judged.
        metrics: the figures.
        copied: bool (N,), which samples are copies.
        closest: int64 (K,), samples that are nearest to training images, the nearest first.
        beside: uint8 (K, H, W, 3), these training images.
        probe: accuracy of the linear probe on held-out images; None for a single class.
    """

    samples: GeneratedImages
    metrics: dict[str, Metric]
    copied: np.ndarray
    closest: Ints
    beside: Image
    probe: Metric | None


@dataclass(frozen=True, eq=False)
class Judge:
    """The measure of one training.

    Attributes:
        run: the training.
        source: the network whose features are compared.
        preprocess: of the generator.
        images: uint8 (N, H, W, 3), all images that it learned from.
    """

    run: TrainingRun
    source: Backbone
    preprocess: Preprocess
    images: Image

    @cached_property
    def session(self) -> Session:
        """The network of the features."""
        network = create(self.source, 2).eval()
        cut = default_cut(network, self.source.preprocess.size)
        return open_trunk(self.run.work, network, self.source.preprocess, cut, ("features",))

    def features(self, images: Image, what: str) -> Floats:
        """float32 (N, D) of images uint8 (N, H, W, 3)."""
        rows = []
        for start in range(0, len(images), _BATCH):
            shown = np.stack([self.source.preprocess.apply(one) for one in images[start : start + _BATCH]])
            found = self.session.run(shown)["features"]
            rows.append(found.reshape(*found.shape[:2], -1).mean(2))
            self.run.tell(what, min(start + _BATCH, len(images)), len(images))
        return np.concatenate(rows).astype(np.float32)

    def guidance(self, bundle: Bundle) -> float:
        """The strength with which samples are nearest to validation images; 1 where there is nothing to choose by."""
        model = Generator(bundle)
        if len(bundle.classes) < 2 or self._affordable(model) < 3 * MIN_JUDGED:
            return 1.0

        def chosen() -> float:
            real = self._real(self.run.splits.val, _TRIED)
            known = self.features(real, "features of val")
            project, found = FeatureAxes.of(known), {}
            for strength in _GUIDANCE:
                made = model.sample(_TRIED, seed=self.run.config.seed + 1, guidance=strength).images
                found[strength] = frechet(project(self.features(made, f"guidance {strength:g}")), project(known))
            return min(found, key=lambda one: found[one])

        return float(self.run.work.value("guidance", chosen))

    def report(self, model: Generator) -> Report:
        """The proof of the training."""
        return report_of(model, self.judged(model), self.run.work.decisions)

    def judged(self, model: Generator) -> Judged:
        """Samples, made and compared; as many as a share of the time that is left allows."""
        count = self._affordable(model)
        samples = model.sample(count, seed=self.run.config.seed + 2)
        held = self._real(self.run.splits.test, count)
        known, made = self.features(held, "features of test"), self.features(samples.images, "features of samples")
        rows = self._rows(len(self.images), (_PROBED if len(model.classes) > 1 else 1) * len(held))
        learned = self.features(self.images[rows], "features of train")
        project = FeatureAxes.of(learned)
        other = project(learned[self._rows(len(learned), len(held))])
        metrics = {**precision_recall(project(made), project(known))}
        metrics |= distances(project(made), project(known), other, self.run.config.seed)
        agreement, probe = self._agreement(model, samples, made, known, learned, rows)
        metrics |= agreement
        copied, share, closest, where = self._copied(samples.images, made, held, known)
        return Judged(samples, {**metrics, "copies": share}, copied, closest, self.images[where], probe)

    def _affordable(self, model: Generator) -> int:
        """How many samples, and real images beside them, the time that is left allows."""
        began = time.monotonic()
        model.sample(8, seed=self.run.config.seed)
        made = time.monotonic()
        self.features(self.images[:_BATCH], "measuring")
        each = (made - began) / 8 + (4 + _PROBED) * (time.monotonic() - made) / _BATCH
        return int(np.clip(_SPENT * max(self.run.left, 1.0) / each, MIN_JUDGED, MAX_JUDGED))

    def _real(self, dataset: Dataset, most: int) -> Image:
        some = dataset.subset(self._rows(len(dataset), most))
        return np.stack([load_pixels(sample, self.preprocess) for sample in some.samples])

    def _rows(self, count: int, most: int) -> Ints:
        drawn = np.random.default_rng(self.run.config.seed).permutation(count)[:most]
        return np.sort(drawn).astype(np.int64)

    def _agreement(
        self, model: Generator, samples: GeneratedImages, made: Floats, known: Floats, learned: Floats, rows: Ints
    ) -> tuple[dict[str, Metric], Metric | None]:
        """How often a classifier that has nothing to do with the generator names the class that was asked for."""
        if len(model.classes) < 2:
            return {}, None
        train = self.run.splits.train
        labels = np.asarray(train.labels)[self._rows(len(train), len(self.images))][rows]
        if len(np.unique(labels)) < 2:
            return {}, None
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=200)).fit(learned, labels)
        test = self.run.splits.test
        truth = np.asarray(test.labels)[self._rows(len(test), len(samples))]
        right, agrees = probe.predict(known) == truth, probe.predict(made) == samples.labels
        shares = [Metric(*proportion(int(one.sum()), len(one)), len(one), "share") for one in (agrees, right)]
        return {"class_agreement": shares[0]}, shares[1]

    def _copied(
        self, images: Image, made: Floats, held: Image, known: Floats
    ) -> tuple[np.ndarray, Metric, Ints, np.ndarray]:
        """Which samples are copies, their share, the nearest samples, and the training images beside them."""
        small = _small(self.images)
        both = []
        for shown, features, name in ((images, made, "samples"), (held, known, "test")):
            where, far = nearest(_small(shown), small)
            beside = self.features(self.images[where], f"nearest to {name}")
            both.append((where, np.stack([far, np.linalg.norm(features - beside, axis=1)], 1)))
        (where, near), (_, usual) = both
        copied, share = copies(near, usual)
        closest = np.argsort((near / np.maximum(np.median(usual, 0), 1e-9)).max(1), kind="stable")[:_PAIRS]
        return copied, share, closest.astype(np.int64), where[closest]


def _small(images: Image) -> Floats:
    """float32 (N, P): pixels of small versions."""
    size = (_SMALL, _SMALL)
    resized = [np.asarray(Pillow.fromarray(one).resize(size, Pillow.Resampling.BOX)) for one in images]
    return np.stack(resized).reshape(len(images), -1).astype(np.float32)
