"""How other programs use a bundle, as code for the model card: the same calibrated answers, without Photovision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.engine.card_text import card_text_of, row_of

FOLDER = "this-folder"
"""What stands for the bundle's folder."""

_ONNX = """import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("{folder}/model.onnx")
facts = session.get_modelmeta().custom_metadata_map
classes, height_width = json.loads(facts["classes"]), json.loads(facts["preprocess"])["size"]
picture = ImageOps.exif_transpose(Image.open("picture.jpg")).convert("RGB")
{fitted}
images = np.asarray(picture)[np.newaxis]  # uint8 (1, height, width, 3); mean and std are applied in the graph
names = [output.name for output in session.get_outputs()]
outputs = dict(zip(names, session.run(names, {{"images": images}})))
{answer}"""

_TIMM = """import timm
import torch
from PIL import Image

network = timm.create_model("local-dir:{folder}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_data_config(model=network))
with torch.no_grad():
    logits = network(transform(Image.open("picture.jpg").convert("RGB")).unsqueeze(0))
probs = logits.{link}[0]  # calibrated: the last layer holds the temperature
print(network.pretrained_cfg["label_names"][probs.argmax()], float(probs.max()))"""

_TRANSFORMERS = """from transformers import pipeline

classify = pipeline("image-classification", "{folder}")
print(classify("picture.jpg"{more}))"""

_JAVASCRIPT = """import * as ort from "onnxruntime-node"; // in a browser: onnxruntime-web, and pixels from a canvas
import sharp from "sharp";

const session = await ort.InferenceSession.create("{folder}/model.onnx");
const pixels = await sharp("picture.jpg").rotate().toColourspace("srgb").removeAlpha()
  .resize({width}, {height}, {{ fit: "{fit}", kernel: "{kernel}" }}).raw().toBuffer();
const images = new ort.Tensor("uint8", pixels, [1, {height}, {width}, 3]);
const outputs = await session.run({{ images }});
console.log({output});"""


def other_programs(info: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Program -> (language, code), from the contents of bundle.json; none for a graph that takes more than images."""
    row, preprocess, words = row_of(info), info.get("preprocess") or {}, card_text_of(info)
    if row is None or not row.outputs or len(preprocess.get("size") or ()) != 2:
        return {}
    found = {"onnxruntime": ("python", _onnx(preprocess, words.pipeline))}
    multilabel = bool(info.get("multilabel"))
    if words.timm:
        link = "sigmoid()" if multilabel else "softmax(1)"
        found["timm"] = "python", _TIMM.format(folder=FOLDER, link=link)
        more = ', function_to_apply="sigmoid"' if multilabel else ""
        found["transformers"] = "python", _TRANSFORMERS.format(folder=FOLDER, more=more)
    found["JavaScript"] = "javascript", _javascript(row.outputs, preprocess)
    return found


def _onnx(preprocess: Mapping[str, Any], pipeline: str) -> str:
    kernel = str(preprocess.get("interpolation", "bilinear")).upper()
    size = "height_width[::-1]"
    fitted = f"picture = picture.resize({size}, Image.Resampling.{kernel})"
    if preprocess.get("fit") == "crop":
        share = float(preprocess.get("crop", 1.0))
        fitted = f"picture = ImageOps.fit(picture, {size}, Image.Resampling.{kernel}, bleed={(1 - share) / 2:.6g})"
    answer = "print({name: values.shape for name, values in outputs.items()})"
    if pipeline == "image-classification":
        answer = 'probs = outputs["probs"][0]\nprint(classes[probs.argmax()], float(probs.max()))'
    return _ONNX.format(folder=FOLDER, fitted=fitted, answer=answer)


def _javascript(outputs: tuple[str, ...], preprocess: Mapping[str, Any]) -> str:
    height, width = preprocess["size"]
    return _JAVASCRIPT.format(
        folder=FOLDER,
        height=int(height),
        width=int(width),
        fit="cover" if preprocess.get("fit") == "crop" else "fill",
        kernel="cubic" if preprocess.get("interpolation") == "bicubic" else "linear",
        output=", ".join(f"outputs.{name}.data" for name in outputs[:2]),
    )
