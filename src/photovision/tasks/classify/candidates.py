"""Candidates: networks that are fast enough to replace a model, found by running them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from photovision.core.errors import ModelError, PhotovisionError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.engine.optimize.step import OptimizeRun
from photovision.models.backbones import Backbone, choose, count_macs, create
from photovision.models.export import Decider, export_graph
from photovision.models.load_network import source_of, trained_network
from photovision.models.small import SMALL
from photovision.models.weights import CARRIERS, available
from photovision.runtime.session import ANSWER, Session, open_session

if TYPE_CHECKING:
    from torch import nn

MARGIN = 1.1
"""A candidate should be this much faster still when it is measured: a busy machine, and other batches, take some."""
_BATCH = 32
_ROUNDS = 7
_STEP, _SMALLEST, _SMALL = 16, 64, 64


@dataclass(frozen=True, eq=False)
class Candidate:
    """A student to be.

    Attributes:
        network: as it starts.
        source: what it is, and the size of its input.
        speedup: times the teacher's pictures a second, at batch 32 in the runtime.
        origin: "teacher" where it starts with the teacher's weights, "pretrained", or "random".
    """

    network: nn.Module
    source: Backbone
    speedup: float
    origin: str

    @property
    def text(self) -> str:
        """What it is, for people."""
        size = self.source.preprocess.size[0]
        return f"{self.source.backbone} at {size} px ({self.speedup:.1f} times as fast)"


def find_candidates(job: OptimizeRun, faster: float) -> list[Candidate]:
    """The networks that are worth teaching, at least `faster` times as fast where the choice is ours.

    For pictures of up to 64 pixels the widest small network that is fast enough; for larger ones the teacher's own
    network, and each with offline weights, at the largest size of the picture that is fast enough.

    Args:
        job: its `backbone` is "NAME", "NAME@SIZE" for another size of the picture, or "auto" and None for a search.

    Raises:
        UsageError: no such network, or none that is fast enough.
    """
    wanted = None if job.backbone in (None, "auto") else job.backbone
    found = [_named(job, wanted)] if wanted else list(_searched(job, faster * MARGIN))
    if not found:
        raise UsageError(
            f"no network was found that is {faster:g} times as fast as this model: name one with --distill-to NAME, or"
            " NAME@SIZE for smaller pictures (python -c 'import timm; print(timm.list_models())' names them)"
        )
    return found


def speedup(job: OptimizeRun, network: nn.Module, source: Backbone) -> float:
    """How many times as many pictures a second a network's graph answers as the job's model, measured in turns."""
    model = job.model
    with tempfile.TemporaryDirectory(dir=job.work) as folder:
        graph = Path(folder) / "graph.onnx"
        decider = Decider(network, source.preprocess, 1.0, model.multilabel)
        export_graph(decider, source.preprocess.size, decider.outputs, graph)
        contestants = {
            "teacher": (_plain(model.bundle.graph, model.bundle.precision), _noise(model.preprocess.size)),
            "student": (_plain(graph, None), _noise(source.preprocess.size)),
        }
        times = seconds(contestants)
    return times["teacher"] / times["student"]


def seconds(contestants: Mapping[str, tuple[Session, Image]], rounds: int = _ROUNDS) -> dict[str, float]:
    """Median seconds that each session takes for its pictures, in turns, so that a busy machine hurts all alike."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 3):
        for name, (session, images) in contestants.items():
            started = time.perf_counter()
            session.run(images)
            if number > 2:  # the first ones pay for memory, and for compiling for large batches
                times[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in times.items()}


def _plain(graph: Path, precision: str | None) -> Session:
    return open_session(graph, precision="f32" if precision == "f32" else None, outputs=ANSWER)


def _noise(size: tuple[int, int]) -> Image:
    return np.random.default_rng(0).integers(0, 256, (_BATCH, *size, 3), dtype=np.uint8)


def _named(job: OptimizeRun, wanted: str) -> Candidate:
    name, _, size = wanted.partition("@")
    if size and not (size.isdecimal() and 16 <= int(size) <= 2048):
        raise UsageError(f"--distill-to should be NAME or NAME@SIZE with 16 to 2048 pixels, got '{wanted}'")
    own = job.model.info["backbone"]["name"]
    if name == own and size:
        network, source = _own(job)
        source = replace(source, preprocess=replace(source.preprocess, size=(int(size), int(size))))
        return Candidate(network, source, speedup(job, network, source), "teacher")
    source = _source(job, name, int(size) if size else None)
    network = create(source, len(job.model.classes))
    origin = "random" if source.weights == "none" else "pretrained"
    return Candidate(network, source, speedup(job, network, source), origin)


def _source(job: OptimizeRun, name: str, size: int | None) -> Backbone:
    before = job.model.preprocess
    weights = "auto" if any(CARRIERS[one].backbone == name for one in available()) else "none"
    source = choose(name, weights, size or (before.size[0] if weights == "none" else None))
    if weights == "none":  # nothing was learned with other means: the pictures' own are best
        return replace(source, preprocess=replace(before, size=source.preprocess.size))
    return _shown(source, before)


def _shown(source: Backbone, before: Preprocess) -> Backbone:
    """The same source, which sees pictures of more than 8 bits as the teacher does."""
    return replace(source, preprocess=replace(source.preprocess, value_ranges=before.value_ranges))


def _own(job: OptimizeRun) -> tuple[nn.Module, Backbone]:
    backbone = job.model.info["backbone"]
    if backbone.get("widths"):
        raise ModelError("a pruned network has no smaller version by itself")
    return trained_network(job.model.bundle), source_of(job.model.bundle)


def _searched(job: OptimizeRun, faster: float) -> Iterator[Candidate]:
    if max(job.model.preprocess.size) <= _SMALL:
        yield from _small(job, faster)
        return
    try:
        own = _sized(job, *_own(job), faster, "teacher")
    except PhotovisionError:  # a graph without weights for torch: others can still learn from it
        own = None
    if own is not None:
        yield own
    for name in available():
        if CARRIERS[name].backbone == job.model.info["backbone"]["name"]:
            continue
        source = _shown(choose(None, name, None), job.model.preprocess)
        other = _sized(job, create(source, len(job.model.classes)), source, faster, "pretrained")
        if other is not None:
            yield other


def _small(job: OptimizeRun, faster: float) -> Iterator[Candidate]:
    """The costliest of the small networks that is fast enough."""
    made = [(_source(job, name, None), create(_source(job, name, None), len(job.model.classes))) for name in SMALL]
    for source, network in sorted(made, key=lambda pair: -count_macs(pair[1], pair[0].preprocess.size)):
        gained = speedup(job, network, source)
        job.say(f"{source.backbone}: {gained:.1f} times as fast")
        if gained >= faster:
            yield Candidate(network, source, gained, "random")
            return


def _sized(job: OptimizeRun, network: nn.Module, source: Backbone, faster: float, origin: str) -> Candidate | None:
    """A network at the largest size that is fast enough."""
    full = min(source.preprocess.size[0], job.model.preprocess.size[0])
    # The time goes with the number of pixels; sizes in steps of half the coarsest stride.
    most = full if origin == "pretrained" else int(full / faster**0.5)
    for side in range(_STEP * (most // _STEP), _SMALLEST - 1, -_STEP):
        sized = replace(source, preprocess=replace(source.preprocess, size=(side, side)))
        try:
            gained = speedup(job, network, sized)
        except (PhotovisionError, RuntimeError, AssertionError):  # its input has one size
            return None
        job.say(f"{source.backbone} at {side} px: {gained:.1f} times as fast")
        if gained >= faster:
            return Candidate(network, sized, gained, origin)
    return None
