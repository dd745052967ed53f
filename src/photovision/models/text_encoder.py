"""The text part of a CLIP or SigLIP: sentences become directions in the space that pictures have, too.

It is needed while a model is made of class names, and not when that model predicts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from photovision.core.errors import MissingExtra, ModelError, UsageError
from photovision.models.hub_folder import bounded_json
from photovision.models.text_folder import TOKENIZER, TextModel
from photovision.models.text_tensors import text_tensors
from photovision.models.weights_folder import WeightsFolder

_LARGEST_TOKENIZER = 64 * 2**20


def _quick_gelu(values: torch.Tensor) -> torch.Tensor:
    return values * torch.sigmoid(1.702 * values)


_ACTIVATIONS: dict[str, Any] = {
    "gelu": partial(functional.gelu),
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "quick_gelu": _quick_gelu,
}


class TextEncoder(nn.Module):
    """Tokens int64 (N, T) and the place of each text's last token (N,) -> float32 (N, D), not normalised.

    Args:
        text: what it is built from.
    """

    def __init__(self, text: TextModel) -> None:
        super().__init__()
        self.text = text
        self.tokens = nn.Embedding(text.words, text.width)
        self.position = nn.Parameter(torch.zeros(text.context, text.width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                text.width,
                text.heads,
                text.hidden,
                dropout=0.0,
                activation=_ACTIVATIONS[text.activation],
                layer_norm_eps=text.epsilon,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(text.layers)
        )
        self.norm = nn.LayerNorm(text.width, eps=text.epsilon)
        self.projection = nn.Linear(text.width, text.joint)

    def forward(self, tokens: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Read texts."""
        length = tokens.shape[1]
        value = self.tokens(tokens) + self.position[:length]
        mask = None
        if self.text.family == "clip":  # a token sees those before it only
            mask = torch.full((length, length), -torch.inf, device=tokens.device).triu(1)
        for block in self.blocks:
            value = block(value, src_mask=mask)
        read = ends if self.text.family == "clip" else torch.full_like(ends, length - 1)
        found: torch.Tensor = self.projection(self.norm(value)[torch.arange(len(tokens)), read])
        return found


def read_text_encoder(found: WeightsFolder) -> tuple[TextEncoder, float]:
    """The text part of a model with its weights, and the factor by which similarities become logits.

    Raises:
        UsageError: these are weights of a network of images alone.
        ModelError: the weights do not fit.
    """
    from safetensors.torch import load_file

    if found.text is None:
        raise UsageError(f"{found.name} does not read text: choose a CLIP or SigLIP, see docs/how-to/weights.md")
    with torch.device("meta"):
        encoder = TextEncoder(found.text)
    if sum(value.numel() for value in encoder.parameters()) > found.file.stat().st_size:
        raise ModelError(f"{found.file} is too small for the text part that is described")
    tensors = load_file(found.file)
    try:
        encoder.load_state_dict(text_tensors(tensors, found.text.layout), assign=True)
        scale = float(tensors["logit_scale"].float().exp())
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"the text part of {found.name} does not fit its description: {reason}") from None
    return encoder.eval(), scale


class Tokenizer:
    """Sentences -> tokens, by the tokenizer.json beside the weights.

    Args:
        folder: of the weights.
        text: the part that reads them.

    Raises:
        MissingExtra: the library `tokenizers` is not installed.
        ModelError: the file is missing or damaged.
    """

    def __init__(self, folder: Path, text: TextModel) -> None:
        if find_spec("tokenizers") is None:
            raise MissingExtra("tokenizers", "classification by text")
        from tokenizers import Tokenizer as Reader

        path = folder / TOKENIZER[0]
        if not path.is_file():
            raise ModelError(f"{folder} has no {path.name}, which text needs: copy it from where the weights come from")
        if path.stat().st_size > _LARGEST_TOKENIZER:
            raise ModelError(f"{path} should have at most 64 MiB, it has {path.stat().st_size:,} bytes")
        try:
            self.reader = Reader.from_file(str(path))
        except Exception as error:  # tokenizers raises plain Exceptions
            raise ModelError(f"{path} is damaged ({str(error)[:120]}): copy it again") from None
        self.reader.no_padding()
        self.reader.enable_truncation(text.context)
        self.text = text
        self.padding = self._padding(folder)

    def _padding(self, folder: Path) -> int:
        """The token that fills up a text; one that sees all places learned with a certain one."""
        if self.text.family == "clip":
            return 0
        path = folder / TOKENIZER[1]
        stated = bounded_json(path).get("pad_token") if path.is_file() else None
        name = stated.get("content") if isinstance(stated, dict) else stated
        found = self.reader.token_to_id(name) if isinstance(name, str) else None
        if found is None:
            raise ModelError(f"{path} should name the pad_token of its tokenizer: copy it again")
        return int(found)

    def __call__(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """int64 (N, T) and (N,): tokens, and the place of each text's last one."""
        plain = [canonical(text) if self.text.family == "siglip" else text for text in texts]
        rows = [encoding.ids for encoding in self.reader.encode_batch(plain)]
        if any(not row or max(row) >= self.text.words for row in rows):
            raise ModelError("the tokenizer does not fit the weights: it knows other words")
        filled = [row + [self.padding] * (self.text.context - len(row)) for row in rows]
        return torch.tensor(filled), torch.tensor([len(row) - 1 for row in rows])


def canonical(text: str) -> str:
    """A text as SigLIP learned from them: small letters, no punctuation, single spaces.

    Example:
        >>> canonical("A photo of a  Granny-Smith apple.")
        'a photo of a grannysmith apple'
    """
    return " ".join(re.sub(r"[^\w\s]", "", text.replace("_", " ").lower()).split())


@torch.no_grad()
def embed_texts(found: WeightsFolder, groups: Sequence[Sequence[str]]) -> tuple[torch.Tensor, float]:
    """One direction for each group of sentences, their mean: float32 (N, D) of unit norm; and the factor of logits."""
    encoder, scale = read_text_encoder(found)
    assert found.text is not None
    tokenizer = Tokenizer(found.folder, found.text)
    rows = []
    for group in groups:
        directions = functional.normalize(encoder(*tokenizer(group)), dim=1)
        rows.append(functional.normalize(directions.mean(0), dim=0))
    return torch.stack(rows), scale
