"""What is particular to each task: how a picture goes through the network, and what the answer looks like."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from photovision.core.errors import ModelError
from photovision.engine.load import load
from photovision.runtime.bundle import read_bundle
from photovision.runtime.session import Engine
from photovision.service.kinds.kind import Kind

KINDS = {
    "classify": "photovision.service.kinds.classes:Classifying",
    "detect": "photovision.service.kinds.boxes:Detecting",
    "segment": "photovision.service.kinds.masks:Segmenting",
}
"""Task of a bundle -> what the service needs to know of such models."""


def open_kind(folder: Path, engine: Engine) -> Kind:
    """Open a bundle of any task that is served, and read all that it answers by: its files may be replaced later.

    Raises:
        ModelError: it is missing, foreign, damaged or too new, or no service answers for such models.
        MissingExtra: a library that such models need is not installed.
    """
    task = read_bundle(folder).task
    if task not in KINDS:
        raise ModelError(f"{folder} is a model for '{task}', and a service answers for {', '.join(KINDS)}")
    module, name = KINDS[task].split(":")
    found: Kind = getattr(import_module(module), name)(load(folder, engine=engine))
    return found
