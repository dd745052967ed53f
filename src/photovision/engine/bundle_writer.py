"""The one writer of bundles: new ones at the end of a training, and changed copies of others."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from photovision.core.folder import new_folder
from photovision.core.output import placed
from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.core.seal import edited, write_sealed
from photovision.core.task import Task
from photovision.engine.card_metrics import report_of
from photovision.engine.card_text import row_of
from photovision.engine.complete_card import FILE, statements
from photovision.engine.datasheet import datasheet
from photovision.engine.elsewhere import SECONDS
from photovision.engine.evaluate import evaluation_report
from photovision.engine.evaluate_text import training_title
from photovision.engine.evaluation import Evaluation
from photovision.engine.learned import Learned
from photovision.engine.model_card import model_card
from photovision.engine.remember import remember_usual
from photovision.engine.similarity import headed, held_out_similarity, with_usual
from photovision.engine.time_text import time_told
from photovision.engine.trivial import with_trivial
from photovision.runtime.bundle import Bundle, read_bundle
from photovision.runtime.bundle_info import describe_model, write_info
from photovision.runtime.held_out import HeldOut
from photovision.runtime.similarity import NAME
from photovision.runtime.training_images import TRAINING_IMAGES_FILE

if TYPE_CHECKING:
    from photovision.engine.training_run import TrainingRun

Keep = Literal["all", "weights", "record"]
_RECORD = ("DATASHEET.md", FILE, TRAINING_IMAGES_FILE)
_WEIGHTS = ("model.safetensors", "config.json")
_ELSEWHERE_TIME = 0.05  # share of the budget, at most, for held-out images as they might look elsewhere


@dataclass(eq=False)
class BundleDraft:
    """A bundle in the making.

    Attributes:
        folder: where its files are written.
        name: what the finished bundle is called, for its card.
        info: what its bundle.json will hold.
        report: its proof, which is written beside it and which the card tells of; None leaves the one that is there.
        texts: whether a card and a data sheet are written.
    """

    folder: Path
    name: str = ""
    info: dict[str, Any] = field(default_factory=dict)
    report: Report | None = None
    texts: bool = True

    @property
    def bundle(self) -> Bundle:
        """As it is so far, to ask its graph."""
        return Bundle(self.folder, self.info)

    def close(self) -> None:
        """Write the description and the texts; those that people have edited stay."""
        row = row_of(self.info)
        if row is not None and row.has("publish"):
            row.part("publish")(self.folder, self.info)
        write_info(self.folder, self.info)
        if self.report is not None:
            write_report(self.report, self.folder)
        if not self.texts:
            return
        proof = report_of(self.folder) if self.report is None else self.report.to_json()
        card = model_card(self.info, proof, statements(self.folder), self.name)
        for name, text in (("README.md", card), ("DATASHEET.md", datasheet(self.info))):
            if not ((self.folder / name).is_file() and edited(self.folder / name)):
                write_sealed(self.folder / name, text)


@contextmanager
def new_bundle(output: str | Path, sources: tuple[Path, ...] = ()) -> Iterator[BundleDraft]:
    """Write a bundle at once, replacing an older one there; one that cannot be read replaces nothing.

    Args:
        output: its folder.
        sources: folders that are read meanwhile; the output may not be one of them.

    Raises:
        UsageError: something of the user's is in the way.
        ModelError: what was written is no bundle.
    """
    with new_folder(Path(output), "model", sources) as folder:
        draft = BundleDraft(folder, placed(Path(output)).name)
        yield draft
        draft.close()
        read_bundle(folder)


@contextmanager
def changed_bundle(source: Bundle, output: str | Path, *, keep: Keep = "all") -> Iterator[BundleDraft]:
    """Write a changed copy of a bundle; arguments and errors else as of `new_bundle`.

    Args:
        source: the bundle that it is made from.
        output: its folder.
        keep: "all" of its files; its "weights" with the data sheet and the record of its training images; or the
            "record" only, for a graph with other weights.
    """
    with new_bundle(output, (source.path,)) as draft:
        copy_files(source.path, draft.folder, keep)
        draft.info = {**source.info}
        yield draft


def copy_files(source: Path, folder: Path, keep: Keep) -> None:
    """Copy from one bundle's folder into another's what stays true, see `changed_bundle`."""
    if keep == "all":
        shutil.copytree(source, folder, dirs_exist_ok=True)
        return
    for name in (*_RECORD, *(_WEIGHTS if keep == "weights" else ())):
        if (source / name).is_file():
            shutil.copy2(source / name, folder / name)


def write_learned(run: TrainingRun, row: Task, learned: Learned, output: Path) -> None:
    """Export what was learned, compare, complete, evaluate on test once, and write the bundle with its proof.

    Args:
        run: the training.
        row: its task.
        learned: what it ended with.
        output: the bundle.

    Raises:
        ExportError: the exported graph decides otherwise than what was learned.
    """
    run.tell("export", 0, 3, "writing the graph")
    with new_bundle(output) as draft:
        parity = learned.export(draft.folder)
        run.splits.remember(draft.folder)
        draft.info = _described(run, row, learned, parity)
        run.tell("export", 1, 3, "completing it")
        draft.info |= learned.complete(draft.bundle)
        model = row.part("model")(draft.bundle)
        evaluation = None if learned.prove else _evaluated(run, row, draft, model)
        if evaluation is None:
            assert learned.prove is not None
            proof = learned.prove(model)
        else:
            proof = evaluation_report(model, evaluation, run.splits.test, run.splits.leaked.tolist())
        draft.info["training"] |= _spent(run)
        draft.info["metrics"] = {name: metric.to_json() for name, metric in proof.metrics.items()}
        for stage in draft.info["rungs"]:
            if stage["name"] == learned.chosen:
                stage["test"] = next(draft.info["metrics"][name] for name in row.lead if name in proof.metrics)
        draft.report = _reported(output, learned, draft.info, proof)
        if evaluation is not None:
            report, seed, short = headed(row, draft.info, draft.report), run.config.seed, run.short
            draft.report = with_trivial(report, row, evaluation, run.splits, seed=seed, short=short)
        draft.info |= {"energy": run.meter.read().to_json(), "warnings": list(draft.report.warnings)}
    run.tell("export", 3, 3)


def _evaluated(run: TrainingRun, row: Task, draft: BundleDraft, model: Any) -> Evaluation:
    """The evaluation on test, once; what the model keeps of held-out images is written."""
    val, seed = _with_similarity(run, draft, model), run.config.seed
    run.tell("export", 2, 3, "evaluating on test")
    evaluation: Evaluation = row.part("evaluate")(model, run.splits.test, embeddings=True)
    remember_usual(evaluation.answers, run.splits.leaked, val, len(run.splits.val), draft.folder, seed)
    draft.info[NAME] = with_usual(draft.info[NAME], draft.bundle)
    return evaluation


def _with_similarity(run: TrainingRun, draft: BundleDraft, model: Any) -> HeldOut | None:
    """Add accuracy by similarity, where the task has not; the answers for the validation images that it rests on."""
    if NAME in draft.info:
        return None
    component = run.splits.component[run.splits.splits.val]
    seconds = 0.0 if run.short else min(SECONDS, _ELSEWHERE_TIME * run.budget)
    draft.info[NAME], answers = held_out_similarity(model, run.splits.val, component, run.config.seed, seconds)
    return answers


def _reported(output: Path, learned: Learned, info: dict[str, Any], proof: Report) -> Report:
    report = learned.report(info, proof)
    title = training_title(output.resolve().name, info["classes"])
    summary = (*report.summary, *time_told(info["training"]))
    return replace(report, title=title, assessment=proof.assessment, summary=summary)


def _spent(run: TrainingRun) -> dict[str, Any]:
    """What became of the budget, for `engine.time_text.time_told`."""
    return {
        "seconds": round(time.monotonic() - run.started, 1),
        "not_tried": [{"stage": stage, "minutes": minutes} for stage, minutes in run.not_tried.items()],
        "others": round(run.threads.others(), 2),
    }


def _described(run: TrainingRun, row: Task, learned: Learned, parity: Mapping[str, Any]) -> dict[str, Any]:
    chosen = next(stage for stage in learned.stages if stage.name == learned.chosen)
    seconds = round(time.monotonic() - run.started, 1)
    return describe_model(
        row.name,
        learned.classes,
        learned.preprocess,
        backbone={**learned.backbone, "params": chosen.params, "macs": chosen.macs},
        chosen=learned.chosen,
        training={**run.config.to_json(), "decisions": run.work.decisions, "seconds": seconds},
        data=run.splits.describe(),
        parity=parity,
        licences=learned.licences,
        facts={"rungs": [stage.to_json() for stage in learned.stages], **learned.facts},
    )
