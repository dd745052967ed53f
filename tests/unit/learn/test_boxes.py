"""The truth of a batch is that of its views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from boxed import boxed_samples
from onnx import TensorProto, helper

from photovision.core.preprocess import Preprocess
from photovision.data.augment.box import BoxAugmenter
from photovision.data.augment.image import Augment
from photovision.learn.boxes import BoxFeed
from photovision.learn.feed import Shard, batches
from photovision.models.assign import NOTHING
from photovision.runtime.session import Session, open_session

PREPROCESS = Preprocess((96, 128))


def feed(mosaic: float = 0) -> BoxFeed:
    return BoxFeed(boxed_samples(9), PREPROCESS, BoxAugmenter(Augment(scale=0.5, jitter=0), mosaic=mosaic), 2)


@pytest.mark.parametrize("mosaic", [0, 1])
def test_boxes_travel_with_their_pixels_in_every_batch(mosaic: float) -> None:
    bright = 0
    for batch in batches(feed(mosaic), 3, 7, 4, 0, Shard()):
        for image, rows in zip(batch["inputs"].numpy(), batch["targets"].numpy(), strict=True):
            for _, x1, y1, x2, y2 in rows[rows[:, 0] >= 0]:
                middle = image[int((y1 + y2) / 2), int(min((x1 + x2) / 2, 127))]
                assert middle.min() > 150  # shapes are brighter than any ground
                bright += 1
    assert bright >= 12


def test_without_variation_the_truth_is_the_whole_pictures() -> None:
    made = feed()
    positions = np.arange(9)
    np.testing.assert_array_equal(made.truth(positions, -1, 0), made.targets)
    assert made.take(positions, -1, 0).shape == (9, 96, 128, 3)
    assert (made.targets[:, :, 0] != NOTHING).sum() == sum(len(s.annotations) for s in made.samples)  # type: ignore[arg-type]


def test_a_batch_does_not_depend_on_what_came_before() -> None:
    all_, rest = list(batches(feed(), 1, 0, 4, 0, Shard())), list(batches(feed(), 1, 0, 4, 2, Shard()))
    for name in ("inputs", "targets", "positions"):
        np.testing.assert_array_equal(all_[2][name].numpy(), rest[0][name].numpy())


def test_a_mosaic_shows_its_own_picture_and_three_others() -> None:
    made = feed(1)
    counts = (made.truth(np.arange(9), 2, 0)[:, :, 0] >= 0).sum(1)
    alone = (feed().truth(np.arange(9), 2, 0)[:, :, 0] >= 0).sum(1)
    assert counts.sum() > 1.3 * alone.sum()
    assert not np.array_equal(made.take(np.arange(9), 2, 0).numpy(), made.take(np.arange(9), 3, 0).numpy())


def lower(folder: Path) -> Session:
    """A frozen part of a network: the mean colours of cells of 8 pixels."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["maps"], kernel_shape=[8, 8], strides=[8, 8]),
    ]
    given = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 96, 128, 3])
    found = helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 3, 12, 16])
    graph = helper.make_graph(nodes, "lower", [given], [found])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "l.onnx")
    return open_session(folder / "l.onnx", precision="f32")


def test_few_views_come_again_with_their_boxes_and_are_made_once(tmp_path: Path) -> None:
    session = lower(tmp_path)
    made, fresh = (BoxFeed(boxed_samples(9), PREPROCESS, feed(0.5).view, 2, session) for _ in range(2))
    made.views = 3
    positions = np.array([4, 0, 7, 4])
    first = [made.take(positions, epoch, 0).numpy() for epoch in range(4)]
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[0], first[3])
    np.testing.assert_array_equal(made.truth(positions, 1, 0), made.truth(positions, 4, 0))
    np.testing.assert_array_equal(made.truth(positions, 1, 0), fresh.truth(positions, 1, 0))
    np.testing.assert_allclose(first[1], fresh.take(positions, 1, 0).numpy(), atol=0.2)  # of 255, in half precision
    made.samples = fresh.samples = [replace(s, image=np.zeros((96, 128, 3), np.uint8)) for s in made.samples]
    np.testing.assert_array_equal(made.take(positions, 6, 0).numpy(), first[0])  # pictures are not looked at again
    assert not np.array_equal(fresh.take(positions, 0, 0).numpy(), first[0])
    assert not made.fits(10**6, (3, 12, 16))
