"""Checkpoints: the whole state of a run in one file, replaced atomically, read without unpickling objects."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from photovision.core.errors import ModelError
from photovision.core.files import write_bytes


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; the file is the old or the new one, never half of one."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any] | None:
    """Read what `save` wrote, or None where there is nothing; raises ModelError for a damaged file."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything here, from EOFError to unpickling errors
        raise ModelError(
            f"the checkpoint {path} is damaged ({type(error).__name__}): delete it and train again"
        ) from None
    if not isinstance(state, dict):
        raise ModelError(f"the checkpoint {path} holds something else: delete it and train again")
    return state
