"""info: what is this model?"""

from __future__ import annotations

from pathlib import Path

from photovision.app.cli.options import Json, Model


def info(model: Model, as_json: Json = False) -> None:
    """Show what a model knows, how good it is, and its licences.

    Of an index of pictures: what it holds, and how often its verdicts are wrong.
    """
    from photovision.app.cli.output import metric_rows, print_json, print_legend, print_rows
    from photovision.core.report import Metric
    from photovision.engine.load import bundle_of
    from photovision.retrieval.index import is_index
    from photovision.trust.similarity_text import holding

    if is_index(model):
        _index(model, as_json)
        return
    bundle = bundle_of(model, "info")
    facts, row = bundle.info, bundle.row
    if as_json:
        print_json(facts)
        return
    classes, backbone, data = bundle.classes, facts.get("backbone") or {}, facts.get("data") or {}
    counts = data.get("counts") or {}
    names = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    params = backbone.get("params")
    metrics = {name: Metric.from_json(metric) for name, metric in (facts.get("metrics") or {}).items()}
    rows = [
        ("classes", f"{len(classes)} ({names})"),
        ("predicts", row.text.predicts),
        *(row.part("info")(facts) if row.has("info") else ()),
        ("network", f"{backbone['name']}, weights {backbone.get('weights')}" if backbone.get("name") else None),
        ("parameters", f"{params:,}" if isinstance(params, int) else None),
        ("stage", facts.get("chosen")),
        ("prepared", (facts.get("adoption") or {}).get("preparation")),
        ("input", " x ".join(map(str, bundle.preprocess.size)) + " pixels"),
        ("pictures", ", ".join(f"{count:,} {name}" for name, count in counts.items())),
        ("data", data.get("fingerprint") or data.get("source")),
        *metric_rows(metrics),
        ("these figures", holding(facts)),
        *((f"licence, {entry['part']}", f"{entry['name']}: {entry['licence']}") for entry in facts["licences"]),
    ]
    print_rows([(name, str(value)) for name, value in rows if value])
    print_legend(metrics)


def _index(path: Path, as_json: bool) -> None:
    """What an index of pictures holds."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.retrieval.index import Index
    from photovision.retrieval.text import edit_rows, facts, info_rows

    with Index(path) as opened:
        known = facts(opened)
        if as_json:
            print_json(known)
            return
        print_rows(info_rows(opened, known))
        if known["rates"]:
            print()
            print_rows(edit_rows(known["rates"]))
