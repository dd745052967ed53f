"""info: what is this model?"""

from __future__ import annotations

from photovision.app.cli.options import Json, Model

_ANSWERS = {"detect": "boxes with classes", "segment": "a class for every pixel"}


def info(model: Model, as_json: Json = False) -> None:
    """Show what a model is, what it learnt from, how good it is, and its licences."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.core.report import Metric
    from photovision.runtime.bundle import read_bundle

    bundle = read_bundle(model)
    told = bundle.info
    if as_json:
        print_json(told)
        return
    classes, backbone, data = bundle.classes, told.get("backbone") or {}, told.get("data") or {}
    counts = data.get("counts") or {}
    names = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    print_rows(
        [
            ("classes", f"{len(classes)} ({names})"),
            ("answers", _ANSWERS.get(bundle.task) or ("any number of classes" if bundle.multilabel else "one class")),
            ("network", f"{backbone.get('name')}, weights {backbone.get('weights')}"),
            ("rung", str(told.get("chosen"))),
            ("input", " x ".join(map(str, bundle.preprocess.size)) + " pixels"),
            ("pictures", ", ".join(f"{count:,} {name}" for name, count in counts.items())),
            ("data", str(data.get("fingerprint"))),
            *((name.replace("_", " "), str(Metric.from_json(m))) for name, m in (told.get("metrics") or {}).items()),
            *((f"licence, {entry['part']}", f"{entry['name']}: {entry['licence']}") for entry in told["licences"]),
        ]
    )
