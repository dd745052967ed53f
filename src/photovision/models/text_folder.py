"""A folder of a model of pictures and text (CLIP, SigLIP), as transformers, open_clip or timm save it, checked.

Radford et al. 2021; Zhai et al. 2023. Its image part is a network of timm, its text part a transformer that is built in
`photovision.models.text_encoder`. What is read: config.json or open_clip_config.json, one safetensors file,
tokenizer.json, and preprocessor_config.json where it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.hub_folder import MAX_PARTS, bounded_json, stated_licence

if TYPE_CHECKING:
    import torch

    from photovision.models.weights_folder import WeightsFolder

OPEN_CLIP, OPEN_CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
FAMILIES = ("clip", "siglip")
"""By the `model_type` of transformers' config.json; SigLIP 2 with pictures of one size is a "siglip", too."""
_HALF = (0.5, 0.5, 0.5)
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_ACTIVATIONS = {"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh"}
_MAX_WORDS, _MAX_NUMBER = 1_000_000, 20_000


@dataclass(frozen=True)
class TextModel:
    """The part of a model that reads text, and how both parts are brought together.

    Attributes:
        layout: who saved the weights, which tells the names of their tensors.
        family: "clip": a text's last token is read, causal attention; "siglip": the last place, attention to all.
        words: size of the vocabulary.
        context: tokens of a text; longer ones are cut.
        width, layers, heads, hidden: of the transformer.
        joint: width of the space in which pictures and text are compared.
        activation: "gelu", "gelu_tanh" or "quick_gelu".
        epsilon: of the layer normalisation.
    """

    layout: Literal["transformers", "open_clip"]
    family: str
    words: int
    context: int
    width: int
    layers: int
    heads: int
    hidden: int
    joint: int
    activation: str
    epsilon: float

    def image_tensors(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights of the image part, by names that timm knows."""
        from photovision.models.text_tensors import image_tensors

        if self.layout == "open_clip":  # timm knows the names
            return {name: value for name, value in tensors.items() if name.startswith("visual.")}
        return image_tensors(tensors, self.family)


def is_text_model(folder: Path) -> bool:
    """Whether a folder describes a model of pictures and text."""
    if (folder / OPEN_CLIP).is_file():
        return True
    try:
        return bounded_json(folder / "config.json").get("model_type") in FAMILIES
    except ModelError:
        return False


def read_text_folder(folder: Path) -> WeightsFolder:
    """Check a folder of such a model; raises ModelError where it is damaged, or of a kind that is not read."""
    import timm

    from photovision.models.weights_folder import WeightsFolder, check_args, check_file

    path, weights = folder / "config.json", folder / "model.safetensors"
    theirs = path.is_file() and bounded_json(path).get("model_type") in FAMILIES
    if not theirs:
        path = folder / OPEN_CLIP
        weights = folder / OPEN_CLIP_WEIGHTS if (folder / OPEN_CLIP_WEIGHTS).is_file() else weights
    try:
        found = _of_transformers(path) if theirs else _of_open_clip(path)
        architecture, args, preprocess, text, outputs = found
        if not _is_possible(text) or not timm.is_model(architecture):  # timm takes other names for orders to download
            raise ValueError(architecture)
    except (TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError, UsageError):
        raise ModelError(f"{path} has numbers or texts that no such network can have") from None
    name, origin = folder.resolve().name, "a local folder"
    file, licence = check_file(weights), stated_licence(folder)
    args = check_args(args, path)
    return WeightsFolder(name, folder, file, architecture, args, preprocess, outputs, licence, origin, "", text)


def _is_possible(text: TextModel) -> bool:
    numbers = (text.context, text.width, text.heads, text.hidden, text.joint)
    whole = all(isinstance(value, int) and 1 <= value <= _MAX_NUMBER for value in numbers)
    return whole and 1 <= text.layers <= MAX_PARTS and 1 <= text.words <= _MAX_WORDS and 0 < text.epsilon < 1


Read = tuple[str, dict[str, Any], Preprocess, TextModel, int]
_COMMON = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "intermediate_size": 3072}
_CLIP = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_CLIP_TEXT = {"num_attention_heads": 8, "hidden_size": 512, "intermediate_size": 2048, "vocab_size": 49408}
_SIGLIP = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
_DEFAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clip": ({**_COMMON, **_CLIP, **_CLIP_TEXT, "max_position_embeddings": 77}, {**_COMMON, **_CLIP, "patch_size": 32}),
    "siglip": (
        {**_COMMON, **_SIGLIP, "vocab_size": 32000, "max_position_embeddings": 64},
        {**_COMMON, **_SIGLIP, "patch_size": 16},
    ),
}
"""What transformers leaves out of config.json, of text and of pictures."""


def _of_transformers(path: Path) -> Read:
    config = bounded_json(path)
    family = str(config["model_type"])
    words, seen = _DEFAULTS[family]
    words, seen = {**words, **config["text_config"]}, {"image_size": 224, **seen, **config["vision_config"]}
    clip = family == "clip"
    joint: int = config.get("projection_dim", 512) if clip else words.get("projection_size", words["hidden_size"])
    if seen["layer_norm_eps"] != _DEFAULTS[family][1]["layer_norm_eps"]:
        raise ValueError(seen)
    text = TextModel(
        "transformers", family, words["vocab_size"], words["max_position_embeddings"], words["hidden_size"],
        words["num_hidden_layers"], words["num_attention_heads"], words["intermediate_size"], joint,
        _ACTIVATIONS[words["hidden_act"]], words["layer_norm_eps"],
    )  # fmt: skip
    args = _vision_args(
        seen["patch_size"], seen["hidden_size"], seen["num_hidden_layers"], seen["num_attention_heads"],
        seen["intermediate_size"], _ACTIVATIONS[seen["hidden_act"]],
    )  # fmt: skip
    beside = path.with_name("preprocessor_config.json")
    stated = bounded_json(beside) if beside.is_file() else {}
    preprocess = _preprocess(stated, "image_mean", "image_std", seen["image_size"], family)
    architecture, args = _architecture(family), {**args, "img_size": seen["image_size"]}
    return architecture, args, preprocess, text, joint if clip else 0


def _of_open_clip(path: Path) -> Read:
    config = bounded_json(path)
    model = config["model_cfg"]
    words, seen = model["text_cfg"], model["vision_cfg"]
    if "hf_model_name" in words or isinstance(seen.get("layers"), list):  # another text part, or a ResNet
        raise ModelError(f"{path} describes a model of pictures and text of a kind that is not read here")
    family = "siglip" if words.get("no_causal_mask") else "clip"
    joint: int = model["embed_dim"]
    width, size = words.get("width", 512), seen.get("image_size", 224)
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    text = TextModel(
        "open_clip", family, words.get("vocab_size", 49408), words.get("context_length", 77), width,
        words.get("layers", 12), words.get("heads", 8), int(width * words.get("mlp_ratio", 4)), joint, activation,
        words.get("norm_kwargs", {}).get("eps", 1e-5),
    )  # fmt: skip
    preprocess = _preprocess(config.get("preprocess_cfg", {}), "mean", "std", size, family)
    if "timm_model_name" not in seen:
        wide = seen.get("width", 768)
        heads, hidden = wide // seen.get("head_width", 64), int(wide * seen.get("mlp_ratio", 4))
        args = _vision_args(seen.get("patch_size", 16), wide, seen.get("layers", 12), heads, hidden, activation)
        return _architecture("clip"), {**args, "img_size": size}, preprocess, text, joint
    joins = seen.get("timm_proj") or "none"
    if joins not in ("none", "linear"):
        raise ModelError(f"{path} joins pictures and text by a network ({str(joins)[:40]}): that is not read here")
    return str(seen["timm_model_name"]), {"img_size": size}, preprocess, text, joint if joins == "linear" else 0


def _architecture(family: str) -> str:
    return "vit_base_patch16_clip_224" if family == "clip" else "vit_base_patch16_siglip_224"


def _vision_args(patch: int, width: int, depth: int, heads: int, hidden: int, activation: str) -> dict[str, Any]:
    sizes = {"patch_size": patch, "embed_dim": width, "depth": depth, "num_heads": heads}
    return {**sizes, "mlp_ratio": hidden / width, "act_layer": activation}


def _preprocess(stated: Mapping[str, Any], mean: str, std: str, side: int, family: str) -> Preprocess:
    from photovision.models.weights_folder import three

    usual = (_CLIP_MEAN, _CLIP_STD) if family == "clip" else (_HALF, _HALF)
    bicubic = stated.get("resample", 3) == 3 and stated.get("interpolation", "bicubic") == "bicubic"
    colours = three(stated.get(mean) or usual[0]), three(stated.get(std) or usual[1])
    return Preprocess((side, side), "squash", 1.0, "bicubic" if bicubic else "bilinear", *colours)
