"""Batch normalisation of a model of any task adapted to a place, where that helps labelled images given its look.

The network and its decisions are the task's; what is normalised, and how a gain is found, is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from photovision.core.drawing import percent
from photovision.core.errors import DataError, ExportError, ModelError, UnreadableImage
from photovision.core.files import explained
from photovision.core.image import open_sample, to_array
from photovision.core.types import Image, Sample
from photovision.data.corruptions.appearance import Appearance
from photovision.data.dataset import Dataset
from photovision.engine.adapt import NORMALISATION, AdaptRequest, AdaptStep
from photovision.engine.bundle_writer import copy_files
from photovision.engine.evaluation import Evaluation
from photovision.models.export import export_graph
from photovision.models.normalisation import batch_norms, normalised_for
from photovision.runtime.bundle import Bundle, unpacked
from photovision.runtime.session import open_session

WORTH = 128.0
"""How many pictures the statistics of the training count as."""
MIN_HELD_OUT = 30
"""Labelled images below which nothing can be tried, where each of them has many objects or labels."""
_MOST, _MIN_GAIN, _Z = 100, 0.01, 1.64
_PARITY = 8

Look = Callable[[Sample], Image]
"""From a sample to what the network sees of it, uint8 (H, W, 3); raises UnreadableImage."""


@dataclass(frozen=True, eq=False)
class TriedNetwork:
    """A network whose batch normalisation is that of a place, tried on labelled images that are given its look.

    Attributes:
        step: what became of it.
        model: opened, with that normalisation; None where it could not be tried.
        before, after: evaluations of the same labelled images that are given the look of the place.
    """

    step: AdaptStep
    model: Any = None
    before: Evaluation | None = None
    after: Evaluation | None = None


def try_normalisation(request: AdaptRequest, look: Look, fall: Callable[[Any], float]) -> TriedNetwork:
    """Adapt the statistics, and try that on held-out images which are given the look of the place.

    Args:
        request: with images of the place that can all be read.
        look: what the network sees of an image.
        fall: from the adapted model to how much less its score is expected to be in the place.
    """
    bundle: Bundle = request.model.bundle
    if request.held_out is None:
        return _untried("they are tried on labelled pictures, and none were given (--labelled)")
    if bundle.info.get("quantized"):
        return _untried("the graph computes in 8 bits: adapt the model that it was made from")
    try:
        decider: nn.Module = bundle.row.part("network")(bundle)
    except ModelError:
        return _untried("the model keeps no weights that could be adapted")
    if not batch_norms(decider):
        return _untried("the network has no batch normalisation")
    held_out = _readable(_some(request.held_out, request.seed))
    if len(held_out) < MIN_HELD_OUT:
        return _untried(f"fewer than {MIN_HELD_OUT} labelled pictures can be tried")
    images, usual = ([look(sample) for sample in part.samples] for part in (request.dataset, held_out))
    adapted = normalised_for(decider, nn.Identity(), images, usual, WORTH)
    model = _opened(request.model, adapted, images[:_PARITY])
    alike = dressed(held_out, request.dataset, request.seed)
    before, after = (bundle.row.part("evaluate")(one, alike) for one in (request.model, model))
    step = verdict(NORMALISATION, before.score_name, before.score(), after.score(), fall(model))
    return TriedNetwork(step, model, before, after)


def _untried(why: str) -> TriedNetwork:
    return TriedNetwork(AdaptStep(NORMALISATION, why))


def verdict(name: str, score: str, before: np.ndarray, after: np.ndarray, least: float = 0.0) -> AdaptStep:
    """Whether a change is taken: where it gains beyond chance, and more than the place may lose.

    Args:
        name: of the step.
        score: what is measured, such as "accuracy".
        before, after: float or bool (N,), of the same images.
        least: how much less is expected of the place.
    """
    change = after.astype(float) - before
    error = float(change.std() / np.sqrt(len(change)))
    look = f"{len(change):,} held-out pictures given the colours and the sharpness of the place"
    figures = f"{percent(float(before.mean()))} before, {percent(float(after.mean()))} after"
    if change.mean() < max(_MIN_GAIN, _Z * error):
        return AdaptStep(name, f"nothing is gained beyond chance on {look} ({figures})")
    if change.mean() < least:
        return AdaptStep(name, f"too little is gained on {look} ({figures}) for what the place may lose")
    return AdaptStep(name, effect=f"{score} on {look}: {figures}.")


def write_network(decider: nn.Module, bundle: Bundle) -> None:
    """Write the weights and the graph of a decider, as the part "network" gives it, into the folder of a bundle."""
    network, outputs = decider.network, decider.outputs
    assert isinstance(network, nn.Module)
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    with explained(bundle.path):
        save_file(state, bundle.path / "model.safetensors", metadata={"format": "pt"})
    export_graph(decider.eval(), bundle.preprocess.size, outputs, bundle.graph)  # type: ignore[arg-type]


def dressed(held_out: Dataset, place: Dataset, seed: int) -> Dataset:
    """Labelled images that can be read, given the look of a place; what is seen stays where it is."""
    own, other = ([_upright(sample) for sample in _some(part, seed).samples] for part in (held_out, place))
    before, after, rng = Appearance.of(own), Appearance.of(other), np.random.default_rng(seed)
    images = [before.towards(after, _upright(sample), rng) for sample in held_out.samples]
    pairs = zip(held_out.samples, images, strict=True)
    samples = tuple(replace(sample, image=image, ranges=()) for sample, image in pairs)
    return replace(held_out, samples=samples, splits={})


def _upright(sample: Sample) -> Image:
    return to_array(open_sample(sample))


def _some(dataset: Dataset, seed: int) -> Dataset:
    return dataset.subset(np.sort(np.random.default_rng(seed).permutation(len(dataset))[:_MOST]))


def _readable(dataset: Dataset) -> Dataset:
    rows = []
    for row, sample in enumerate(dataset.samples):
        try:
            open_sample(sample)
        except (UnreadableImage, DataError):
            continue
        rows.append(row)
    return dataset.subset(np.array(rows, np.int64))


def _opened(model: Any, decider: nn.Module, images: Sequence[Image]) -> Any:
    """A copy of a model with another network; raises ExportError where its graph does not predict like the network."""
    row = model.bundle.row
    with TemporaryDirectory(prefix="photovision-") as folder:
        copy_files(model.bundle.path, Path(folder), "all")
        draft = Bundle(Path(folder), model.info)
        write_network(decider, draft)
        bundle = unpacked(draft.files())  # which goes when the last reference to it does
    batch = np.stack(images)
    names: Sequence[str] = decider.outputs  # type: ignore[assignment]
    with torch.no_grad():
        outputs = decider(torch.from_numpy(batch))
    expected = {name: value.numpy() for name, value in zip(names, outputs, strict=True)}
    got = open_session(bundle.graph, precision="f32", outputs=row.outputs).run(batch)
    found = row.part("parity")(model, [expected], [got])
    if not found.enough:
        raise ExportError(
            f"the adapted graph does not predict like its network (largest {found.measured} difference"
            f" {found.difference:.2g}, allowed {found.allowed:g}); nothing was written, report this"
        )
    return row.part("model")(bundle)
