"""Recall: the training pictures that a model remembers, where they still lie in the folder of the page."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.app.web.workspace import State, within
from photovision.core.errors import PhotovisionError, UsageError

if TYPE_CHECKING:
    from photovision.runtime.model import OnnxModel
    from photovision.runtime.neighbours import NeighbourIndex

TRIED, ALIKE = 5, 0.97
"""How many remembered pictures are looked for in a folder, and how like its embedding one that is there has to be."""


class Recall:
    """Where the training pictures of each model lie, found out once.

    A bundle keeps names and embeddings, no place. A folder is taken for the right one where pictures of these names are
    in it and the model sees in them what it remembers: names such as cat/1.jpg are common.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._roots: dict[tuple[str, int], Path | None] = {}
        self._guard = threading.Lock()

    def picture(self, model: str, id: str) -> Path | None:
        """The file of a training picture; None where it is not found, or lies outside the folder."""
        root = self.root(model)
        if root is None:
            return None
        try:
            path = within(root, id)
        except UsageError:  # a bundle from a stranger may hold any name
            return None
        return path if path.is_file() else None

    def root(self, model: str) -> Path | None:
        """The folder that the names of a model's training pictures begin in; None where there is none."""
        with self._guard:
            key = model, self._state.stamp(model)
            if key not in self._roots:
                folders = dict.fromkeys(self._state.data.values())
                if self._state.folder is not None:
                    folders[self._state.folder] = None
                with self._state.using(model) as opened:
                    self._roots[key] = next((place for place in folders if _fits(opened, place)), None)
            return self._roots[key]


def _fits(model: OnnxModel[Any], folder: Path) -> bool:
    known: NeighbourIndex | None = getattr(model, "references", None)
    if known is None or not known.ids:
        return False
    rows = np.unique(np.linspace(0, len(known.ids) - 1, TRIED).astype(int)).tolist()
    found = [row for row in rows if _there(folder, known.ids[row])]
    if 2 * len(found) < len(rows):
        return False
    try:
        seen = np.stack([model.preprocess.load(folder / known.ids[row]) for row in found[:2]])
    except PhotovisionError:
        return False
    embeddings = model.session.run(seen)["embedding"].astype(np.float32)
    remembered = known.embeddings[found[:2]].astype(np.float32)
    lengths = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(remembered, axis=1)
    return bool(((embeddings * remembered).sum(1) >= ALIKE * lengths).all())


def _there(folder: Path, id: str) -> bool:
    try:
        return within(folder, id).is_file()
    except (UsageError, OSError):
        return False
