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

from photovision.core.errors import ModelError
from photovision.core.preprocess import Preprocess
from photovision.models.hub_folder import bounded_json, is_bounded, stated_licence

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
_MAX_WORDS = 1_000_000


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
    from photovision.models.weights_folder import WeightsFolder, check_file

    weights = folder / "model.safetensors"
    if (folder / "config.json").is_file() and bounded_json(folder / "config.json").get("model_type") in FAMILIES:
        architecture, args, preprocess, text, outputs = _of_transformers(folder)
    else:
        architecture, args, preprocess, text, outputs = _of_open_clip(folder)
        weights = folder / OPEN_CLIP_WEIGHTS if (folder / OPEN_CLIP_WEIGHTS).is_file() else weights
    file, licence = check_file(weights), stated_licence(folder)
    name, origin = folder.resolve().name, "a local folder"
    return WeightsFolder(name, folder, file, architecture, args, preprocess, outputs, licence, origin, "", text)


Read = tuple[str, dict[str, Any], Preprocess, TextModel, int]


def _of_transformers(folder: Path) -> Read:
    path = folder / "config.json"
    config = bounded_json(path)
    family = str(config["model_type"])
    words, seen = (dict(config.get(name) or {}) for name in ("text_config", "vision_config"))
    common = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "intermediate_size": 3072}
    small = {"num_attention_heads": 8, "hidden_size": 512, "intermediate_size": 2048, "vocab_size": 49408}
    own: dict[str, Any] = (
        {**small, "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
        if family == "clip"
        else {
            "vocab_size": 32000,
            "max_position_embeddings": 64,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        }
    )
    act_eps = {name: own[name] for name in ("hidden_act", "layer_norm_eps")}
    words = {**common, **own, **words}
    seen = {**common, "image_size": 224, "patch_size": 32 if family == "clip" else 16, **act_eps, **seen}
    joint = (
        config.get("projection_dim", 512) if family == "clip" else words.get("projection_size", words["hidden_size"])
    )
    _check_numbers(path, words, seen, {"projection_dim": joint})
    epsilon = act_eps["layer_norm_eps"]
    if seen["layer_norm_eps"] != epsilon or {words["hidden_act"], seen["hidden_act"]} - set(_ACTIVATIONS):
        raise ModelError(f"{path} describes a {family} with an activation or normalisation that is not read here")
    text = TextModel(
        "transformers", family, words["vocab_size"], words["max_position_embeddings"], words["hidden_size"],
        words["num_hidden_layers"], words["num_attention_heads"], words["intermediate_size"], joint,
        _ACTIVATIONS[words["hidden_act"]], words["layer_norm_eps"],
    )  # fmt: skip
    args = _vision_args(
        seen["patch_size"], seen["hidden_size"], seen["num_hidden_layers"], seen["num_attention_heads"],
        seen["intermediate_size"], _ACTIVATIONS[seen["hidden_act"]],
    )  # fmt: skip
    told = folder / "preprocessor_config.json"
    stated = bounded_json(told) if told.is_file() else {}
    preprocess = _preprocess(stated, "image_mean", "image_std", seen["image_size"], family, folder)
    outputs = joint if family == "clip" else 0
    return _architecture(family), {**args, "img_size": seen["image_size"]}, preprocess, text, outputs


def _of_open_clip(folder: Path) -> Read:
    path = folder / OPEN_CLIP
    config = bounded_json(path)
    model = config.get("model_cfg")
    model = dict(model) if isinstance(model, dict) else {}
    words, seen = (dict(model.get(name) or {}) for name in ("text_cfg", "vision_cfg"))
    if "hf_model_name" in words or not isinstance(seen.get("layers", 1), int):  # another text part, or a ResNet
        raise ModelError(f"{path} describes a model of pictures and text of a kind that is not read here")
    size = seen.get("image_size", 224)
    quick = bool(model.get("quick_gelu"))
    family = "siglip" if words.get("no_causal_mask") else "clip"
    width, joint = words.get("width", 512), model.get("embed_dim")
    heads, layers = words.get("heads", 8), words.get("layers", 12)
    epsilon = (words.get("norm_kwargs") or {}).get("eps", 1e-5)
    text = TextModel(
        "open_clip", family, words.get("vocab_size", 49408), words.get("context_length", 77), width, layers, heads,
        int(width * words.get("mlp_ratio", 4)), joint, "quick_gelu" if quick else "gelu", epsilon,
    )  # fmt: skip
    _check_numbers(path, {"vocab_size": text.words, "width": width, "heads": heads, "layers": layers}, seen, vars(text))
    outputs = joint if seen.get("timm_proj") == "linear" or "timm_model_name" not in seen else 0
    if "timm_model_name" in seen:
        architecture, args = str(seen["timm_model_name"])[:100], {"img_size": size}
        if seen.get("timm_proj") not in (None, "", "none", "linear"):
            raise ModelError(
                f"{path} joins pictures and text by a network ({str(seen['timm_proj'])[:40]}): not read here"
            )
    else:
        hidden = int(seen.get("width", 768) * seen.get("mlp_ratio", 4))
        heads = seen.get("width", 768) // seen.get("head_width", 64)
        args = _vision_args(
            seen.get("patch_size", 16),
            seen.get("width", 768),
            seen.get("layers", 12),
            heads,
            hidden,
            "quick_gelu" if quick else "gelu",
        )
        architecture, args = _architecture("clip"), {**args, "img_size": size}
    stated = config.get("preprocess_cfg")
    preprocess = _preprocess(stated if isinstance(stated, dict) else {}, "mean", "std", size, family, folder)
    return architecture, args, preprocess, text, outputs


def _architecture(family: str) -> str:
    return "vit_base_patch16_clip_224" if family == "clip" else "vit_base_patch16_siglip_224"


def _vision_args(patch: int, width: int, depth: int, heads: int, hidden: int, activation: str) -> dict[str, Any]:
    sizes = {"patch_size": patch, "embed_dim": width, "depth": depth, "num_heads": heads}
    return {**sizes, "mlp_ratio": hidden / width, "act_layer": activation}


def _check_numbers(path: Path, *parts: Mapping[str, Any]) -> None:
    for part in parts:
        for name, value in part.items():
            most = _MAX_WORDS if name in ("vocab_size", "words") else 20_000
            if isinstance(value, bool) or not isinstance(value, int):
                continue
            if name.endswith(("_id", "_ids")):
                continue
            if not 1 <= value <= (200 if "layers" in name else most):
                raise ModelError(f"{path} has {str(name)[:40]} {value}, which no such network can have")
        if not is_bounded({name: value for name, value in part.items() if isinstance(value, float | str)}):
            raise ModelError(f"{path} has numbers or texts that no such network can have")


def _preprocess(stated: Mapping[str, Any], mean: str, std: str, side: int, family: str, folder: Path) -> Preprocess:
    from photovision.models.weights_folder import three

    usual = (_CLIP_MEAN, _CLIP_STD) if family == "clip" else (_HALF, _HALF)
    bicubic = stated.get("resample", 3) == 3 and stated.get("interpolation", "bicubic") == "bicubic"
    try:
        colours = three(stated.get(mean) or usual[0]), three(stated.get(std) or usual[1])
        return Preprocess((side, side), "squash", 1.0, "bicubic" if bicubic else "bilinear", *colours)
    except (TypeError, ValueError):
        raise ModelError(f"{folder} should give a mean and a deviation of three colours") from None
