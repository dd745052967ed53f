"""Jobs: one command of Photovision at a time in a process of its own, followed through the events that it writes.

The page stays responsive, Ctrl-C in the terminal reaches the command, too, and a page that is loaded again finds it.
What a job needs to go on after a restart of the page lies in the user's cache. There the command holds a lock while it
lives, so that every page of the folder knows whether it does: a second page follows it and never starts another one
beside it, and neither does one that was opened after the first page was killed.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photovision.app.cli.output import alert
from photovision.app.web.events import Story
from photovision.app.web.workspace import State
from photovision.core.errors import PhotovisionError, UsageError
from photovision.core.files import explained, write_json
from photovision.core.subprocesses import python_command, python_environment
from photovision.core.system import cache_folder

PATIENCE = 15.0
"""Seconds that a cancelled command may take to end by itself."""
_SHOWN = 40  # lines of a command without events
_ENDINGS = {0: "done", 130: "stopped"}
_CANCELLED = "cancelled"  # a file by which another page says so to the one that started the command
_PLAIN = "weights"  # the one command without JSON
_WITH_EVENTS = ("train", "check", "estimate", "index")
"""Commands that write events; the others are followed by what they say on standard error."""
_SETTLING = 0.5  # seconds after which the page that started a command has noted how it ended


@dataclass(eq=False)
class Job:
    """One command.

    Attributes:
        kind: name of the command, such as "train".
        title: for people.
        arguments: of the command line, without those for programs.
        facts: JSON-ready, what the page wants to know of it, such as the data set.
        folder: where its events and its messages lie.
        began: seconds since 1970.
        state: "running", "done", "failed" or "stopped".
        ended: seconds since 1970.
        cancelled: whether somebody wanted it to end.
    """

    kind: str
    title: str
    arguments: Sequence[str]
    facts: Mapping[str, Any]
    folder: Path
    began: float = field(default_factory=time.time)
    state: str = "running"
    ended: float | None = None
    cancelled: bool = False

    def to_json(self) -> dict[str, Any]:
        """What is needed to tell of it, or to start it again, later."""
        names = ("kind", "title", "began", "state", "ended")
        return {
            **{name: getattr(self, name) for name in names},
            "arguments": [*self.arguments],
            "facts": {**self.facts},
        }

    def status(self) -> dict[str, Any]:
        """What the page shows: how far it is, the rungs, the curves, the log, and why it failed."""
        story = Story.of(self.folder / "events.jsonl")
        messages = _tail(self.folder / "messages.txt")
        status = {**self.to_json(), **story.to_json(), "now": time.time(), "error": None}
        del status["arguments"]
        if self.kind not in _WITH_EVENTS:
            status["log"] = [{"time": None, "text": line.removeprefix("photovision: ")} for line in messages[-_SHOWN:]]
        if self.state == "failed":
            lines = [line for line in messages if line.startswith("photovision: ")] or messages
            status["error"] = lines[-1].removeprefix("photovision: ") if lines else "it ended without a word"
        return status


class Jobs:
    """The one job of this page, running or last.

    Args:
        place: what the jobs belong to: the folder of the page.
        finished: called with a job that ended, in a thread of its own.
    """

    def __init__(self, place: Path | None, finished: Callable[[Job], None] = lambda job: None) -> None:
        key = hashlib.sha256(str(place).encode("utf-8", "replace")).hexdigest()[:16]
        self.folder = cache_folder().absolute() / "jobs" / key
        self._place, self._finished = place, finished
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._adopted: int | None = None
        self._seen: int | None = None
        self.job: Job | None = None
        self.look()
        atexit.register(self.end)  # a page that ends takes its command with it; both can be started again

    def look(self) -> Job | None:
        """The job that runs or the last one, also where another page of this folder started it."""
        with self._guard, contextlib.suppress(OSError):
            stamp = (self.folder / "job.json").stat().st_mtime_ns
            if stamp != self._seen and (self.job is None or self.job.state != "running"):
                self._seen, self.job = stamp, self._last()
        return self.job

    def start(self, kind: str, title: str, arguments: Sequence[str], facts: Mapping[str, Any]) -> Job:
        """Start a command; raises UsageError while one is running."""
        with self._guard:
            if self.job is not None and self.job.state == "running":
                raise UsageError(f"{self.job.title} is still under way: wait for its end, or cancel it")
            job = Job(kind, title, tuple(arguments), dict(facts), self.folder)
            with explained(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = self._lock()
                if lock is None:
                    raise UsageError("another page of this folder has a command under way: reload the page to see it")
                try:
                    for name in ("events.jsonl", "messages.txt", "result.json", _CANCELLED):
                        (self.folder / name).unlink(missing_ok=True)
                    self._process = self._spawn(job, lock)
                finally:
                    os.close(lock)  # the command holds it on
            write_json(self.folder / "job.json", {**job.to_json(), "process": self._process.pid})
            self.job, self._adopted = job, None
            threading.Thread(target=self._follow, args=(job, self._process), daemon=True, name="job").start()
            return job

    def again(self) -> Job:
        """Start the last command again, which resumes; raises UsageError where there is none."""
        if self.job is None:
            raise UsageError("there is nothing to go on with: start a training")
        return self.start(self.job.kind, self.job.title, self.job.arguments, self.job.facts)

    def cancel(self) -> None:
        """Interrupt the command as Ctrl-C does; one of this page that does not end by itself is ended."""
        process = self._process
        if self.job is None or self.job.state != "running":
            return
        self.job.cancelled = True
        if process is None or process.poll() is not None:
            self._interrupt_adopted()
            return
        with contextlib.suppress(OSError):
            process.send_signal(signal.SIGINT)
        threading.Thread(target=self._insist, args=(process,), daemon=True, name="cancel").start()

    def end(self) -> None:
        """The page ends: its own command is interrupted, and waited for; one of another page goes on."""
        process = self._process
        if process is not None and process.poll() is None:
            if self.job is not None:
                self.job.cancelled = True
                alert(f"{self.job.title} is interrupted; it can be resumed when the page is opened again")
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGINT)
            self._insist(process)

    def _insist(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the command has ended and has been taken notice of."""
        end = float("inf") if seconds is None else time.monotonic() + seconds
        while self.job is not None and self.job.state == "running" and time.monotonic() < end:
            time.sleep(0.02)

    def _lock(self) -> int | None:
        """An open file that holds the lock of this folder's jobs; None where a living command holds it."""
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    def _spawn(self, job: Job, lock: int) -> subprocess.Popen[bytes]:
        events = ["--events", str(self.folder / "events.jsonl")] if job.kind in _WITH_EVENTS else []
        with (self.folder / "messages.txt").open("wb") as messages, (self.folder / "result.json").open("wb") as result:
            return subprocess.Popen(
                python_command("photovision", *job.arguments, *(() if job.kind == _PLAIN else ("--json",)), *events),
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=messages,
                env={**python_environment(), "PYTHONUNBUFFERED": "1"},
                cwd=self.folder,
                pass_fds=(lock,),
            )

    def _follow(self, job: Job, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        job.ended = time.time()
        job.cancelled |= (self.folder / _CANCELLED).exists()
        ended = "stopped" if job.cancelled or code < 0 else "failed"  # early on, Python itself ends with another code
        state = _ENDINGS.get(code, ended)
        with contextlib.suppress(PhotovisionError, OSError):
            write_json(self.folder / "job.json", {**job.to_json(), "state": state})
        try:
            if state == "done":
                self._finished(job)
        finally:
            job.state = state

    def _last(self) -> Job | None:
        """The last job of an earlier page; one that was under way then stopped with it."""
        try:
            told = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))
            job = Job(told["kind"], told["title"], told["arguments"], told["facts"], self.folder, told["began"])
            job.state, job.ended = told["state"], told["ended"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if job.state == "running":
            lock = self._lock()
            if lock is None:
                self._adopted = told.get("process")
                threading.Thread(target=self._accompany, args=(job,), daemon=True, name="job").start()
            else:
                os.close(lock)
                job.state, job.ended = "stopped", None
        return job

    def _accompany(self, job: Job) -> None:
        """Wait for the end of a command that another page started."""
        with contextlib.suppress(OSError), (self.folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(_SETTLING)
        state = "running"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))["state"]
        if state == "running":  # nobody was there to note how it ended
            state = "done" if self._has_result() else "stopped"
        job.ended = time.time()
        try:
            if state == "done":
                self._finished(job)
        finally:
            job.state = state

    def _has_result(self) -> bool:
        try:
            return isinstance(json.loads((self.folder / "result.json").read_bytes()), dict)
        except (OSError, ValueError):
            return False

    def _interrupt_adopted(self) -> None:
        try:
            number = int(self._adopted or 0)
            if Path(f"/proc/{number}/cwd").resolve() == self.folder.resolve():  # numbers are given out again
                (self.folder / _CANCELLED).touch()
                os.kill(number, signal.SIGINT)
        except (OSError, ValueError, TypeError):
            return


def jobs_of(state: State) -> Jobs:
    """Those of a page, for `State.shared`."""
    jobs = Jobs(state.folder, lambda job: state.refresh())
    state.leaving.append(jobs.end)
    return jobs


def _tail(path: Path, most: int = 200) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-most:]
    except OSError:
        return []
