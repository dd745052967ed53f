"""Desk: what the tools of one server share: models, opened when they are first needed, pictures, jobs, suggestions."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from photovision.app.agents.answer import ToolAnswer, quoted
from photovision.app.agents.jobs import WAIT, AgentJobs, Report
from photovision.app.agents.picture_root import PictureRoot, RootPicture
from photovision.app.agents.suggestions import Suggestions
from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean

MAX_PICTURES = 20_000
"""Of one call."""
_REMEMBERED = 50_000  # answers for pictures


class Desk:
    """What the tools work with.

    Args:
        models: name -> folder, or the name of a ready model; nothing is opened before it is needed.
        root: of the pictures; None for none.
        suggestions: where suggested labels are added; None where none are taken.
        wait: seconds that a call waits for its work.
    """

    def __init__(
        self,
        models: Mapping[str, str | Path],
        root: str | Path | None,
        suggestions: Suggestions | None = None,
        wait: float = WAIT,
    ) -> None:
        self.places = dict(models)
        self.root = PictureRoot(root)
        self.suggestions = suggestions
        self._jobs = AgentJobs(wait)
        self._models: dict[str, Any] = {}
        self._known: dict[tuple[str, Path, int, int], Any] = {}
        self._lock = threading.Lock()

    def model(self, asked: str | None, fits: Callable[[Any], bool], what: str) -> tuple[str, Any]:
        """A model by its name, opened; without a name the first that fits.

        Args:
            asked: its name, or None.
            fits: whether a bundle is of the kind that is needed.
            what: that kind, such as "a classifier".

        Raises:
            UsageError: there is none of that name, or none that fits.
        """
        names = list(self.places) if asked is None else [self.named(asked)]
        for name in names:
            if fits(self.bundle(name)):
                with self._lock:
                    if name not in self._models:
                        self._models[name] = self._opened(name)
                return name, self._models[name]
        raise UsageError(f"{'no model here' if asked is None else asked} is {what}: 'models' tells what there is")

    def named(self, asked: str) -> str:
        """The name, where a model is called so; raises UsageError with the nearest."""
        if asked not in self.places:
            near = did_you_mean(asked[:80], self.places)
            raise UsageError(f"no model is called '{quoted(asked)}'{near}; there are {', '.join(self.places)}")
        return asked

    def bundle(self, name: str) -> Any:
        """The bundle of a model, whose graph is not opened for it."""
        from photovision.engine.load import bundle_of

        return bundle_of(self.places[name], "mcp")

    def work(self, job: Callable[[Report], ToolAnswer], report: Report) -> ToolAnswer:
        """The answer of a piece of work, or the id of the job that it has become."""
        return self._jobs.run(job, report)

    def poll(self, number: str, report: Report) -> ToolAnswer:
        """The answer of a job, or how far it is."""
        return self._jobs.poll(number, report)

    def asked(self, arguments: Mapping[str, Any]) -> list[RootPicture]:
        """The pictures that are named, or all in a folder; raises UsageError."""
        named: Sequence[str] | None = arguments.get("pictures")
        found = self.root.pictures(arguments.get("folder", "")) if named is None else self.root.find_all(named)
        if len(found) > MAX_PICTURES:
            raise UsageError(f"these are {len(found):,} pictures, at most {MAX_PICTURES:,} a call: name a folder")
        return found

    def results(self, kind: str, model: Any, pictures: Sequence[RootPicture], report: Report) -> Iterator[Any]:
        """A model's result for each picture, in order; files that did not change are not predicted again.

        Args:
            kind: of the results, under which they are remembered, such as the model's name.
            model: opened.
            pictures: of the root.
            report: takes (done, total).
        """
        keys = [(kind, one.path, *_stamp(one.path)) for one in pictures]
        new = [place for place, key in enumerate(keys) if key not in self._known]
        for done, (place, result) in enumerate(
            zip(new, model.results([str(pictures[place].path) for place in new]), strict=True), 1
        ):
            self._remember(keys[place], result)
            if done % 16 == 0 or done == len(new):
                report(done, len(new))
        yield from (self._known[key] for key in keys)

    def measured(self, picture: RootPicture, measure: Callable[[Path], Any]) -> Any:
        """What a function finds in a picture, remembered as long as the file does not change."""
        key = (measure.__name__, picture.path, *_stamp(picture.path))
        if key not in self._known:
            self._remember(key, measure(picture.path))
        return self._known[key]

    def _remember(self, key: tuple[str, Path, int, int], value: Any) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[key] = value

    def _opened(self, name: str) -> Any:
        # NumPy's small products gain nothing from threads, and these wait by spinning.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from photovision.engine.load import load

        return load(self.places[name])


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = os.stat(path)
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size
