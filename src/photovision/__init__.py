"""Photovision turns a folder of pictures into a recogniser you can trust.

Every name below is loaded when it is first used, so that `import photovision` costs next to nothing and prediction
never loads torch.

    import photovision as pv

    model = pv.train("flowers/", "flowers-model", minutes=5)
    model.predict("rose.jpg").label
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from photovision.app.check import check as check
    from photovision.core.errors import DataError as DataError
    from photovision.core.errors import ExportError as ExportError
    from photovision.core.errors import LicenceError as LicenceError
    from photovision.core.errors import MissingExtra as MissingExtra
    from photovision.core.errors import ModelError as ModelError
    from photovision.core.errors import PhotovisionError as PhotovisionError
    from photovision.core.errors import RecordError as RecordError
    from photovision.core.errors import UnreadableImage as UnreadableImage
    from photovision.core.errors import UsageError as UsageError
    from photovision.core.preprocess import Preprocess as Preprocess
    from photovision.core.regions import Detections as Detections
    from photovision.core.regions import Segmentation as Segmentation
    from photovision.core.report import Metric as Metric
    from photovision.core.report import Report as Report
    from photovision.core.types import Attribution as Attribution
    from photovision.core.types import Classes as Classes
    from photovision.core.types import Sample as Sample
    from photovision.data.dataset import Dataset as Dataset
    from photovision.data.read import dataset_from_arrays as dataset_from_arrays
    from photovision.data.read import read_dataset as read_dataset
    from photovision.engine.adapt import adapt as adapt
    from photovision.engine.audit import audit as audit
    from photovision.engine.calibrate import calibrate as calibrate
    from photovision.engine.calibrate import recalibrate as recalibrate
    from photovision.engine.compare import compare as compare
    from photovision.engine.estimate import estimate as estimate
    from photovision.engine.evaluate import evaluate as evaluate
    from photovision.engine.explain import attribute as attribute
    from photovision.engine.explain import explain as explain
    from photovision.engine.explain import explain_boxes as explain_boxes
    from photovision.engine.export import export as export
    from photovision.engine.load import load as load
    from photovision.engine.optimize.optimize import optimize as optimize
    from photovision.engine.train import train as train
    from photovision.learned_features.report import features as features
    from photovision.tasks.classify.estimator import PhotoClassifier as PhotoClassifier
    from photovision.tasks.classify.recognizer import Recognizer as Recognizer

_HOME = {
    "train": "engine.train",
    "load": "engine.load",
    "evaluate": "engine.evaluate",
    "estimate": "engine.estimate",
    "compare": "engine.compare",
    "check": "app.check",
    "audit": "engine.audit",
    "explain": "engine.explain",
    "explain_boxes": "engine.explain",
    "attribute": "engine.explain",
    "features": "learned_features.report",
    "adapt": "engine.adapt",
    "calibrate": "engine.calibrate",
    "recalibrate": "engine.calibrate",
    "optimize": "engine.optimize.optimize",
    "export": "engine.export",
    "read_dataset": "data.read",
    "dataset_from_arrays": "data.read",
    "Dataset": "data.dataset",
    "Sample": "core.types",
    "Classes": "core.types",
    "Attribution": "core.types",
    "Detections": "core.regions",
    "Segmentation": "core.regions",
    "Preprocess": "core.preprocess",
    "Report": "core.report",
    "Metric": "core.report",
    "Recognizer": "tasks.classify.recognizer",
    "PhotoClassifier": "tasks.classify.estimator",
    "PhotovisionError": "core.errors",
    "UsageError": "core.errors",
    "DataError": "core.errors",
    "UnreadableImage": "core.errors",
    "ModelError": "core.errors",
    "ExportError": "core.errors",
    "LicenceError": "core.errors",
    "RecordError": "core.errors",
    "MissingExtra": "core.errors",
}

_RENAMED: dict[str, str] = {}
"""Public names of the last version -> their name today; the old ones work for one version, with a warning."""

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """Load a public name from its module at first use (PEP 562)."""
    if name in _RENAMED:
        import_module("photovision.core.deprecation").warn_renamed(
            f"photovision.{name}", f"photovision.{_RENAMED[name]}"
        )
        return __getattr__(_RENAMED[name])
    if name not in _HOME:
        raise AttributeError(f"module 'photovision' has no attribute '{name}'")
    value = getattr(import_module(f"photovision.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
