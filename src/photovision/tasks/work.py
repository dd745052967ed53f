"""Work: the unfinished state of a training, on disk beside its output, so that nothing done is done twice.

Killed at any moment and started again with the same arguments and pictures, a training continues where it was. Every
result is written atomically under a name; asking for the same name again gives the stored one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from photovision.core.errors import UsageError
from photovision.core.files import explained, write_json


class Work:
    """A folder of finished steps.

    Args:
        output: the bundle that is being made; the work lies beside it as `.NAME.work`.
        arguments: JSON-ready; another value means another training, and the old work is discarded.
        accelerator: of several processes the main one computes, the others wait and read.
        decisions: values of an earlier training that are to be used again instead of being measured.
    """

    def __init__(
        self, output: Path, arguments: dict[str, Any], accelerator: Accelerator, decisions: dict[str, Any] | None = None
    ) -> None:
        self.folder = output.with_name(f".{output.name}.work")
        self.accelerator = accelerator
        self.resumed = False
        self._given = decisions or {}
        self.decisions: dict[str, Any] = {}
        key = hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).hexdigest()
        if accelerator.is_main_process:
            self._open(output, key)
        accelerator.wait_for_everyone()

    def _open(self, output: Path, key: str) -> None:
        foreign = output.exists() and not (output / "bundle.json").is_file()
        if foreign and (not output.is_dir() or any(output.iterdir())):
            raise UsageError(f"{output} exists and is not a Photovision model: choose another --output")
        mark = self.folder / "arguments.json"
        self.resumed = mark.is_file() and json.loads(mark.read_text()) == key
        if not self.resumed:
            with explained(self.folder):
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True)
            write_json(mark, key)

    def value(self, name: str, compute: Callable[[], Any]) -> Any:
        """A decision, JSON-ready, computed once; it goes into the bundle, so that the training can be repeated."""
        path = self.folder / f"{name}.json"
        if self.accelerator.is_main_process and not path.is_file():
            write_json(path, self._given[name] if name in self._given else compute())
        self.accelerator.wait_for_everyone()
        self.decisions[name] = json.loads(path.read_text(encoding="utf-8"))
        return self.decisions[name]

    def array(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """An array, computed once; read as a memory map, so that large ones need no memory."""
        path = self.folder / f"{name}.npy"
        if self.accelerator.is_main_process and not path.is_file():
            part = path.with_suffix(".part.npy")
            with explained(path):
                np.save(part, compute(), allow_pickle=False)
                part.replace(path)
        self.accelerator.wait_for_everyone()
        stored: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return stored

    def file(self, name: str, write: Callable[[Path], None]) -> Path:
        """A file written by `write(path)`, once."""
        path = self.folder / name
        if self.accelerator.is_main_process and not path.is_file():
            part = path.with_name(f"part-{name}")
            with explained(path):
                write(part)
                part.replace(path)
        self.accelerator.wait_for_everyone()
        return path

    def close(self) -> None:
        """Remove everything: the bundle is written."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            shutil.rmtree(self.folder, ignore_errors=True)
