"""What a person could do next, after a command, with this model and these data: one or two command lines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.app.verbosity import Verbosity, verbosity

if TYPE_CHECKING:
    from photovision.core.task import Task

GREY, PLAIN = "\x1b[2m", "\x1b[0m"
USUAL_NAMES = {"detect": "predict"}
"""Name of a command -> the command that it is another name for."""
PAGE = "add -o report/ for a page with charts and pictures"


@dataclass(frozen=True)
class Finished:
    """A command that came to its end.

    Attributes:
        given: its parameters, as the command's function got them.
        result: what that function returned.
    """

    given: Mapping[str, Any]
    result: Any

    def path(self, *names: str) -> str:
        """The first of some parameters that was given, for a command line; the first of several values; "" if none."""
        for name in names:
            value = self.given.get(name)
            value = value[0] if isinstance(value, list | tuple) and value else value
            if value:
                return shlex.quote(str(value))
        return ""

    @property
    def model(self) -> str:
        """The model that was used, for a command line; of 'detect' it may be the first of its files, or none."""
        from photovision.models.pretrained import DETECTOR

        first = self.path("files")
        return self.path("model") or (first if _is_model(first) else DETECTOR)

    @property
    def picture(self) -> str:
        """A picture of those that were given, for a command line; PICTURE where there is none."""
        from photovision.core.image_formats import SUFFIXES
        from photovision.data.formats.mask_files import without_masks
        from photovision.data.formats.tree import files_of, list_files

        named = [self.given.get(name) for name in ("files", "pictures")]  # "pictures" may be a number of them
        files = next((one for one in named if isinstance(one, list | tuple) and one), ())
        values = [*files, self.given.get("data") or ""]
        places = (Path(str(value)) for value in values if str(value) and not _is_model(shlex.quote(str(value))))
        place = next(places, Path("PICTURE"))
        if place.is_dir():
            first = min(files_of(without_masks(list_files(place))[0].pictures), default="")
            return shlex.quote(str(place / first)) if first else "PICTURE"
        return shlex.quote(str(place)) if place.suffix.lower() in SUFFIXES else "PICTURE"

    def row(self, model: str) -> Task:
        """The task of the model at a path or of that name."""
        from photovision.models.pretrained import bundle_at
        from photovision.runtime.bundle import read_bundle

        return read_bundle(bundle_at(shlex.split(model)[0])).row


def say_next(verb: Sequence[str], given: Mapping[str, Any], result: Any) -> None:
    """Print the next steps on standard error: grey on a terminal, not with --json, --csv or --quiet."""
    from photovision.app.cli.output import first_process
    from photovision.core.text import printable, unguarded

    if given.get("as_json") or given.get("as_csv") or verbosity() is Verbosity.QUIET or not first_process():
        return
    steps = next_steps(verb, given, result)
    if not steps:
        return
    text = "\n".join(f"{'Next: ' if number == 0 else '      '}{printable(step)}" for number, step in enumerate(steps))
    sys.stdout.flush()  # what was found comes first
    stream = unguarded(sys.stderr)
    print(f"{GREY}{text}{PLAIN}" if stream.isatty() else text, file=stream, flush=True)


def next_steps(verb: Sequence[str], given: Mapping[str, Any], result: Any = None) -> list[str]:
    """What could be done next; empty where nothing follows.

    Args:
        verb: the words of the command, such as ("weights", "get").
        given: its parameters by name.
        result: what the command's function returned.

    Example:
        >>> next_steps(["convert"], {"source": "cells", "output": Path("cells-coco")})
        ['photovision check cells-coco']
    """
    from photovision.core.errors import PhotovisionError

    name = " ".join(verb)
    follow = STEPS.get(USUAL_NAMES.get(name, name))
    try:
        return [] if follow is None else [step for step in follow(Finished(given, result)) if step][:2]
    except (PhotovisionError, OSError):  # what was made is gone already
        return []


def _is_model(path: str) -> bool:
    return bool(path) and (Path(shlex.split(path)[0]) / "bundle.json").is_file()


def _after_check(done: Finished) -> list[str]:
    data = done.path("data")
    model = shlex.quote(f"{Path(shlex.split(data)[0]).name.split('.')[0] or 'my'}-model")
    doubts = bool(getattr(done.result, "warnings", ())) and not done.path("output")
    return [f"photovision train {data} -o {model}", "add -o check/ to see the pictures behind the warnings" * doubts]


def _after_train(done: Finished) -> list[str]:
    model = done.path("output")
    return [_use(done.row(model), model, done.picture), f"photovision ui {done.path('data')}"]


def _use(row: Task, model: str, picture: str) -> str:
    """How a model is used: on a picture, or to make some."""
    return f"{row.text.command} {model} {'-o made/' if row.has('sample') else picture}"


def _after_prediction(done: Finished) -> list[str]:
    model = done.model
    row = done.row(model)
    drawn = not done.path("output") and (row.has("draw") or row.has("files"))
    return [
        "add -o drawn/ to see it drawn over the pictures" * drawn,
        f"photovision explain {model} {done.picture} -o why/" * row.has("explain"),
    ]


def _after_evaluation(done: Finished) -> list[str]:
    model, data = done.path("model", "b"), done.path("data")
    audit = f"photovision audit {model} {data} -o audit/" * done.row(model).has("checks")
    return [PAGE * (not done.path("output")), audit]


def _after_audit(done: Finished) -> list[str]:
    model, data = done.path("model"), done.path("data")
    card = f"photovision audit {model} {data} --card" * (not done.given.get("card"))
    return [PAGE * (not done.path("output")), card]


def _after_estimate(done: Finished) -> list[str]:
    model, data = done.path("model"), done.path("pictures")
    adapt = f"photovision adapt {model} {data} -o adapted-model" * done.row(model).has("adapt")
    return [PAGE * (not done.path("output")), adapt or f"photovision calibrate {model} LABELLED -o calibrated-model"]


def _after_change(done: Finished) -> list[str]:
    """A model was made from another one."""
    made, data = done.path("output"), done.path("data", "labelled")
    if not _is_model(made):  # adapt writes nothing where nothing helps
        return []
    return [f"photovision compare {done.path('model')} {made} {data}" * bool(data), f"photovision serve {made}"]


def _after_weights(done: Finished) -> list[str]:
    from photovision.models.checkpoints import is_checkpoint
    from photovision.models.weights import CLASSIFIERS, CUTTERS, DETECTORS, FACES

    name = done.path("name")
    if name in CUTTERS:
        return ["photovision cut PICTURE"]
    if name in FACES:
        return ["photovision faces verify PICTURE PICTURE"]
    if name in DETECTORS or is_checkpoint(name):
        return [f"photovision detect {name} PICTURE"]
    return [f"photovision predict {name} PICTURE"] if name in CLASSIFIERS else []


STEPS: Mapping[str, Callable[[Finished], list[str]]] = {
    "check": _after_check,
    "train": _after_train,
    "predict": _after_prediction,
    "evaluate": _after_evaluation,
    "compare": _after_evaluation,
    "audit": _after_audit,
    "estimate": _after_estimate,
    "calibrate": _after_change,
    "adapt": _after_change,
    "optimize": _after_change,
    "weights get": _after_weights,
    "explain": lambda done: [
        PAGE * (not done.path("output")),
        f"photovision features {done.path('model')} -o features/" * done.row(done.path("model")).has("features"),
    ],
    "features": lambda done: [
        PAGE * (not done.path("output")),
        f"photovision explain {done.path('model')} {done.picture} -o why/",
    ],
    "info": lambda done: [
        _use(done.row(done.path("model")), done.path("model"), "PICTURE"),
        "photovision ui",
    ],
    "convert": lambda done: [f"photovision check {done.path('output')}"],
    "export": lambda done: ["add --data PICTURES to compare the two on your own pictures" * (not done.path("data"))],
    "index": lambda done: [
        f"photovision search {done.path('output')} PICTURE",
        f"photovision duplicates {done.path('output')}",
    ],
    "duplicates": lambda done: [
        f"photovision duplicates {done.path('source')} --apply --to TRASH moves them, and can be undone"
        * (bool(done.path("source")) and not done.given.get("apply"))
    ],
    "search": lambda done: [
        f"photovision index {done.path('source')} -o INDEX to measure how often verdicts are wrong"
        * (not (Path(shlex.split(done.path("source"))[0]) / "index.json").is_file())
    ],
    "sample": lambda done: [f"photovision invert {done.path('generator')} PICTURE -o again/"],
    "cut": lambda done: [f"photovision cut {done.path('picture')} --point X,Y -o cut/" * (not done.path("output"))],
    "watch": lambda done: ["add -o seen.mp4 for a film with what was found" * (not done.path("output"))],
    "drift": lambda done: [
        PAGE * (not done.path("output")),
        f"photovision calibrate {done.path('model')} LABELLED -o new-model",
    ],
    "keys add": lambda done: [f"photovision serve MODEL --keys {done.path('file')}"],
    "record stats": lambda done: [f"photovision drift MODEL {done.path('record')}"],
    "weights import": lambda done: [f"photovision detect {done.path('output')} PICTURE" * bool(done.path("output"))],
    "adopt": lambda done: [f"photovision evaluate {done.path('output')} {done.path('data') or 'LABELLED'} -o report/"],
    "recipe basket": lambda done: [f"photovision recipe review {done.path('output') or 'REPORT'}"],
}
"""Command -> what follows it, best first; empty texts are left out."""
