"""Distillation as a task of the one loop: the teacher's answers count as much as is said, for the very views shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.learn.distill import Distilled, StoredViews, beside, recalled
from photovision.models.export import Normalise
from photovision.tasks.classify.objective import ClassifyObjective


def batch(inputs: torch.Tensor, classes: int = 3) -> dict[str, torch.Tensor]:
    labels = torch.arange(len(inputs)) % classes
    targets = nn.functional.one_hot(labels, classes).float()
    return {"inputs": inputs, "targets": targets, "positions": torch.arange(len(inputs))}


def loss(task: Distilled, logits: torch.Tensor) -> float:
    return float(task.loss(nn.Identity(), batch(logits), 0.0)["loss"])


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_teachers_own_answer_is_the_best_one_where_it_alone_counts(multilabel: bool) -> None:
    torch.manual_seed(0)
    said = torch.randn(6, 3)
    task = Distilled(ClassifyObjective(multilabel), recalled(said.numpy()), share=1.0)
    best = loss(task, said)
    assert all(loss(task, said + 0.3 * torch.randn(6, 3)) > best for _ in range(20))
    if not multilabel:
        assert best == pytest.approx(0.0, abs=1e-6)


def test_without_a_share_for_the_teacher_it_is_the_plain_task() -> None:
    logits = torch.randn(6, 3)
    task = Distilled(ClassifyObjective(), recalled(np.zeros((6, 3), np.float32)), share=0.0)
    assert loss(task, logits) == pytest.approx(
        float(ClassifyObjective().loss(nn.Identity(), batch(logits), 0.0)["loss"])
    )


def test_heat_keeps_the_size_of_the_gradient() -> None:
    said, sizes = torch.randn(8, 3), []
    for heat in (4.0, 16.0):
        logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
        task = Distilled(ClassifyObjective(), recalled(said.numpy()), heat=heat, share=1.0)
        task.loss(nn.Identity(), batch(logits), 0.0)["loss"].backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        sizes.append(float(logits.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.3)


def test_every_stored_view_is_a_sample_with_the_truth_of_its_picture() -> None:
    numbers = np.arange(3, dtype=np.float16)[:, None, None, None]
    views = [np.full((3, 1, 2, 2), 10 * k, np.float16) + numbers for k in (0, 1)]
    feed = StoredViews(views, np.eye(3, dtype=np.float32))
    assert feed.take(np.array([0, 2, 3, 5]), 0, 0)[:, 0, 0, 0].tolist() == [0, 2, 10, 12]
    assert feed.targets[[1, 4]].tolist() == [[0, 1, 0], [0, 1, 0]]


def test_a_teacher_beside_sees_the_students_picture_with_its_own_eyes() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    own = Preprocess((32, 32), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    seen = Preprocess((16, 16), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    pictures = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    answer = beside(network, 2.0, own, seen)(batch(Normalise(seen)(pictures)))
    assert torch.allclose(answer, network(Normalise(own)(pictures)) / 2, atol=1e-4)
