"""info: what is this model?"""

from __future__ import annotations

from photovision.app.cli.options import Json, Model


def info(model: Model, as_json: Json = False) -> None:
    """Show what a model knows, how good it is, and its licences."""
    from photovision.app.cli.output import metric_rows, print_json, print_rows
    from photovision.core.report import Metric
    from photovision.engine.load import bundle_of
    from photovision.trust.similarity_text import holding

    bundle = bundle_of(model, "info")
    facts, row = bundle.info, bundle.row
    if as_json:
        print_json(facts)
        return
    classes, backbone, data = bundle.classes, facts.get("backbone") or {}, facts.get("data") or {}
    counts = data.get("counts") or {}
    names = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    params = backbone.get("params")
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
        *metric_rows({name: Metric.from_json(metric) for name, metric in (facts.get("metrics") or {}).items()}),
        ("these figures", holding(facts)),
        *((f"licence, {entry['part']}", f"{entry['name']}: {entry['licence']}") for entry in facts["licences"]),
    ]
    print_rows([(name, str(value)) for name, value in rows if value])
