"""Models of pictures and text as transformers and open_clip save them: both parts give what those libraries give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.models.backbones import build, choose
from photovision.models.text_encoder import Tokenizer, embed_texts, read_text_encoder
from photovision.models.weights_folder import read_weights_folder

transformers = pytest.importorskip("transformers")

WORDS = ["a", "photo", "of", "the", "this", "is", "something", "else", "an", "image", "cat", "dog", "car", "red"]
CLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES = {"image_size": 32, "patch_size": 16}


def tokenizer(folder: Path, words: int = 40) -> None:
    """tokenizer.json and tokenizer_config.json of whole words."""
    from tokenizers import Tokenizer as Reader
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    table = {name: number for number, name in enumerate(["<pad>", "<unk>", "<s>", "</s>", ".", *WORDS])}
    reader = Reader(WordLevel(table, unk_token="<unk>"))
    reader.normalizer, reader.pre_tokenizer = Lowercase(), Whitespace()
    reader.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    reader.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}), encoding="utf-8")


def whole(family: str) -> Any:
    """A tiny random model of transformers."""
    torch.manual_seed(0)
    text = {
        **CLIP,
        "vocab_size": 40,
        "max_position_embeddings": 16,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "pad_token_id": 0,
    }
    if family == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config={**CLIP, **SIZES}, projection_dim=24)
        return transformers.CLIPModel(config).eval()
    config = transformers.SiglipConfig(text_config=text, vision_config={**CLIP, **SIZES})
    return transformers.SiglipModel(config).eval()


def save(model: Any, folder: Path) -> Path:
    """As transformers saves it."""
    model.save_pretrained(folder)
    tokenizer(folder)
    return folder


def of_tensor(found: Any) -> torch.Tensor:
    """Features, whether the library gives them alone or within an output."""
    return found if isinstance(found, torch.Tensor) else found.pooler_output


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_both_parts_give_what_transformers_gives(tmp_path: Path, family: str) -> None:
    model = whole(family)
    found = read_weights_folder(save(model, tmp_path / family))
    assert found.text is not None
    network = build(found.architecture, found.outputs, found.args, found).eval()
    encoder, scale = read_text_encoder(found)
    tokens, ends = Tokenizer(found.folder, found.text)(["a photo of a cat.", "dog"])
    pictures = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        seen = of_tensor(model.get_image_features(pixel_values=pictures))
        told = of_tensor(model.get_text_features(input_ids=tokens))
        assert torch.allclose(network(pictures), seen, atol=1e-5)
        assert torch.allclose(encoder(tokens, ends), told, atol=1e-5)
    assert scale == pytest.approx(float(model.logit_scale.detach().exp()), rel=1e-5)


def test_open_clip_names_give_the_same(tmp_path: Path) -> None:
    """The same weights by open_clip's names: https://github.com/mlfoundations/open_clip."""
    model = whole("clip")
    theirs = read_weights_folder(save(model, tmp_path / "theirs"))
    state, folder = model.state_dict(), tmp_path / "open_clip"
    folder.mkdir()
    named: dict[str, torch.Tensor] = {}
    for part, here in (("vision_model", "visual."), ("text_model", "")):
        for number in range(2):
            start, to = f"{part}.encoder.layers.{number}.", f"{here}transformer.resblocks.{number}."
            for kind in ("weight", "bias"):
                three = [state[f"{start}self_attn.{one}_proj.{kind}"] for one in "qkv"]
                named[f"{to}attn.in_proj_{kind}"] = torch.cat(three)
                pairs = (("self_attn.out_proj", "attn.out_proj"), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
                         ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"))  # fmt: skip
                named |= {f"{to}{new}.{kind}": state[f"{start}{old}.{kind}"] for old, new in pairs}
    for kind in ("weight", "bias"):
        named[f"visual.ln_pre.{kind}"] = state[f"vision_model.pre_layrnorm.{kind}"]
        named[f"visual.ln_post.{kind}"] = state[f"vision_model.post_layernorm.{kind}"]
        named[f"ln_final.{kind}"] = state[f"text_model.final_layer_norm.{kind}"]
    named["visual.class_embedding"] = state["vision_model.embeddings.class_embedding"]
    named["visual.conv1.weight"] = state["vision_model.embeddings.patch_embedding.weight"]
    named["visual.positional_embedding"] = state["vision_model.embeddings.position_embedding.weight"]
    named["visual.proj"] = state["visual_projection.weight"].T
    named["token_embedding.weight"] = state["text_model.embeddings.token_embedding.weight"]
    named["positional_embedding"] = state["text_model.embeddings.position_embedding.weight"]
    named["text_projection"], named["logit_scale"] = state["text_projection.weight"].T, state["logit_scale"]
    save_file(
        {name: value.contiguous().clone() for name, value in named.items()}, folder / "open_clip_model.safetensors"
    )
    text = {"context_length": 16, "vocab_size": 40, "width": 32, "heads": 2, "layers": 2, "mlp_ratio": 1.5}
    vision = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16, "mlp_ratio": 1.5}
    config = {"model_cfg": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer(folder)
    ours = read_weights_folder(folder)
    pictures, texts = torch.rand(2, 3, 32, 32), [["a photo of a cat."], ["dog", "red car"]]
    one, other = (build(found.architecture, found.outputs, found.args, found).eval() for found in (theirs, ours))
    with torch.no_grad():
        assert torch.allclose(one(pictures), other(pictures), atol=1e-5)
    assert torch.allclose(embed_texts(theirs, texts)[0], embed_texts(ours, texts)[0], atol=1e-5)


def test_text_weights_are_a_backbone_as_well(tmp_path: Path) -> None:
    source = choose(str(save(whole("siglip"), tmp_path / "siglip")), "auto", None)
    assert source.backbone == "vit_base_patch16_siglip_224"
    assert source.preprocess.mean == (0.5, 0.5, 0.5)


def test_what_is_missing_or_wrong_is_said(tmp_path: Path) -> None:
    folder = save(whole("siglip"), tmp_path / "siglip")
    found = read_weights_folder(folder)
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="should name the pad_token"):
        embed_texts(found, [["a cat"]])
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="damaged"):
        embed_texts(found, [["a cat"]])
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        embed_texts(found, [["a cat"]])
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 100_000
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="no such network can have"):
        read_weights_folder(folder)


def test_a_name_that_timm_would_fetch_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    vision = {"image_size": 32, "timm_model_name": "hf-hub:somebody/something"}
    config = {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": {}}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="no such network can have"):
        read_weights_folder(folder)


def test_zero_shot_names_pictures_without_having_seen_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np
    from PIL import Image

    import photovision as pv
    from photovision.app.cli import run
    from photovision.models.load_network import trained_network
    from photovision.tasks.classify.recognizer import NOTHING
    from photovision.tasks.classify.zero_shot import zero_shot

    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    model = whole("clip")
    folder = save(model, tmp_path / "clip")
    made = zero_shot(folder, ["cat", "red car"], prompts=["a photo of a {}."])
    assert made.classes == ("cat", "red car", NOTHING)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    normal = torch.from_numpy(np.stack([made.preprocess.normalise(one) for one in pixels]))
    found = read_weights_folder(folder)
    assert found.text is not None
    directions, scale = embed_texts(found, [["a photo of a cat."], ["a photo of a red car."]])
    with torch.no_grad():
        seen = torch.nn.functional.normalize(of_tensor(model.get_image_features(pixel_values=normal)), dim=1)
    outputs = made.session.run(pixels)
    assert np.allclose(outputs["logits"][:, :2], (scale * seen @ directions.T).numpy(), atol=1e-3)
    assert np.allclose(outputs["probs"].sum(1), 1, atol=1e-5)
    with torch.no_grad():
        assert np.allclose(trained_network(made.bundle)(normal).numpy(), outputs["logits"], atol=1e-3)
    assert zero_shot(folder, ["cat", "red car"], prompts=["a photo of a {}."]).bundle.path == made.bundle.path
    assert pv.load(made.bundle.path).predict(pixels[0]).label in made.classes
    file = tmp_path / "picture.png"
    Image.fromarray(pixels[0]).save(file)
    names = ["--classes", "cat, red car", "--prompt", "a photo of a {}."]
    assert run(["predict", str(folder), str(file), *names]) == 0
    assert made.predict(pixels[0]).label in capsys.readouterr().out
    assert run(["predict", str(folder), str(file), "--prompt", "a photo of a {}."]) == 2
    with pytest.raises(UsageError, match="photovision weights get hf-hub:owner/name"):
        zero_shot("hf-hub:owner/name", ["cat"])
    with pytest.raises(UsageError, match=r"should have \{\} once"):
        zero_shot(folder, ["cat"], prompts=["a photo"])
    with pytest.raises(UsageError, match="different names"):
        zero_shot(folder, ["cat", "cat"])


def test_the_page_writes_a_model_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from photovision.app.web.server import create_app
    from photovision.app.web.workspace import State
    from photovision.models.import_weights import import_weights

    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    import_weights(save(whole("clip"), tmp_path / "clip"), "tiny-clip")
    (tmp_path / "home").mkdir()
    client = TestClient(create_app(State(tmp_path / "home")), base_url="http://127.0.0.1:8707")
    wish = {"weights": "tiny-clip", "names": ["cat", "Red car"]}
    assert client.post("/api/recognise/named", json=wish).json() == {"model": "cat-red-car-by-name"}
    (model,) = client.get("/api/recognise/overview").json()["models"]
    assert (model["name"], model["classes"][:2]) == ("cat-red-car-by-name", ["cat", "Red car"])
    for wrong in ({"weights": "efficientnet_lite0"}, {"names": ["cat", "cat"]}, {"names": []}):
        assert client.post("/api/recognise/named", json={**wish, **wrong}).status_code in (400, 422)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["cat-red-car-by-name"]


def test_a_margin_lets_nine_of_ten_other_things_without_a_name() -> None:
    """Two classes, near their name by 2, near the other by 0.5 to 1, sentences that say nothing at 0."""
    import numpy as np

    from photovision.tasks.classify.none_of_these import Margins

    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    logits = np.zeros((220, 3), np.float32)
    logits[np.arange(200), truth] = rng.normal(2, 0.3, 200)
    logits[np.arange(200), 1 - truth] = rng.uniform(0.5, 1, 200)
    logits[200:, :2] = rng.uniform(-1, 0, (20, 2))  # labelled as nothing of these
    margins = Margins.of(logits, np.append(truth, [2] * 20), 2)
    assert np.isnan(margins.present[200:]).all()
    margin = margins.fitted()
    assert 0.9 < margin < 1
    absent = np.append(logits[np.arange(200), 1 - truth], logits[200:, :2].max(1))
    assert 0.9 <= (absent <= margin).mean() <= 0.93
    assert (margins.present[:200] > margin).mean() > 0.98


def test_calibrate_fits_when_to_give_no_name_and_the_weights_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    import photovision as pv
    from photovision.data.read import dataset_from_arrays
    from photovision.models.load_network import trained_network
    from photovision.tasks.classify.recognizer import NOTHING
    from photovision.tasks.classify.zero_shot import zero_shot

    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    folder, prompts = save(whole("clip"), tmp_path / "clip"), ["a photo of a {}."]
    made = zero_shot(folder, ["cat", "red car"], prompts=prompts)
    assert any("rests on sentences alone" in text for text in made.info["warnings"])
    pixels = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    data = dataset_from_arrays(pixels, ["cat", "red car"] * 30)
    report = pv.calibrate(made, data, tmp_path / "fitted", listener=pv.silent)
    assert report.metrics["detected_unknown"].value > 0.75
    fitted = pv.load(tmp_path / "fitted")
    margin = fitted.info["zero_shot"]["margin"]["margin"]
    before, after = made.session.run(pixels)["logits"], fitted.session.run(pixels)["logits"]
    place = made.classes.index(NOTHING)
    assert np.allclose(after[:, place] - before[:, place], margin, atol=1e-3)
    assert np.allclose(after[:, :place], before[:, :place], atol=1e-3)
    normal = torch.from_numpy(np.stack([made.preprocess.normalise(one) for one in pixels[:2]]))
    with torch.no_grad():
        assert np.allclose(trained_network(fitted.bundle)(normal).numpy(), after[:2], atol=1e-3)
    unlike = next(one for one in pixels if fitted.predict(one).label == NOTHING)
    assert (
        "None of the names fits" in fitted.bundle.row.part("page")(fitted, fitted.predict(unlike), (32, 32))["words"][0]
    )
    others = zero_shot(folder, ["dog", "tree"], prompts=prompts)
    assert others.info["zero_shot"]["margin"]["margin"] == margin
    assert any("fitted to 60 pictures of other names" in text for text in others.info["warnings"])
    again = zero_shot(folder, ["cat", "red car"], prompts=prompts)
    assert again.bundle.path != made.bundle.path
    assert np.allclose(again.session.run(pixels)["logits"], after, atol=1e-3)
    alone = dataset_from_arrays(pixels, ["cat"] * 60)
    with pytest.raises(DataError, match="at least two classes"):
        pv.calibrate(zero_shot(folder, ["cat"], prompts=prompts), alone, tmp_path / "no", listener=pv.silent)
