"""load: a model of any task, opened; the row of its task decides what one gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.runtime.bundle import Bundle, read_bundle
from photovision.runtime.session import Engine, Precision


def load(
    path: str | Path,
    *,
    engine: Engine = "auto",
    precision: Precision | None = None,
    coverage: float | None = None,
    false_alarms: float | None = None,
    threshold: float | None = None,
) -> Any:
    """Open a bundle.

    Args:
        path: a folder that 'photovision train' wrote, or the name of a ready model, such as "imagenet".
        engine: the library that runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.
        coverage: of the prediction sets, 0 to 1; classifiers.
        false_alarms: share of familiar images that may be called unknown, 0 to 1; classifiers.
        threshold: lowest score of a box, 0 to 1; detectors.

    Returns:
        The model class of the bundle's task, such as a `Recognizer` or a `Detector`.

    Raises:
        ModelError: it is missing, foreign, damaged or too new.
        UsageError: the task does not accept an option, or its value is out of range.
    """
    bundle = read_bundle(_place_of(path))
    given = {"coverage": coverage, "false_alarms": false_alarms, "threshold": threshold}
    options = bundle.row.check_options("load", given)
    return bundle.row.part("model")(bundle, engine=engine, precision=precision, **options)


def load_predicting(model: Any, *annotation_types: str) -> Any:
    """A model, opened already, or in a folder, or a pretrained one by its name, whose predictions are of one type.

    Args:
        model: an opened model, or where it is.
        annotation_types: those accepted, as `Task.annotation_type` names them: "labels" (predictions are `Classes`),
            "boxes" (`Detections`), "masks" (`Segmentation`).

    Raises:
        ModelError: there is no model at the path, or it predicts something else.
    """
    model = _loaded(model)
    model.bundle.expect_predictions(*annotation_types)
    return model


def opened(model: Any, verb: str, part: str = "") -> Any:
    """A model for a verb: one that is opened already, or the one in a folder, or a pretrained one by its name.

    Args:
        model: an opened model, or where it is.
        verb: such as "evaluate", for the message.
        part: of the task that the verb needs; empty for the one called like the verb.

    Raises:
        ModelError: there is no model at the path.
        UsageError: the task of the model does not have the verb.
    """
    model = _loaded(model)
    bundle_of(model, verb).row.part(part or verb, verb)
    return model


def bundle_of(model: Any, verb: str) -> Bundle:
    """The bundle of an opened model, or at a path or name, without opening its graph.

    Args:
        model: an opened model, or where it is.
        verb: such as "card", for the message.

    Raises:
        ModelError: there is no model at the path.
        UsageError: it is neither.
    """
    bundle = read_bundle(_place_of(model)) if isinstance(model, str | Path) else getattr(model, "bundle", None)
    if not isinstance(bundle, Bundle):
        raise UsageError(f"'{verb}' needs a model or the path of its folder, got {type(model).__name__}")
    return bundle


def info(model: Any) -> dict[str, Any]:
    """What a model's bundle.json states: task, classes, preprocessing, figures, data, licences.

    Args:
        model: an opened model of any task, its folder, or the name of a ready one.

    Raises:
        ModelError: there is no model at the path.
        UsageError: it is no model.
    """
    return dict(bundle_of(model, "info").info)


def _loaded(model: Any) -> Any:
    """The model, opened where it is a path or a name."""
    return load(model) if isinstance(model, str | Path) else model


def _place_of(path: str | Path) -> str | Path:
    """The folder of a model that may be named instead; names need more modules, which folders do without."""
    if not isinstance(path, str | Path) or not str(path) or Path(path).exists():
        return path
    from photovision.models.pretrained import bundle_at

    return bundle_at(path)
