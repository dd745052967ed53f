"""MobileSAM's networks: published names and shapes, prompts in any order, and graphs that decide like the networks."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from photovision.core.errors import ModelError
from photovision.models import pretrained as shelf
from photovision.models import weights as zoo
from photovision.models.mobilesam.image_encoder import STRIDE, ImageEncoder
from photovision.models.mobilesam.mask_decoder import PromptDecoder
from photovision.models.mobilesam.published_weights import load_mobilesam, theirs
from photovision.tasks.cut.prompted_segmenter import Cutter

SIDE = 128


def _decoder(side: int = SIDE) -> PromptDecoder:
    """With random weights."""
    torch.manual_seed(0)
    decoder = PromptDecoder(side).eval()
    with torch.no_grad():
        for value in (*decoder.parameters(), decoder.prompt_encoder.frequencies):
            value.normal_(0, 0.3 if value.ndim == 1 else 0.08)
        decoder.prompt_encoder.meanings.normal_()
    return decoder


def _published(encoder: ImageEncoder, decoder: PromptDecoder) -> dict[str, torch.Tensor]:
    """The weights under their published names, with what is published beside them."""
    state = {theirs(f"encoder.{name}"): value for name, value in encoder.state_dict().items()}
    state |= {theirs(f"decoder.{name}"): value for name, value in decoder.state_dict().items()}
    meanings, answers = state.pop("meanings"), state.pop("answers")
    for number in range(4):
        state[f"prompt_encoder.point_embeddings.{number}.weight"] = meanings[number + 1 : number + 2]
    state["prompt_encoder.not_a_point_embed.weight"] = meanings[:1]
    state["prompt_encoder.no_mask_embed.weight"] = state.pop("no_mask")[None]
    state["mask_decoder.iou_token.weight"], state["mask_decoder.mask_tokens.weight"] = answers[:1], answers[1:]
    state["image_encoder.head.weight"] = torch.zeros(1000, 320)  # a classifier that is not used
    return state


@pytest.fixture(scope="module")
def encoder() -> ImageEncoder:
    """Random to its end: a layer that only adds nothing is left out of a graph, with the name of its output."""
    network = ImageEncoder().eval()
    with torch.no_grad():
        for value in network.neck.parameters():
            value.normal_(0, 0.1)
    return network


@torch.no_grad()
def test_published_names_find_their_places(encoder: ImageEncoder) -> None:
    decoder = _decoder()
    again, prompts = ImageEncoder().eval(), PromptDecoder(SIDE).eval()
    load_mobilesam(again, prompts, _published(encoder, decoder))
    picture = torch.rand(1, 3, SIDE, SIDE)
    embedding = encoder(picture)
    assert embedding.shape == (1, 256, SIDE // STRIDE, SIDE // STRIDE)
    assert torch.equal(again(picture), embedding)
    prompt = torch.tensor([[[40.0, 60.0], [0, 0]]]), torch.tensor([[1.0, -1.0]])
    masks, scores = decoder(embedding, *prompt)
    assert masks.shape == (1, 4, SIDE // 4, SIDE // 4)
    assert all(torch.equal(a, b) for a, b in zip(prompts(embedding, *prompt), (masks, scores), strict=True))


@pytest.mark.parametrize("name", ["mask_decoder.iou_token.weight", "image_encoder.neck.0.weight"])
def test_weights_that_do_not_fit_are_refused(name: str, encoder: ImageEncoder) -> None:
    networks = encoder, _decoder()
    state = _published(*networks)
    for wrong in (None, torch.full_like(state[name], float("nan")), state[name][..., :-1]):
        broken = {key: value for key, value in state.items() if key != name} | ({} if wrong is None else {name: wrong})
        with pytest.raises(ModelError, match="get them again"):
            load_mobilesam(*networks, broken)


@torch.no_grad()
def test_the_order_of_points_means_nothing_and_what_they_mean_does() -> None:
    decoder = _decoder()
    embedding = torch.randn(1, 256, SIDE // STRIDE, SIDE // STRIDE)
    points, meaning = torch.tensor([[[40.0, 60.0], [90, 20], [0, 0]]]), torch.tensor([[1.0, 0.0, -1.0]])
    masks, scores = decoder(embedding, points, meaning)
    order = [1, 0, 2]
    turned, same = decoder(embedding, points[:, order], meaning[:, order])
    assert torch.allclose(masks, turned, atol=1e-4)
    assert torch.allclose(scores, same, atol=1e-4)
    other, _ = decoder(embedding, points, torch.tensor([[1.0, 1.0, -1.0]]))
    assert not torch.allclose(masks, other, atol=1e-2)
    nowhere, _ = decoder(embedding, points + torch.tensor([[[0.0], [0.0], [50.0]]]), meaning)
    assert torch.allclose(masks, nowhere, atol=1e-5)  # a point that is none lies nowhere


@torch.no_grad()
def test_prompts_of_a_batch_are_answered_each_on_its_own() -> None:
    decoder = _decoder()
    embedding = torch.randn(1, 256, SIDE // STRIDE, SIDE // STRIDE)
    points, meaning = torch.rand(3, 2, 2) * SIDE, torch.tensor([[1.0, -1.0], [1, 0], [2, 3]])
    together, _ = decoder(embedding, points, meaning)
    alone = torch.cat([decoder(embedding, points[i : i + 1], meaning[i : i + 1])[0] for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.slow
def test_the_ready_cutter_is_made_checked_and_kept(
    encoder: ImageEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random weights, which show as well that the graphs decide like the networks."""
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path))
    file = tmp_path / "weights" / "mobile_sam.pt"
    file.parent.mkdir()
    torch.save(_published(encoder, _decoder(1024)), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(zoo.CUTTERS, "mobilesam", replace(zoo.CUTTERS["mobilesam"], sha256=digest))
    bundle = shelf.ready("mobilesam")
    made = (bundle / "bundle.json").stat().st_mtime_ns
    assert shelf.ready("mobilesam") == bundle
    assert (bundle / "bundle.json").stat().st_mtime_ns == made
    cutter = Cutter.open(bundle)
    assert cutter.info["parity"]["equal_pixels"] > 0.999
    assert {entry["licence"] for entry in cutter.info["licences"]} >= {"apache-2.0"}
    embedding = cutter.embed(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))
    assert embedding.values.shape == (1, 256, 64, 64)
    found = cutter.cut(embedding, np.array([[10, 20]], np.float32), np.array([True]))
    assert found.mask.shape == (60, 90)


@pytest.mark.slow
def test_a_click_on_a_real_photograph_finds_the_object(shared_data: Path) -> None:
    """The overlap with the true mask of a giraffe, where MobileSAM's weights are on this machine."""
    from PIL import Image

    if zoo.locate("mobilesam") is None:
        pytest.skip("needs MobileSAM's weights: photovision weights get mobilesam")
    cutter = Cutter.open(shelf.ready("mobilesam"))
    with Image.open(shared_data / "coco-sample" / "images" / "000000000025.jpg") as picture:
        embedding = cutter.embed(np.asarray(picture.convert("RGB")))
    with Image.open(shared_data / "coco-sample" / "masks" / "000000000025.png") as mask:
        truth = np.asarray(mask) == 25
    truth[:, :300] = False  # another one lies there
    for points, box in (([[430, 200]], None), ([], (385.0, 69.0, 601.0, 358.0))):
        found = cutter.cut(embedding, np.array(points, np.float32).reshape(-1, 2), np.ones(len(points), bool), box)
        assert (found.mask & truth).sum() / (found.mask | truth).sum() > 0.85
        assert found.score > 0.9
