"""The work folder of a training: its finished steps, on disk beside its output, so that nothing is computed twice.

Killed at any moment and started again with the same arguments and images, a training resumes. Every result is written
atomically under a name; asking for the same name again gives the stored one. What another version of Photovision, or
another training, left there is discarded, and the caller can say so. That no other training uses the folder meanwhile
is ensured by `photovision.core.folder.reserved`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from photovision.core.errors import UsageError
from photovision.core.files import beside, explained, put, sync, write_json
from photovision.core.output import placed
from photovision.core.progress import Listener, Progress

VERSION = 3
"""Of what a work folder holds; folders of version 0.1 of Photovision have none."""


class WorkDir:
    """A folder of finished steps.

    Attributes:
        folder: its path.
        resumed: whether it holds steps of this very training.
        discarded: why unfinished work that was found there is not taken up, as a clause; "" where there was none.

    Args:
        output: the bundle that is being made; the work lies beside it as `.NAME.work`.
        arguments: JSON-ready; another value means another training, and the old work is discarded.
        accelerator: of several processes the main one computes, the others wait and read.
        decisions: values of an earlier training that are to be used again instead of being measured.
        resume: whether work of this very training is taken up; else it is discarded.
    """

    def __init__(
        self,
        output: Path,
        arguments: dict[str, Any],
        accelerator: Accelerator,
        decisions: dict[str, Any] | None = None,
        *,
        resume: bool = True,
    ) -> None:
        self.folder = beside(placed(output), "work")
        self.accelerator = accelerator
        self.resumed, self.discarded = False, ""
        self._given = decisions or {}
        self.decisions: dict[str, Any] = {}
        self._key = hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).hexdigest()
        if accelerator.is_main_process:
            self._open(resume)
        accelerator.wait_for_everyone()

    def _open(self, resume: bool) -> None:
        found = self._note()
        self.resumed = resume and found == self._own
        if self.resumed:
            return
        if found is not None:
            older = not isinstance(found, dict) or found.get("version") != VERSION
            self.discarded = "its options or images differ" if resume else "it was asked to start again"
            self.discarded = "another version of Photovision began it" if older else self.discarded
        with explained(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        write_json(self._mark, self._own)

    def announce(self, listener: Listener) -> None:
        """Report whether unfinished work is resumed, or is discarded and why."""
        if self.resumed:
            listener(Progress("resuming", 0, 1, f"unfinished work found in {self.folder}"))
        elif self.discarded:
            line = (
                f"the unfinished work in {self.folder} is discarded, since {self.discarded}: the training starts again"
            )
            listener(Progress("starting again", 0, 1, line))

    @property
    def _mark(self) -> Path:
        return self.folder / "arguments.json"

    @property
    def _own(self) -> dict[str, Any]:
        return {"version": VERSION, "key": self._key}

    def _note(self) -> Any:
        """What the folder says whose work it holds; None where there is no such note."""
        try:
            return json.loads(self._mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def value(self, name: str, compute: Callable[[], Any]) -> Any:
        """A decision, JSON-ready, computed once; it goes into the bundle, so that the training can be repeated."""
        path = self.folder / f"{name}.json"
        if self.missing(path):
            value = self._given[name] if name in self._given else compute()
            write_json(path, value)
        self.accelerator.wait_for_everyone()
        self.decisions[name] = json.loads(path.read_text(encoding="utf-8"))
        return self.decisions[name]

    def array(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """An array, computed once; read as a memory map, so that large ones need no memory."""

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, compute(), allow_pickle=False)

        stored: np.ndarray = np.load(self.file(f"{name}.npy", write), mmap_mode="r", allow_pickle=False)
        return stored

    def rows(
        self, name: str, shape: tuple[int, ...], dtype: str, parts: Callable[[], Iterable[np.ndarray]]
    ) -> np.ndarray:
        """An array that does not fit into memory, written part by part, once; read as a memory map.

        It is not written through a memory map: a disk that fills up kills the process there, without a word.

        Args:
            name: of the array.
            shape: (N, ...) of the whole.
            dtype: such as "<f2".
            parts: gives arrays (n, ...) that together are the whole.
        """

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
                for part in parts():
                    file.write(np.ascontiguousarray(part, dtype).tobytes())

        stored: np.ndarray = np.load(self.file(f"{name}.npy", write), mmap_mode="r", allow_pickle=False)
        return stored

    def file(self, name: str, write: Callable[[Path], None]) -> Path:
        """A file written by `write(path)`, once."""
        path = self.folder / name
        if self.missing(path):
            part = path.with_name(f"part-{name}")
            with explained(path):
                write(part)
                sync(part)
                put(part, path)
        self.accelerator.wait_for_everyone()
        return path

    def missing(self, path: Path) -> bool:
        """Whether this process is to write a file of the folder.

        Raises UsageError where another training has taken the folder, on a file system that cannot lock.
        """
        if not self.accelerator.is_main_process:
            return False
        if self._note() != self._own:
            raise UsageError(f"another training has taken {self.folder}: start this one again, with another --output")
        return not path.is_file()

    def close(self) -> None:
        """Remove everything: the bundle is written."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            shutil.rmtree(self.folder, ignore_errors=True)
