"""What bundle.json and an audit's JSON hold, as small values for the tests of the card and the data sheet."""

from __future__ import annotations

from typing import Any

from photovision.core.energy import Energy
from photovision.core.report import Metric, Report, Table

HOSTILE = "<script>alert('x')</script>\n# [y](http://evil.example) | \"a\": b --- ![z](//e) `c`\ud800\u202e"


def minimal(classes: tuple[str, ...] = ("cat", "dog")) -> dict[str, Any]:
    """The least that a bundle of an older version holds."""
    return {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "multilabel": False,
        "classes": list(classes),
        "preprocess": {"size": [28, 28], "fit": "squash", "interpolation": "bilinear", "hash": "78e28589579d3556"},
        "temperature": 0.66,
        "training": {},
        "licences": [],
    }


def full(name: str = "cat") -> dict[str, Any]:
    """A bundle with everything; `name` is the name of a class, an attribute, a value, a file and a warning."""
    rung = {"name": "frozen", "val": metric(0.8123), "test": metric(0.8011), "seconds": 61.5, "params": 3476}
    return {
        **minimal((name, "dog", "fox")),
        "backbone": {"name": "resnet34.a1_in1k", "weights": "hub", "params": 21285, "macs": 36789},
        "chosen": "frozen",
        "rungs": [{**rung, "note": f"of {name}"}],
        "training": {"seconds": 99.0, "seed": 7},
        "data": {
            "fingerprint": "8c426391f33a2c6a",
            "source": "table",
            "counts": {"train": 8501, "val": 1502, "test": 2003},
            "train_per_class": {name: 4001, "dog": 4400, "fox": 101},
            "groups": {
                "site": {"north": 5123, name: 3377},
                "patient": {f"patient {number}": 20 + number for number in range(40)},
                "rater_anna": {"cat": 17},
            },
            "published_split": True,
            "notes": ["The published test split is kept.", f"11 pictures belong to 5 groups: {name}."],
            "problems": [{"id": f"{name}.jpg", "kind": "unreadable", "message": "broken"}] * 3,
            "quarantined": 3,
        },
        "parity": {"pictures": 128, "agreement": 0.9921875},
        "licences": [
            {"part": "code", "name": "Photovision", "licence": "apache-2.0", "commercial": True, "note": ""},
            {"part": "weights", "name": name, "licence": "cc-by-nc-4.0", "commercial": False, "note": name},
        ],
        "provenance": {
            "time": "2026-11-24T18:28:32+00:00",
            "cpu": "EPYC",
            "cores": 2,
            "versions": {"photovision": "0.1.0"},
        },
        "metrics": {
            "accuracy": metric(0.9137),
            "macro_f1": metric(0.9012),
            "coverage": metric(0.9412),
            "set_size": metric(1.3567, unit=""),
            "false_alarms": metric(0.0613),
        },
        "doubt": {"coverage": 0.95, "false_alarms": 0.02, "set_scores": [], "gate": {}},
        "energy": Energy(0.4821, 0.24, 1.03, "estimated: by a method").to_json(),
        "warnings": [f"Beware of {name}."],
    }


def audit(name: str = "cat") -> dict[str, Any]:
    """What an audit found, with figures that occur nowhere else."""
    group = (f"site: {name}", 312, Metric(0.7531, 0.70, 0.80, 312))
    return Report(
        "audit",
        "An audit",
        summary=(f"It fails most for {name}.",),
        metrics={
            "worst_group_accuracy": Metric(0.7531, 0.70, 0.80, 312),
            "mean_corruption_error": Metric(0.3391, 0.31, 0.36, 500),
            "novelty_auroc": Metric(0.9777, 0.96, 0.99, 800),
            "fleiss_kappa": Metric(0.6123, 0.5, 0.7, 99, ""),
            "shortcut_gain": Metric(0.1717, 0.1, 0.2, 60, "points"),
            "insertion": Metric(0.5151, 0.5, 0.6, 77),
            "something_new": Metric(0.4242, 0.4, 0.5, 42),
        },
        tables=[
            Table("Groups and intersections", ("group", "n", "accuracy"), (group,)),
            Table(
                "In other conditions", ("condition", "severity 3"), (("fog", Metric(0.5858)), ("night", Metric(0.6161)))
            ),
            Table("Suspected labels", ("picture", "label"), (("secret-person.jpg", "cat"),)),
            Table("A new check", ("what", "value"), ((name, 0.777),)),
        ],
        warnings=(f"Mind {name}.",),
        provenance={"data": {"fingerprint": "0123456789abcdef", "pictures": 1234}},
    ).to_json()


def metric(value: float, unit: str = "share") -> dict[str, Any]:
    """A figure of 2,003 pictures as JSON."""
    return Metric(value, value - 0.01, value + 0.01, 2003, unit).to_json()
