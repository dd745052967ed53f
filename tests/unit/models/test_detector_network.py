"""The detector's network, which places learn what, and its graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from boxed import boxed_samples

from photovision.core.errors import ExportError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.data.augment.box import UNJUDGED
from photovision.models.assign import NOTHING, assign
from photovision.models.backbones import Backbone
from photovision.models.box_parity import check_boxes
from photovision.models.detector import MAX_BOXES, BoxDecider, DetectorNetwork, places_of
from photovision.models.export import export_graph

SIZE = (64, 96)


def source(backbone: str = "test_resnet", size: tuple[int, int] = SIZE) -> Backbone:
    return Backbone(backbone, "none", Preprocess(size))


def test_every_place_answers_in_training_and_the_best_in_evaluation() -> None:
    torch.manual_seed(0)
    network = DetectorNetwork(source(size=(128, 160)), 3)
    inputs = torch.rand(2, 3, 128, 160)
    places = len(places_of((128, 160)))
    assert network.train()(inputs).shape == (2, places, 7)
    best = network.eval()(inputs)
    assert best.shape == (2, MAX_BOXES, 7)
    surest = best[..., 4:].amax(2)
    assert bool((surest.diff(dim=1) <= 0).all())
    assert bool((best[..., 2:4] >= best[..., :2]).all())


def test_a_network_without_maps_is_refused_in_a_line() -> None:
    with pytest.raises(UsageError, match="convolutional backbone"):
        DetectorNetwork(source("test_vit", (160, 160)), 2)
    with pytest.raises(UsageError, match="multiple of 32"):
        DetectorNetwork(source(size=(70, 96)), 2)


def test_places_learn_the_object_they_lie_in() -> None:
    places = places_of((64, 64))
    boxes = torch.cat([places[:, :2] - 8, places[:, :2] + 8], 1)
    truth = torch.tensor([[1.0, 8, 8, 24, 24], [0.0, 40, 40, 64, 64], [NOTHING, 0, 0, 0, 0], [UNJUDGED, 0, 40, 24, 64]])
    found = assign(boxes, torch.full((len(places), 2), 0.1), places, truth)
    learns = found.weight > 0
    assert int(learns.sum()) >= 2
    for place, box, score in zip(places[learns], found.boxes[learns], found.scores[learns], strict=True):
        first = bool((box == truth[0, 1:]).all())
        assert (score > 0).tolist() == [not first, first]
        middle = (box[:2] + box[2:]) / 2
        assert float((place[:2] - middle).abs().max()) <= 20
    best = float(found.scores.amax())
    assert best == pytest.approx(1.0, abs=0.01)  # a place whose box is the object's aims at all
    unjudged = places[~found.judged]
    assert len(unjudged) >= 9
    assert bool(((unjudged[:, 0] < 24) & (unjudged[:, 1] > 40)).all())


def test_an_object_smaller_than_a_place_is_learned() -> None:
    places = places_of((64, 64))
    truth = torch.tensor([[0.0, 16.5, 16.5, 18.5, 18.5]])
    far = torch.zeros(len(places), 4)  # no box overlaps yet
    assert int((assign(far, torch.full((len(places), 1), 0.1), places, truth).weight > 0).sum()) >= 1


def test_a_picture_without_objects_teaches_nothing_but_that() -> None:
    places = places_of((32, 32))
    found = assign(torch.zeros(21, 4), torch.rand(21, 2), places, torch.full((3, 5), float(NOTHING)))
    assert not found.scores.any()
    assert not found.weight.any()
    assert bool(found.judged.all())


def test_the_graph_finds_what_the_network_finds(tmp_path: Path) -> None:
    torch.manual_seed(1)
    decider = BoxDecider(DetectorNetwork(source(), 2), Preprocess(SIZE), [1.0, 1.5], [2.0, 3.0])
    path = tmp_path / "model.onnx"
    export_graph(decider, SIZE, decider.outputs, path)
    images = np.stack([Preprocess(SIZE).apply(np.asarray(sample.image)) for sample in boxed_samples(3)])
    parity = check_boxes(decider, path, images)
    assert parity.pictures == 3
    assert parity.max_abs_prob_difference < 1e-3
    other = BoxDecider(decider.network, Preprocess(SIZE), [1.0, 1.5], [2.5, 3.0])
    with pytest.raises(ExportError, match="does not find"):
        check_boxes(other, path, images)
