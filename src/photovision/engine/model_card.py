"""The model card: what a bundle's README.md says, filled from what was measured and nothing else.

The sections are those of Model Cards for Model Reporting (Mitchell et al. 2019), with what an audit adds: conditions,
doubt, explanations, people, labels, energy. What was not measured, and what only the owner can say, stands in a line
each at the end, with the command that adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from photovision.core.drawing import percent
from photovision.core.energy import Energy
from photovision.core.glossary import heading
from photovision.core.markdown import bullets, facts, harmless, table
from photovision.core.report import Metric, Table
from photovision.data.corruptions import CORRUPTIONS
from photovision.engine.adopt_text import unknowns
from photovision.engine.card_clinical import clinical
from photovision.engine.card_gaps import NOT_RECORDED, gaps
from photovision.engine.card_metrics import Evidence, figures
from photovision.engine.card_text import LEARNED_VAL, card_text_of, row_of
from photovision.engine.card_use import other_programs
from photovision.engine.datasheet import PERSONS, kinds, recorded, representation, told_of_classes
from photovision.engine.hub_metadata import header
from photovision.runtime.similarity import why_missing
from photovision.trust.similarity_text import holding

NOT = "Not measured."
NOTHING: Mapping[str, str] = MappingProxyType({})
_ALWAYS = (
    *("Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data"),
    *("Quantitative analyses", "Ethical considerations", "Caveats and recommendations", "Licences", "Use"),
)
"""Sections that are there whatever was measured."""
_SHOWN = 40  # class names in the text
_STAGE_FIGURES = ("accuracy", "exact_match", "accuracy_change", "ece", "map", "map50", "miou", "dice")
_SIZE_FIGURES = ("graph_size", "latency_p50", "throughput")
_WEAKEST = 10  # rows of tables of classes


def model_card(
    info: Mapping[str, Any],
    audit: Mapping[str, Any] | None = None,
    statements: Mapping[str, str] = NOTHING,
    name: str = "",
) -> str:
    """Markdown with the Hugging Face Hub's YAML header.

    Args:
        info: the contents of bundle.json; keys that older bundles lack are no evidence.
        audit: `Report.to_json()` of an audit, or of the training's own report; its figures and tables are sorted by
            `evidence.TOPICS`.
        statements: what the owner says, see `engine.complete_card`.
        name: of the model, which heads the card; "" for none.

    Every number in the text comes from the first two. Names are escaped, and tables that name single pictures are
    left out: file names can tell of persons, and a card is published.
    """
    evidence = Evidence.gather(info, audit)
    sections = {
        "Model details": _details(info, statements),
        "Intended use": _intended(info, evidence, statements),
        "In clinical studies": clinical(info, evidence, statements),
        "Factors": _factors(info, evidence),
        "Metrics": _metrics(info, evidence),
        "Evaluation data": _evaluation(info, audit),
        "Training data": _training_data(info),
        "Quantitative analyses": _analyses(evidence),
        "In what conditions it fails": evidence.lines("conditions"),
        "When it does not know": _doubt(info, evidence),
        "Why it decides": evidence.lines("explanations"),
        "Shortcuts": evidence.lines("shortcuts"),
        "Beside people": evidence.lines("people"),
        "Labels and look-alikes": evidence.lines("labels"),
        "Ethical considerations": _ethics(info),
        "Caveats and recommendations": _caveats(info, evidence),
        "How it was made": _making(info),
        "Licences": _licences(info),
        "Use": _use(info),
        "Not measured, not recorded": gaps(info, evidence, statements),
    }
    lines = [*header(info), *_opening(info, evidence, name)]
    for title, body in sections.items():
        if title in _ALWAYS or body:
            lines += [f"## {title}", "", *(body or [NOT_RECORDED, ""])]
    source = "Model Cards for Model Reporting (Mitchell et al. 2019)"
    lines.append(f"The sections are those of {source}; Photovision filled them from what it measured.")
    return "\n".join([*lines, ""])


def _opening(info: Mapping[str, Any], evidence: Evidence, name: str) -> list[str]:
    metrics, words, row = evidence.sources[0].metrics, card_text_of(info), row_of(info)
    lead = None if row is None else row.leading(metrics)
    title = "" if row is None or lead is None else row.lead[lead][:1].upper() + row.lead[lead][1:]
    how_good = f"{title} on pictures that took no part in learning or selection: {metrics[lead]}." if lead else ""
    for other in () if row is None else [name for name in row.fit if name in metrics and name != lead]:
        how_good += f" {heading(other, metrics[other])[0]}: {metrics[other]}."
    topics = {
        "groups": "groups of people or pictures",
        "conditions": "bad conditions",
        "explanations": "explanations",
        "shortcuts": "shortcuts",
        "people": "people who label the same pictures",
        "labels": "labels",
    }
    absent = [named for topic, named in topics.items() if not evidence.has(topic)]
    absent += [] if _tried_others(evidence) else ["pictures of something else"]
    return [
        f"# {f'{harmless(name)}: {words.noun}, ' if name else words.noun.capitalize() + ' '}made with Photovision",
        "",
        f"{words.does} {how_good}".strip(),
        *(line for unknown in unknowns(info) for line in ("", unknown)),
        *_beyond(info),
        "",
        *([f"**Not measured:** {', '.join(absent)}.", ""] if absent else []),
    ]


def _beyond(info: Mapping[str, Any]) -> list[str]:
    """For which pictures the figure holds, and what to expect of others."""
    row = row_of(info)
    return ["", holding(info) or why_missing(info)] if row is not None and row.has("learn") else []


def _details(info: Mapping[str, Any], statements: Mapping[str, str]) -> list[str]:
    backbone, preprocess, parity = (info.get(name) or {} for name in ("backbone", "preprocess", "parity"))
    made = info.get("provenance") or {}
    size, weights = preprocess.get("size"), backbone.get("weights")
    agree = None
    if parity.get("pictures") and parity.get("agreement") is not None:
        agree = (
            f"same answer as the trained network for {percent(parity['agreement'])} of {parity['pictures']:,} pictures"
        )
    return facts(
        {
            "Kind": card_text_of(info).kind,
            "Network": backbone.get("name"),
            "Starting weights": "random" if weights == "none" else weights,
            "Parameters": backbone.get("params"),
            "Multiply-adds for a picture": backbone.get("macs"),
            "Input": f"RGB, {size[0]} x {size[1]} pixels (height x width), fit: {preprocess.get('fit')}"
            if size
            else None,
            "Step of training that was kept": info.get("chosen"),
            "Exported graph": agree,
            "Made": made.get("time"),
            "Made with": f"Photovision {made['versions']['photovision']}" if made.get("versions") else None,
            "Owner": statements.get("owner"),
            "Contact": statements.get("contact"),
        }
    )


def _intended(info: Mapping[str, Any], evidence: Evidence, statements: Mapping[str, str]) -> list[str]:
    names = info["classes"]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    words = card_text_of(info)
    unfit = {
        "groups": "decisions about groups of people or pictures among which its errors were not compared",
        "conditions": "conditions unlike those of the training pictures, such as bad light, weather or blur",
    }
    outside = [words for topic, words in unfit.items() if not evidence.has(topic)]
    return [
        f"{words.aim} {harmless(', '.join(names[:_SHOWN]))}{more}. {words.beyond}",
        "",
        *([f"Out of scope, as it was not measured: {'; '.join(outside)}.", ""] if outside else []),
        *facts({"Purpose, in the words of the owner": statements.get("purpose")}),
    ]


def _factors(info: Mapping[str, Any], evidence: Evidence) -> list[str]:
    known = list(recorded(info))
    seen = " ".join(_words(one) for one in evidence.tables("groups"))
    judged = [name for name in known if f" {name.casefold()} " in seen]
    rest = [name for name in known if name not in judged]
    columns = ",".join(rest) if all(map(str.isidentifier, rest)) else "COLUMN"
    # An audit may bring attributes of its own: the rows of its tables are called "camera = old, site = north".
    named = [str(row[0]) for one in evidence.tables("groups") if one.columns[0] == "group" for row in one.rows]
    brought = dict.fromkeys(part.split(" = ")[0] for name in named for part in name.split(", ") if " = " in part)
    judged += [name for name in brought if name not in known]
    lines = facts({"Groups measured": ", ".join(judged)})
    if rest:
        lines += facts({"Groups known from the training pictures, but not measured": ", ".join(rest)})
        lines += [f"`photovision audit MODEL DATA --by {columns}` measures them.", ""]
    elif not judged:
        lines += [
            f"Groups: {NOT} The training pictures came without attributes, such as sex, age, site or camera; groups of"
            " which nothing is known cannot be compared. Columns of a table bring them: `photovision audit MODEL TABLE"
            " --by COLUMN`.",
            "",
        ]
    conditions = {str(row[0]) for one in evidence.tables("conditions") for row in one.rows if row}
    every = CORRUPTIONS.names()
    return lines + facts(
        {
            "Conditions measured": ", ".join(name for name in every if name in conditions),
            "Conditions not measured": ", ".join(name for name in every if name not in conditions),
        }
    )


def _words(one: Table) -> str:
    """Title, headings and first cells of a table, between spaces and in lower case."""
    first = (str(row[0]) for row in one.rows if row)
    return f" {' '.join((one.title, *one.columns, *first))} ".casefold().translate(str.maketrans(":=,()'", "      "))


def _metrics(info: Mapping[str, Any], evidence: Evidence) -> list[str]:
    names = {name for source in evidence.sources for name in source.metrics}
    if not names:
        return [NOT, ""]
    rules = list(card_text_of(info).rules)
    counts = list(((info.get("data") or {}).get("train_per_class") or {}).values())
    if "balanced_accuracy" in names and len(set(counts)) > 1:
        rules.append(
            f"Classes have between {min(counts):,} and {max(counts):,} training pictures; balanced accuracy and macro"
            " figures let each class count the same, whatever its size."
        )
    how = [words for which, words in card_text_of(info).intervals if names & set(which)]
    rules.append(
        f"Ranges in brackets are 95% intervals; n is how many pictures they rest on. Their kinds: {'; '.join(how)}."
    )
    return bullets(rules)


def _evaluation(info: Mapping[str, Any], audit: Mapping[str, Any] | None) -> list[str]:
    data = info.get("data") or {}
    counts = data.get("counts") or {}
    lines = [
        f"Test: {counts['test']:,} pictures, used once, after all choices." if "test" in counts else "",
        f"Selection and calibration: {counts['val']:,} other pictures." if "val" in counts else "",
        LEARNED_VAL if info.get("learned_val") else "",
        *(data.get("notes") or ())[:1],
    ]
    if audit is not None and audit.get("kind") != "train":
        of = (audit.get("provenance") or {}).get("data") or {}
        name = "Audit" if audit.get("kind") != "optimize" else "Made smaller with"
        lines.append(
            f"{name}: {of['pictures']:,} pictures." if isinstance(of.get("pictures"), int) else f"{name}: see below."
        )
        if of.get("fingerprint"):
            own = of.get("drawn_from", of["fingerprint"]) == data.get("fingerprint")
            lines[-1] += f" Fingerprint {of['fingerprint']}: {'the data of the training' if own else 'other data'}."
    return bullets([sentence for sentence in lines if sentence])


def _training_data(info: Mapping[str, Any]) -> list[str]:
    if unknown := unknowns(info):
        return [unknown[0], "", "DATASHEET.md, beside this file, tells of the pictures that it was adopted with.", ""]
    data = info.get("data") or {}
    if not data:
        return []
    counts = data.get("counts") or {}
    return [
        *facts({"Pictures": counts.get("train"), "Fingerprint": data.get("fingerprint"), "Source": data.get("source")}),
        *told_of_classes(data, most=_WEAKEST),
        *representation(info),
        *kinds(data),
        "DATASHEET.md, beside this file, tells more of the data.",
        "",
    ]


def _analyses(evidence: Evidence) -> list[str]:
    lines = ["### Overall", "", *(figures(evidence.metrics("")) or [NOT, ""])]
    for source in evidence.sources:
        if source.summary:
            lines += [f"What the {harmless(source.name)} found:", "", *bullets(source.summary)]
    for one in evidence.tables(""):
        lines += _shortened(one)
    by_class = {"recall", "average precision", "IoU"}
    if not any(by_class & set(one.columns) for one in evidence.tables("")):
        lines += ["### Class by class", "", "In report.html.", ""]
    lines += ["### Groups", ""]
    return lines + _topic(evidence, "groups", "audit MODEL DATA --by COLUMN", "groups and their intersections")


def _shortened(one: Table) -> list[str]:
    """A table; of the classes only the weakest."""
    rows, title = list(one.rows), one.title
    if "average precision" in one.columns or "IoU" in one.columns:  # these stand with the weakest first
        title += ", the weakest first" if len(rows) > _WEAKEST else ""
    elif "recall" in one.columns and len(rows) > _WEAKEST:
        column = one.columns.index("recall")
        rows = sorted((row for row in rows if row[column] is not None), key=lambda row: _value(row[column]))[:_WEAKEST]
        title += ", the weakest first"
    return [f"### {harmless(title)}", "", *table(one.columns, rows, most=_WEAKEST)]


def _value(cell: Any) -> float:
    return float(cell.value if isinstance(cell, Metric) else cell["value"] if isinstance(cell, Mapping) else cell)


def _topic(evidence: Evidence, topic: str, command: str | None, what: str = "it") -> list[str]:
    found = evidence.lines(topic)
    return found or [NOT, "", *([f"`photovision {command}` measures {what}.", ""] if command else [])]


def _doubt(info: Mapping[str, Any], evidence: Evidence) -> list[str]:
    doubt = info.get("doubt") or {}
    limits = card_text_of(info).limits
    found = evidence.lines("doubt")
    lines = [*bullets(limits), *(found or [NOT, ""])]
    if found and not _tried_others(evidence):
        lines += [f"Pictures of something else: {NOT}", ""]
        lines += ["`photovision evaluate MODEL DATA --unknown OTHERS` measures it.", ""] if doubt else []
    return lines


def _tried_others(evidence: Evidence) -> bool:
    """Whether the model was shown pictures of something else."""
    return any(name == "novelty_auroc" for name, _, _ in evidence.metrics("doubt"))


def _ethics(info: Mapping[str, Any]) -> list[str]:
    parts = info.get("licences") or ()
    open_ = [part["name"] for part in parts if part.get("commercial") is not True]
    lines = [PERSONS]
    if open_:
        lines.append(f"Not known to allow commercial use: {', '.join(open_)}.")
    if info.get("doubt"):
        lines.append(
            "The bundle keeps embeddings, classes and file names of training pictures (references.safetensors): where"
            " names tell of persons, delete that file before the model is passed on."
        )
    if (info.get("data") or {}).get("recorded"):
        lines.append(
            "The bundle keeps digests and perceptual hashes of its training pictures (training_images.safetensors), by"
            " which whoever has a picture can find out whether it was among them: where that must not be, delete that"
            " file before the model is passed on; verbs then say that they cannot tell."
        )
    if (info.get("data") or {}).get("problems"):
        lines.append("bundle.json and the report name the files that were left out of the training.")
    return bullets(lines)


def _caveats(info: Mapping[str, Any], evidence: Evidence) -> list[str]:
    notes = list(((info.get("data") or {}).get("notes") or ())[1:])
    warnings = [warning for source in evidence.sources for warning in source.warnings]
    return bullets(dict.fromkeys([*warnings, *notes]))


def _making(info: Mapping[str, Any]) -> list[str]:
    training, made = info.get("training") or {}, info.get("provenance") or {}
    columns = ("step", "validation", "test", "seconds", "parameters", "how")
    rows = [
        (
            rung["name"] + (" (kept)" if rung["name"] == info.get("chosen") else ""),
            *(rung.get(name) for name in ("val", "test", "seconds", "params", "note")),
        )
        for rung in info.get("rungs") or ()
    ]
    versions = ", ".join(f"{name} {number}" for name, number in (made.get("versions") or {}).items())
    energy = Energy.from_json(info["energy"]) if info.get("energy") else None
    return [
        *(table(columns, rows) if rows else []),
        *_smaller(info),
        *facts(
            {
                "Seconds in all": training.get("seconds"),
                "Seed": str(training["seed"]) if "seed" in training else None,
                "Machine": f"{made['cpu']}, {made.get('cores')} cores" if made.get("cpu") else None,
                "Versions": versions,
                "Energy": f"{energy}, {energy.method}" if energy else NOT,
            }
        ),
    ]


def _smaller(info: Mapping[str, Any]) -> list[str]:
    """What an optimisation after the training did; the figures of this card are those of its last stage."""
    stages = (info.get("optimized") or {}).get("stages")
    if not stages:
        return []
    used = [name for name in (*_STAGE_FIGURES, *_SIZE_FIGURES) if any(stage.get(name) for stage in stages)]
    rows = [(stage["name"], *(stage.get(name) for name in used)) for stage in stages]
    lines = ["Made smaller after the training, judged on the same pictures:", ""]
    lines += table(("stage", *(heading(name)[0] for name in used)), rows)
    if info.get("quantized"):
        lines += ["The folder holds no weights for torch: they would not be those of the graph in 8 bits.", ""]
    return lines


def _licences(info: Mapping[str, Any]) -> list[str]:
    words = {True: "yes", False: "no", None: "unsettled"}
    rows = [
        (part["part"], part["name"], part["licence"], words[part.get("commercial")], part.get("note") or "")
        for part in info.get("licences") or ()
    ]
    return table(("part", "name", "licence", "commercial use", "note"), rows) if rows else []


def _use(info: Mapping[str, Any]) -> list[str]:
    lines = ["```python", "import photovision as pv", "", *card_text_of(info).use, "```", ""]
    for program, (language, code) in other_programs(info).items():
        lines += [f"### {program}", "", f"```{language}", *code.splitlines(), "```", ""]
    return lines
