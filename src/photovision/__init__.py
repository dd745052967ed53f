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
    from photovision.app.loadtest import loadtest as loadtest
    from photovision.app.ui import ui as ui
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
    from photovision.core.progress import Progress as Progress
    from photovision.core.progress import silent as silent
    from photovision.core.regions import Detections as Detections
    from photovision.core.regions import Mask as Mask
    from photovision.core.regions import Segmentation as Segmentation
    from photovision.core.report import Metric as Metric
    from photovision.core.report import Report as Report
    from photovision.core.result import Result as Result
    from photovision.core.types import Attribution as Attribution
    from photovision.core.types import Classes as Classes
    from photovision.core.types import Sample as Sample
    from photovision.data.augment.image import Augment as Augment
    from photovision.data.convert import convert as convert
    from photovision.data.dataset import Dataset as Dataset
    from photovision.data.read import dataset_from_arrays as dataset_from_arrays
    from photovision.data.read import read_dataset as read_dataset
    from photovision.data.shards import shards as shards
    from photovision.engine.adapt import adapt as adapt
    from photovision.engine.adopt import adopt as adopt
    from photovision.engine.audit import audit as audit
    from photovision.engine.calibrate import calibrate as calibrate
    from photovision.engine.compare import compare as compare
    from photovision.engine.complete_card import card as card
    from photovision.engine.estimate import estimate as estimate
    from photovision.engine.evaluate import evaluate as evaluate
    from photovision.engine.explain import attribute as attribute
    from photovision.engine.explain import explain as explain
    from photovision.engine.explain import explain_boxes as explain_boxes
    from photovision.engine.export import export as export
    from photovision.engine.load import info as info
    from photovision.engine.load import load as load
    from photovision.engine.optimize.optimize import optimize as optimize
    from photovision.engine.predict import Results as Results
    from photovision.engine.predict import detect as detect
    from photovision.engine.predict import predict as predict
    from photovision.engine.refer import refer as refer
    from photovision.engine.train import train as train
    from photovision.engine.train_config import TrainConfig as TrainConfig
    from photovision.engine.update.update import rollback as rollback
    from photovision.engine.update.update import update as update
    from photovision.engine.update.update import versions as versions
    from photovision.faces.blur import blur as blur
    from photovision.faces.register import FaceStore as FaceStore
    from photovision.faces.verify import verify as verify
    from photovision.learn.tuning import TrainingCallback as TrainingCallback
    from photovision.learn.tuning import TrainingEvent as TrainingEvent
    from photovision.learn.tuning import Tuning as Tuning
    from photovision.learned_features.report import features as features
    from photovision.retrieval.build import index as index
    from photovision.retrieval.duplicates import duplicates as duplicates
    from photovision.retrieval.forget import forget as forget
    from photovision.retrieval.index import Index as Index
    from photovision.retrieval.piles import group as group
    from photovision.retrieval.piles import label_piles as label_piles
    from photovision.retrieval.search import search as search
    from photovision.retrieval.suggest import suggest as suggest
    from photovision.service.drift import Span as Span
    from photovision.service.drift import drift as drift
    from photovision.service.serve import serve as serve
    from photovision.tasks.anomaly.detector import AnomalyDetector as AnomalyDetector
    from photovision.tasks.anomaly.prediction import Anomaly as Anomaly
    from photovision.tasks.classify.estimator import PhotoClassifier as PhotoClassifier
    from photovision.tasks.classify.recognizer import Recognizer as Recognizer
    from photovision.tasks.classify.zero_shot import zero_shot as zero_shot
    from photovision.tasks.cut.cut import cut as cut
    from photovision.tasks.cut.prompted_segmenter import Cutter as Cutter
    from photovision.tasks.detect.detector import Detector as Detector
    from photovision.tasks.generate.generator import Generator as Generator
    from photovision.tasks.generate.make import interpolate as interpolate
    from photovision.tasks.generate.make import invert as invert
    from photovision.tasks.generate.make import sample as sample
    from photovision.tasks.segment.segmenter import Segmenter as Segmenter
    from photovision.trust.promotion import PromotionLimits as PromotionLimits
    from photovision.video.watch_model import watch as watch

_HOME = {
    "train": "engine.train",
    "TrainConfig": "engine.train_config",
    "Tuning": "learn.tuning",
    "TrainingCallback": "learn.tuning",
    "TrainingEvent": "learn.tuning",
    "Augment": "data.augment.image",
    "load": "engine.load",
    "info": "engine.load",
    "card": "engine.complete_card",
    "predict": "engine.predict",
    "detect": "engine.predict",
    "cut": "tasks.cut.cut",
    "watch": "video.watch_model",
    "sample": "tasks.generate.make",
    "invert": "tasks.generate.make",
    "interpolate": "tasks.generate.make",
    "Generator": "tasks.generate.generator",
    "index": "retrieval.build",
    "shards": "data.shards",
    "search": "retrieval.search",
    "duplicates": "retrieval.duplicates",
    "forget": "retrieval.forget",
    "group": "retrieval.piles",
    "label_piles": "retrieval.piles",
    "suggest": "retrieval.suggest",
    "verify": "faces.verify",
    "blur": "faces.blur",
    "evaluate": "engine.evaluate",
    "estimate": "engine.estimate",
    "refer": "engine.refer",
    "compare": "engine.compare",
    "check": "app.check",
    "audit": "engine.audit",
    "explain": "engine.explain",
    "attribute": "engine.explain",
    "explain_boxes": "engine.explain",
    "features": "learned_features.report",
    "calibrate": "engine.calibrate",
    "adapt": "engine.adapt",
    "adopt": "engine.adopt",
    "optimize": "engine.optimize.optimize",
    "update": "engine.update.update",
    "rollback": "engine.update.update",
    "versions": "engine.update.update",
    "export": "engine.export",
    "convert": "data.convert",
    "serve": "service.serve",
    "loadtest": "app.loadtest",
    "ui": "app.ui",
    "drift": "service.drift",
    "Span": "service.drift",
    "read_dataset": "data.read",
    "dataset_from_arrays": "data.read",
    "Dataset": "data.dataset",
    "Sample": "core.types",
    "Classes": "core.types",
    "Detections": "core.regions",
    "Segmentation": "core.regions",
    "Mask": "core.regions",
    "Anomaly": "tasks.anomaly.prediction",
    "Attribution": "core.types",
    "Result": "core.result",
    "Results": "engine.predict",
    "Index": "retrieval.index",
    "FaceStore": "faces.register",
    "Recognizer": "tasks.classify.recognizer",
    "Detector": "tasks.detect.detector",
    "Segmenter": "tasks.segment.segmenter",
    "AnomalyDetector": "tasks.anomaly.detector",
    "Cutter": "tasks.cut.prompted_segmenter",
    "PromotionLimits": "trust.promotion",
    "PhotoClassifier": "tasks.classify.estimator",
    "zero_shot": "tasks.classify.zero_shot",
    "Preprocess": "core.preprocess",
    "Report": "core.report",
    "Metric": "core.report",
    "Progress": "core.progress",
    "silent": "core.progress",
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

_RENAMED = {"recalibrate": "calibrate"}
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
