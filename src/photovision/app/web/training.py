"""Training on the local page, checks of data sets and estimates: the same commands as in a terminal, followed live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from photovision.app.web.check_results import folder_of
from photovision.app.web.estimating import add_routes
from photovision.app.web.fetching import offered
from photovision.app.web.jobs import Job, Jobs, jobs_of
from photovision.app.web.workspace import State
from photovision.core.errors import UsageError
from photovision.core.task import Task

_NAME = 100


class Reading(BaseModel, extra="forbid"):
    """How the data are read: `photovision.data.read_options.ReadOptions`, but without another folder of pictures."""

    format: str | None = None
    multilabel: bool | None = None
    label_column: str | None = None
    file_column: str | None = None
    uncertain: str | None = None
    label_separator: str | None = None
    label_from: str | None = None

    def flags(self) -> list[str]:
        """The same as flags of a command.

        Example:
            >>> Reading(multilabel=False, label_column="dx").flags()
            ['--single-label', '--label-column=dx']
        """
        chosen = self.model_dump(exclude_none=True, exclude={"multilabel"})
        several = {True: ["--multilabel"], False: ["--single-label"], None: []}[self.multilabel]
        return [*several, *(f"--{name.replace('_', '-')}={value}" for name, value in chosen.items())]


class Training(BaseModel):
    """What should be trained: the options of `photovision train` that the page offers.

    `name` is the folder of the model, below the folder of the page; `replace` allows that a model is there already.
    `task` is one of those that can learn from the data; None takes the one that they teach.
    `backbone` is the name of weights that are here, see `photovision.app.web.fetching.offered`.
    """

    data: str
    name: str = Field(min_length=1, max_length=_NAME)
    task: str | None = None
    minutes: float = Field(5.0, gt=0, le=60 * 24)
    commercial: bool = False
    robust: list[str] = []
    fair_by: str | None = None
    backbone: str | None = None
    replace: bool = False
    reading: Reading = Reading()


class Examination(BaseModel):
    """What should be checked, and whether labels should be examined, too."""

    data: str
    labels: bool = False
    minutes: float = Field(2.0, gt=0, le=60 * 24)
    reading: Reading = Reading()


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/training")
    jobs = state.shared(jobs_of)

    @router.get("/options")
    def options() -> dict[str, Any]:
        """What the form offers beside the data sets."""
        from photovision.data.corruptions import FAMILIES

        return {"robust": [*FAMILIES, "augmix"]}

    @router.post("/start")
    def start(wish: Training) -> dict[str, Any]:
        """Start a training."""
        return train(state, jobs, wish).status()

    @router.post("/check")
    def check(wish: Examination) -> dict[str, Any]:
        """Start a check of a data set; what it finds goes into the user's cache."""
        return examine(state, jobs, wish).status()

    @router.get("/job")
    def job() -> dict[str, Any]:
        """The job that runs, or the last one."""
        return status(jobs.look())

    @router.post("/cancel")
    def cancel() -> dict[str, Any]:
        """Interrupt the job; what is done so far is kept."""
        jobs.cancel()
        return status(jobs.job)

    @router.post("/again")
    def again() -> dict[str, Any]:
        """Go on with the last job where it stopped."""
        return jobs.again().status()

    add_routes(router, state, jobs)
    return router


def train(state: State, jobs: Jobs, wish: Training) -> Job:
    """Start a training; raises UsageError where a job runs, or the name cannot be used."""
    row = task_of(state, wish)
    if row is not None:
        given = {"robust": tuple(wish.robust), "fair_by": wish.fair_by, "backbone": wish.backbone}
        row.check_options("train", given)
        check_backbone(wish.backbone, row)
    output = output_of(state, wish.name, wish.replace)
    arguments = command(wish, state.data_of(wish.data), output)
    name = output.relative_to(state.inside("")).as_posix()
    facts = {"data": wish.data, "model": name, "minutes": wish.minutes, "task": row and row.name}
    return jobs.start("train", f"the training of {name}", arguments, facts)


def task_of(state: State, wish: Training) -> Task | None:
    """The task that is to be learned; raises UsageError for one that cannot learn from these data."""
    if wish.task is None:
        return state.task_of(wish.data)
    rows = state.tasks_of(wish.data)
    found = next((row for row in rows if row.name == wish.task), None)
    if found is None:
        names = ", ".join(row.name for row in rows) or "no task"
        raise UsageError(f"{wish.data} teaches {names}, not {wish.task!r}")
    return found


def check_backbone(name: str | None, row: Task) -> None:
    """Raise UsageError for a network that is not here, or that the task does not learn from."""
    if name is None:
        return
    here = [one["name"] for one in offered() if one["here"] and row.name in one["learns"]]
    if name not in here:
        raise UsageError(f"{row.text.a_noun} cannot start from '{name}' here, only from {', '.join(here) or 'none'}")


def examine(state: State, jobs: Jobs, wish: Examination) -> Job:
    """Start a check; raises UsageError where a job runs."""
    source = state.data_of(wish.data)
    arguments = ["check", str(source), "--output", str(folder_of(source)), "--minutes", str(wish.minutes)]
    arguments += [*(["--labels"] if wish.labels else []), *wish.reading.flags()]
    facts = {"data": wish.data, "labels": wish.labels, "minutes": wish.minutes}
    return jobs.start("check", f"the check of {wish.data}", arguments, facts)


def status(job: Job | None) -> dict[str, Any]:
    """The job for the page; `{"state": None}` where there is none."""
    return {"state": None} if job is None else job.status()


def output_of(state: State, name: str, replace: bool) -> Path:
    """The folder of a new model; raises UsageError for a name that is no folder's, or that is taken."""
    parts = Path(name).parts
    if any(part.startswith((".", "-")) for part in parts) or not name.isprintable():
        raise UsageError(f"a model's name should be that of a folder, such as flowers-model, got {name!r}")
    output = state.inside(name)
    if output == state.inside(""):
        raise UsageError("a model needs a folder of its own: give it a name")
    if (output / "bundle.json").is_file() and not replace:
        raise UsageError(f"there is a model {name} already: choose another name, or allow that it is replaced")
    return output


def command(wish: Training, source: Path, output: Path) -> list[str]:
    """The command line of a training.

    Example:
        >>> command(Training(data="a", name="m", commercial=True), Path("a"), Path("m"))
        ['train', 'a', '--output', 'm', '--minutes', '5.0', '--commercial']
    """
    arguments = ["train", str(source), "--output", str(output), "--minutes", str(wish.minutes)]
    arguments += ["--task", wish.task] if wish.task else []
    arguments += ["--commercial"] if wish.commercial else []
    arguments += ["--robust", ",".join(wish.robust)] if wish.robust else []
    arguments += wish.reading.flags()
    arguments += ["--backbone", wish.backbone] if wish.backbone else []
    return arguments + (["--fair-by", wish.fair_by] if wish.fair_by else [])
