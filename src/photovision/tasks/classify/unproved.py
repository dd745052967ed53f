"""A classifier without a bundle: learned as every other, on all pictures but those that select, and never proved.

For searches over many trainings, which need predictions, and neither an exported graph nor a test.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from photovision.core.errors import UnreadableImage
from photovision.core.inputs import Source
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats
from photovision.data.dataset import Dataset
from photovision.engine.feature_cache import FeatureCache
from photovision.engine.splits import gather
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.models.export import Normalise
from photovision.tasks.classify.learn import best_of, ladder, prepare
from photovision.trust.metrics.calibrate import fit_temperature

_BATCH = 32
_CACHE = FeatureCache()
"""Of all such trainings of this process."""


@dataclass(frozen=True, eq=False)
class UnprovedModel:
    """A trained network that predicts in torch; single-label.

    Attributes:
        network: on the CPU, in evaluation mode.
        preprocess: how a picture becomes its input.
        temperature: learned on the pictures that selected.
        stage: what was chosen, such as "fine-tuned".
    """

    network: nn.Module
    preprocess: Preprocess
    temperature: float
    stage: str

    @torch.no_grad()
    def probs(self, pictures: Iterable[Source | UnreadableImage]) -> Floats:
        """float32 (N, C): calibrated probabilities; raises UnreadableImage."""
        normalise, found = Normalise(self.preprocess), []
        inputs = [self._input(one) for one in pictures]
        for start in range(0, len(inputs), _BATCH):
            logits = self.network(normalise(torch.from_numpy(np.stack(inputs[start : start + _BATCH]))))
            found.append((logits.float() / self.temperature).softmax(1).numpy())
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def _input(self, picture: Source | UnreadableImage) -> np.ndarray:
        if isinstance(picture, UnreadableImage):
            raise picture
        if isinstance(picture, np.ndarray):
            return self.preprocess.apply(picture)
        return self.preprocess.load(picture)


def learn_unproved(dataset: Dataset, config: TrainConfig, started: float) -> UnprovedModel:
    """Learn to classify without a test, a comparison of pictures, an export and a bundle.

    Args:
        dataset: single-label pictures; 15% of them select.
        config: what was asked for.
        started: `time.monotonic()` from which the budget counts.

    Raises:
        DataError, UsageError, LicenceError: as for `photovision.train`.
    """
    source = prepare(dataset, config)
    with tempfile.TemporaryDirectory(prefix="photovision-") as folder:
        work = WorkDir(Path(folder) / "model", {}, Accelerator())
        splits = gather(dataset, seed=config.seed).without_test()
        run = TrainingRun(config, splits, work, started=started, cache=_CACHE)
        try:
            chosen = best_of(list(ladder(run, source)))
        finally:
            run.threads.close()
        work.close()
    assert chosen.network is not None
    assert chosen.source is not None
    temperature = fit_temperature(chosen.val_logits, splits.val.labels, multilabel=False)
    network = chosen.network.cpu().eval()
    return UnprovedModel(network, replace(chosen.source.preprocess), temperature, chosen.result.name)
