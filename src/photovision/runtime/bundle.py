"""The bundle: a folder that holds a model with all it needs, and is also a valid Hugging Face model repository.

    config.json        timm's description of the network
    model.safetensors  the trained weights
    model.onnx         preprocessing after decoding, network, temperature and softmax in one graph, uint8 in; of a
                       detector its boxes and scores, of a segmenter the probabilities of every place
    bundle.json        this module's schema: classes, preprocessing, calibration, training arguments, figures, licences
    doubt.safetensors  the gate for pictures of something else; references.safetensors: embeddings of training pictures
    training_images.safetensors  digests and hashes by which its training pictures are recognised
    heldout.safetensors  its predictions for pictures that it did not learn from, to notice when pictures in use differ
    validation.safetensors  what its graph gives for labelled held-out pictures, to fit what depends on them again
    README.md          the model card; DATASHEET.md: what is known of the pictures
    report.html ...    the proof

There is no pickle in it. Everything read from it is checked before use: a bundle may come from a stranger.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from photovision.core.errors import DataError, ModelError
from photovision.core.files import open_regular
from photovision.core.folder import recover
from photovision.core.installing import how_to_upgrade
from photovision.core.preprocess import Preprocess
from photovision.core.suggest import did_you_mean, paths_beside
from photovision.core.task import TASKS, Task, either, tasks
from photovision.core.task import task as named_task
from photovision.core.types import Floats
from photovision.runtime.bundle_schema import check_info
from photovision.runtime.check_onnx import first_line
from photovision.runtime.origin import ModelOrigin, origin_of
from photovision.runtime.session import Engine, Precision, Session, open_session

T = TypeVar("T")
VERSION = 1
CURRENT = "current"
"""In a folder of versions: the link to the bundle in use."""
_LARGEST_JSON = 64 * 2**20
_ALWAYS = ("task", "classes", "preprocess", "training", "licences")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle on disk, checked.

    Attributes:
        path: its folder.
        info: the whole of bundle.json.
        temporary: whether its folder goes when the last reference to it does; see `unpacked`.
        stamp: of its bundle.json when it was read; None for a bundle in the making.
        runner: what answers in place of a graph, of a model in memory; its other files lie in the folder.
    """

    path: Path
    info: dict[str, Any]
    temporary: bool = False
    stamp: tuple[int, int, int] | None = None
    runner: Session | None = None

    def open_session(
        self, engine: Engine, precision: Precision | None, outputs: Collection[str] | None = None
    ) -> Session:
        """Its graph in an engine, see `runtime.session.open_session`; raises ModelError where it was replaced."""
        if self.runner is not None:
            return self.runner
        session = open_session(
            self.graph,
            engine=engine,
            precision=precision,
            allowed=self.precision,
            outputs=outputs,
            size=self.preprocess.size,
        )
        return self.still(session)

    def still(self, value: T) -> T:
        """`value`, which was just read from the folder; raises ModelError where another model is there by now."""
        if self.stamp is not None and _stamp(self.path) != self.stamp:
            raise ModelError(f"{self.path} was replaced by another model since it was opened: load it again")
        return value

    def files(self) -> dict[str, bytes]:
        """The content of all its files, by their paths inside it."""
        found = sorted(file for file in self.path.rglob("*") if file.is_file())
        return {file.relative_to(self.path).as_posix(): file.read_bytes() for file in found}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the description and the graphs: what decides about answers."""
        digest = sha256()
        for file in (self.path / "bundle.json", *sorted(self.path.glob("*.onnx"))):
            with open_regular(file) as content:
                while part := content.read(2**20):
                    digest.update(part)
        return digest.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        """Into a pickle goes where it is, of a temporary one all that is in it."""
        self.expect_files("pickled")
        if self.temporary:
            return unpacked, (self.files(),)
        if read_bundle(self.path).info != self.info:
            raise ModelError(f"{self.path} has changed since it was opened: load it again")
        return _reopened, (str(self.path.resolve()), self.fingerprint)

    def __deepcopy__(self, memo: dict[int, Any]) -> Bundle:
        return self  # nothing in it is ever changed

    @property
    def name(self) -> str:
        """What its owner calls it: the name of its folder."""
        place = self.path.resolve()
        above = place.parent.parent  # of a folder of versions, whose versions are named by their content
        return "the model" if self.temporary else above.name if (above / CURRENT).is_symlink() else place.name

    @property
    def task(self) -> str:
        """The name of the task that the model was made for, such as "classify"."""
        return str(self.info["task"])

    @property
    def origin(self) -> ModelOrigin:
        """How the model came to be, which explains what it lacks."""
        return origin_of(self.info)

    @property
    def row(self) -> Task:
        """The row of that task in `photovision.core.task.TASKS`."""
        return named_task(self.task)

    def expect(self, task: str) -> None:
        """Raise ModelError where the model was made for another task."""
        if self.task != task:
            self._refuse(named_task(task).text.a_noun)

    def expect_predictions(self, *annotation_types: str) -> None:
        """Raise ModelError unless the predictions are of one of these types, as `Task.annotation_type` names them."""
        if self.row.annotation_type not in annotation_types:
            self._refuse(either([row.text.a_noun for row in tasks() if row.annotation_type in annotation_types]))

    def expect_files(self, what: str) -> None:
        """Raise ModelError for a model in memory, which cannot be "saved", "calibrated" ..."""
        if self.runner is not None:
            raise ModelError(f"a model in memory cannot be {what}: export its network to ONNX and adopt that")

    def _refuse(self, wanted: str) -> None:
        text = self.row.text
        raise ModelError(
            f"{self.path} is {text.a_noun}, not {wanted}: it predicts {text.predicts}; use it with '{text.command}'"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the network's outputs."""
        return tuple(self.info["classes"])

    @property
    def multilabel(self) -> bool:
        """Whether several classes may be true of a picture."""
        return bool(self.info.get("multilabel"))

    @property
    def learned_val(self) -> bool:
        """Whether the network learned from its validation images, too, once they had chosen it."""
        return bool(self.info.get("learned_val"))

    @property
    def thresholds(self) -> Floats | None:
        """float32 (C,): from which probability on a class counts as true; of multi-label classifiers and detectors."""
        values = self.info.get("thresholds")
        return None if values is None else np.asarray(values, dtype=np.float32)

    @property
    def preprocess(self) -> Preprocess:
        """How a picture becomes the graph's input."""
        return Preprocess.from_json(self.info["preprocess"])

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.path / "model.onnx"

    @property
    def precision(self) -> str | None:
        """The arithmetic that passed the parity check; None leaves the choice to the machine."""
        precision: str | None = (self.info.get("parity") or {}).get("precision")
        return precision


def read_bundle(path: str | Path) -> Bundle:
    """Open a bundle; of a folder of versions the one in use, which stays the same one when another takes its place.

    Raises:
        ModelError: the folder is missing, not a bundle, damaged, or from a newer version of Photovision.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ModelError(f"a model is a folder that 'photovision train' wrote, got {type(path).__name__} {path!r:.60}")
    folder = in_use(Path(path))
    file = folder / "bundle.json"
    if not folder.is_dir():
        recover(folder)
    if not folder.is_dir():
        meant = did_you_mean(str(path), paths_beside(folder, "bundle.json"))
        raise ModelError(f"no model at {folder}: expected a folder that 'photovision train' wrote{meant}")
    if not os.path.lexists(file):
        raise ModelError(f"{folder} is not a Photovision model: it has no bundle.json; give the folder made by 'train'")
    stamp = _stamp(folder)
    _check_files(folder)
    try:
        with open_regular(file) as content:
            if (size := os.fstat(content.fileno()).st_size) > _LARGEST_JSON:
                raise ModelError(f"{file} is larger than any bundle should be ({size:,} bytes)")
            text = content.read().decode("utf-8")
        info = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, OSError, RecursionError, DataError) as error:
        raise ModelError(f"{file} is damaged ({first_line(error)}); copy the model again or train it again") from None
    _check(info, folder)
    bundle = Bundle(folder, info, stamp=stamp)
    return bundle.still(bundle)


def in_use(folder: Path) -> Path:
    """The folder of the bundle in use, of a folder of versions or of the link in it; any other folder as it is."""
    link = folder if folder.name == CURRENT else folder / CURRENT
    if not link.is_symlink() or (os.path.lexists(folder / "bundle.json") and link != folder):
        return folder
    place = link.resolve()
    return place if place.parent.parent == link.parent.resolve() else folder


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(folder / "bundle.json")
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:60]} is not a number")
    return value


def _check_files(folder: Path) -> None:
    """Raise ModelError for what a stranger's bundle could hold beside files: ways out of it, and what blocks."""
    here = folder.resolve()
    if (
        here.parent.name == "snapshots"
    ):  # the cache of the Hugging Face Hub, whose links lead to its own folder of files
        here = here.parent.parent
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(top) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                if not path.resolve().is_relative_to(here):
                    raise ModelError(f"{path} is a link that leaves the bundle: put the file itself there")
                mode = path.stat().st_mode if path.exists() else stat.S_IFREG
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ModelError(f"{path} is not a file, as everything in a bundle should be: remove it")


def unpacked(files: Mapping[str, bytes]) -> Bundle:
    """A bundle of its own in a temporary folder, from what `Bundle.files` gave; raises ModelError as `read_bundle`."""
    top = Path(tempfile.mkdtemp(prefix="photovision-"))
    try:
        for name, content in files.items():
            file = top / "model" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        bundle = replace(read_bundle(top / "model"), temporary=True)
    except BaseException:
        shutil.rmtree(top, ignore_errors=True)
        raise
    weakref.finalize(bundle, _removed, top, os.getpid())
    return bundle


def _removed(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked process must not take its parent's files away
        shutil.rmtree(folder, ignore_errors=True)


def _reopened(path: str, fingerprint: str) -> Bundle:
    try:
        bundle = read_bundle(path)
    except ModelError as error:
        raise ModelError(f"a pickled model stays where its files are, but {error}") from None
    if bundle.fingerprint != fingerprint:
        raise ModelError(f"{path} is another model than the one that was pickled: load it again")
    return bundle


def _check(info: Any, folder: Path) -> None:
    if not isinstance(info, dict) or info.get("format") != "photovision":
        raise ModelError(f"{folder} is not a Photovision model: its bundle.json is something else's")
    version = info.get("version")
    if not isinstance(version, int) or version < 1:
        raise ModelError(f"{folder}: bundle.json has no valid version, got {version!r:.60}; train the model again")
    if version > VERSION:
        raise ModelError(
            f"{folder} was made by a newer Photovision (bundle version {version}, this one reads up to {VERSION}):"
            f" {how_to_upgrade()}"
        )
    task = info.get("task", "")
    names = TASKS.names()
    if not isinstance(task, str) or (task and task not in names):
        raise ModelError(f"{folder}: bundle.json should have a task of {', '.join(names)}, got {task!r:.60}")
    missing = [name for name in (*_ALWAYS, *(named_task(task).needs if task else ())) if name not in info]
    if missing:
        raise ModelError(f"{folder}: bundle.json lacks {', '.join(missing)}; copy the model again or train it again")
    check_info(info, folder)
    _check_classes(info, folder)
    Preprocess.from_json(info["preprocess"])


def _check_classes(info: dict[str, Any], folder: Path) -> None:
    classes, row = info["classes"], named_task(info["task"])
    if len(classes) < row.min_classes:
        named = "one class name" if row.min_classes == 1 else "two class names"
        raise ModelError(f"{folder}: bundle.json should list at least {named}")
    thresholds = info.get("thresholds")
    if thresholds is None and "thresholds" not in row.needs:
        return
    if thresholds is None or len(thresholds) != len(classes):
        raise ModelError(f"{folder}: bundle.json should have one threshold a class")
