"""A classifier made of class names, without pictures to learn from: the text part of a CLIP or SigLIP names directions.

After Radford et al. 2021 and Zhai et al. 2023. Every class is the mean direction of a few sentences; the network of
pictures ends with the similarity to them. One more class, NOTHING, takes what is no more like any of the classes than
like a sentence that says nothing, by the margin that `calibrate` fitted for the weights. The bundle predicts without
text, without torch, and all verbs know it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.folder import new_folder
from photovision.core.system import cache_folder
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters, create
from photovision.models.export import Decider, check_parity, classifier, export_graph
from photovision.models.import_checkpoint import drawn_images
from photovision.models.text_encoder import embed_texts
from photovision.models.weights_folder import WeightsFolder
from photovision.runtime.bundle import read_bundle
from photovision.runtime.bundle_info import describe_model, write_info
from photovision.tasks.classify.export_bundle import write_network
from photovision.tasks.classify.none_of_these import read_margin
from photovision.tasks.classify.recognizer import NOTHING, Recognizer

PROMPTS = {
    "clip": ("a photo of a {}.", "a photo of the {}.", "a photo of {}.", "a close-up photo of a {}."),
    "siglip": ("This is a photo of {}.",),
}
_EMPTY = {
    "clip": ("a photo.", "a photo of something.", "an image.", "a photo of something else."),
    "siglip": ("This is a photo.", "This is a photo of something."),
}
_MADE = 1  # counts up when the same names would become another bundle
_MOST = 1000


def zero_shot(
    weights: str | Path, classes: Sequence[str], *, prompts: Sequence[str] = (), output: str | Path | None = None
) -> Recognizer:
    """A classifier of named classes that has seen no picture of them.

    Args:
        weights: a name under which weights of a CLIP or SigLIP are kept, or their folder.
        classes: names, at least one.
        prompts: sentences with {} for the name; default: those that suit the weights.
        output: folder of the model; default: in the user's cache, where the same names are found again.

    Raises:
        UsageError: the weights are not here or read no text, or names or prompts are wrong.
        ModelError: the weights are damaged.
        MissingExtra: `tokenizers` is not installed.
        ExportError: the graph does not decide like the network.
    """
    names = _names(classes)
    source = choose(str(weights), "auto", None)
    found = source.folder
    if found is None or found.text is None:
        raise UsageError(
            f"{weights} does not read text: choose weights of a CLIP or SigLIP, see docs/how-to/weights.md"
        )
    sentences = tuple(prompts) or PROMPTS[found.text.family]
    if any(sentence.count("{}") != 1 for sentence in sentences):
        raise UsageError("a prompt should have {} once, where the name of the class goes: 'a photo of a {}.'")
    known = read_margin(found.sha256)
    place = Path(output) if output is not None else _place(found, names, sentences, known)
    if output is not None or not (place / "bundle.json").is_file():
        _write(source, found, names, sentences, place, known)
    return Recognizer(read_bundle(place))


def _names(classes: Sequence[str]) -> tuple[str, ...]:
    names = tuple(" ".join(name.split()) for name in classes)
    if not names or not all(names) or len(set(names)) != len(names) or len(names) > _MOST:
        raise UsageError(f"classes should be 1 to {_MOST:,} different names, got {', '.join(names)[:80] or 'none'}")
    if NOTHING in names:
        raise UsageError(f"the class '{NOTHING}' is always there: leave it out")
    return (*names, NOTHING)


def _place(
    found: WeightsFolder, names: Sequence[str], sentences: Sequence[str], known: Mapping[str, Any] | None
) -> Path:
    margin = [known["margin"]] if known else []
    key = json.dumps([_MADE, found.sha256, list(names), list(sentences), _EMPTY, *margin])
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return cache_folder() / "models" / digest / f"zero-shot-{found.name.replace('/', '--')}"


def _write(
    source: Backbone,
    found: WeightsFolder,
    names: tuple[str, ...],
    sentences: Sequence[str],
    place: Path,
    known: Mapping[str, Any] | None,
) -> None:
    import torch

    assert found.text is not None
    source = source.comparing_text(found.text.joint if found.outputs else 0)
    network = create(source, len(names)).eval()
    groups = [[sentence.format(name.replace("_", " ")) for sentence in sentences] for name in names[:-1]]
    directions, scale = embed_texts(found, [*groups, _EMPTY[found.text.family]])
    layer = classifier(network)
    with torch.no_grad():
        layer.weight.copy_(scale * directions)
        layer.bias.zero_()
        layer.bias[names.index(NOTHING)] = known["margin"] if known else 0.0
    decider = Decider(network, source.preprocess, 1.0, multilabel=False)
    size = source.preprocess.size
    sizes = {"params": count_parameters(network), "macs": count_macs(network, size)}
    with new_folder(place, "model", [found.folder]) as folder:
        write_network(network, source, names, folder)
        export_graph(decider, size, decider.outputs, folder / "model.onnx")
        parity = check_parity(decider, folder / "model.onnx", drawn_images(size))
        info = describe_model(
            "classify",
            names,
            source.preprocess,
            backbone={**source.describe(), **sizes},
            chosen="zero-shot",
            training={"by": found.origin, "sha256": found.sha256},
            data={"source": "text", "counts": {}},
            parity={**parity.to_json(), "precision": "f32"},  # nobody's images are here to show whether less would do
            licences=[entry for entry in source.ledger() if "user" not in entry.licence],
            facts=_facts(sentences, found.text.family, known),
        )
        write_info(folder, info)


def _facts(sentences: Sequence[str], family: str, known: Mapping[str, Any] | None) -> dict[str, Any]:
    margin = (
        f"When it says '{NOTHING}' was fitted to {known['pictures']:,} pictures of other names."
        if known
        else f"When it says '{NOTHING}' rests on sentences alone: 'photovision calibrate' fits it to labelled pictures."
    )
    return {
        "temperature": 1.0,
        "multilabel": False,
        "thresholds": None,
        "zero_shot": {
            "prompts": list(sentences),
            "nothing": list(_EMPTY[family]),
            **({"margin": dict(known)} if known else {}),
        },
        "warnings": [
            "This model was made of class names and has seen no picture of them: how often it is right, and whether its"
            " confidence can be relied on, is not known before 'photovision evaluate' on labelled pictures.",
            margin,
        ],
    }
