"""Progress in logs and on terminals."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from photovision.app.progress import Events, Lines, shown, with_events
from photovision.app.web.events import Story
from photovision.core.notebook import Html
from photovision.core.progress import Listener, Progress, silent, visible
from photovision.engine.heartbeat import SILENCE, Heartbeat
from photovision.engine.notebook_progress import NotebookBars
from photovision.engine.progress import narrated, show_table


def test_a_log_gets_a_line_when_a_stage_begins_ends_and_now_and_then() -> None:
    stream, now = io.StringIO(), 0.0
    lines = Lines(stream, clock=lambda: now)
    for done in range(101):
        lines(Progress("fine-tuned", done, 100, f"loss {1 - done / 100:.2f}"))
        now += 0.2
    lines(Progress("export", 0, 3))
    told = stream.getvalue().splitlines()
    assert told[0] == "fine-tuned  0/100  loss 1.00"
    assert told[1] == "fine-tuned  25/100  15 s left  loss 0.75"
    assert told[-2] == "fine-tuned  100/100  loss 0.00"
    assert told[-1] == "export  0/3"
    assert len(told) == 6 or len(told) == 7


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_terminal_gets_bars_with_names_unharmed() -> None:
    code = (
        "from photovision.app.progress import shown\n"
        "from photovision.core.progress import Progress\n"
        "with shown() as listener:\n"
        "    listener(Progress('judging [red]', 5, 5, 'worst [/b] 88%'))\n"
    )
    own, other = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code], stderr=other, check=True, env=environment)
    os.close(other)
    told = os.read(own, 65536).decode()
    os.close(own)
    assert "judging [red]" in told
    assert "worst [/b] 88%" in told
    assert "5/5" in told


def test_without_a_terminal_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as listener:
        listener(Progress("judging", 3, 3))
    assert capsys.readouterr().err == "judging  3/3\n"


def test_steps_without_a_known_end_are_counted_and_not_each_printed() -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock=lambda: 0.0)
    for frame in range(1, 50):
        lines(Progress("following faces", frame, 0))
    assert stream.getvalue() == "following faces  1\n"


def test_programs_read_events(tmp_path: Path) -> None:
    lines = io.StringIO()
    with with_events(Lines(lines), tmp_path / "new" / "events.jsonl") as listener:
        for step in range(100):
            listener(Progress("fine-tuned", step, 100, "loss 0.5", {"loss": 0.5}))
        listener(Progress("fine-tuned", 1, 1, "val 90%", {"rung": {"name": "fine-tuned"}}))
    events = [json.loads(line) for line in (tmp_path / "new" / "events.jsonl").read_text().splitlines()]
    assert events[0]["facts"] == {"loss": 0.5}
    assert events[-1]["facts"]["rung"]["name"] == "fine-tuned"
    assert len(events) < 20, "steps of milliseconds do not fill the disk"
    assert "val 90%" not in lines.getvalue(), "people saw the stage's own last line"


@narrated
def counting(to: int, *, listener: Listener = visible) -> int:
    """A verb."""
    listener(Progress("counting", to, to))
    return to


def test_verbs_of_python_show_their_progress_unless_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Progress] = []
    assert counting(3, listener=silent) + counting(4, listener=heard.append) == 7
    assert [one.done for one in heard] == [4]
    assert capsys.readouterr().err == ""
    assert counting(5) == 5
    assert capsys.readouterr().err == "counting  5/5\n"
    monkeypatch.setenv("RANK", "1")
    counting(6)
    show_table(("a",), [("b",)])
    assert capsys.readouterr().err == ""


def test_a_table_at_the_end_stands_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("", "stage", "val"), [("*", "fine\x1b-tuned", 0.5), ("", "frozen", None)])
    assert capsys.readouterr().err == "   stage        val\n*  fine\ufffd-tuned  0.5\n   frozen       –\n"


def test_a_silent_step_gives_a_sign_of_life_every_three_seconds(tmp_path: Path) -> None:
    now, told, log = 0.0, io.StringIO(), io.StringIO()
    events, lines = Events(told, clock=lambda: now), Lines(log, clock=lambda: now)

    def both(progress: Progress) -> None:
        events(progress)
        lines(progress)

    heart = Heartbeat(both, budget=120, started=0.0, clock=lambda: now)
    heart.beat()
    assert not told.getvalue(), "nothing has begun"
    heart(Progress("loading the libraries", 1, 1))
    while now < 60:
        now += 0.5
        heart.beat()
    seen = [json.loads(line) for line in told.getvalue().splitlines()]
    assert SILENCE + 0.5 <= 3
    assert max(b["time"] - a["time"] for a, b in pairwise(seen)) <= 3
    assert seen[-1]["facts"] == {"waiting": True, "seconds": 60.0, "budget": 120}
    assert len(log.getvalue().splitlines()) == 7, "in a log every ten seconds is enough"
    assert log.getvalue().splitlines()[-1].endswith("still at work  1 min of 2 min")
    story = Story().read(told.getvalue().splitlines())
    assert story.stages["loading the libraries"]["time"] == 0, "the page knows since when nothing else happened"


def test_without_a_budget_a_sign_of_life_states_no_time() -> None:
    now, log = 0.0, io.StringIO()
    heart = Heartbeat(Lines(log, clock=lambda: now), budget=None, started=0.0, clock=lambda: now)
    heart(Progress("explaining", 2, 8))
    now = 11.0
    heart.beat()
    assert log.getvalue().splitlines() == ["explaining  2/8", "explaining  still at work"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_terminal_gets_one_bar_for_the_time_and_a_line_for_what_came_of_a_stage() -> None:
    code = (
        "from photovision.app.progress import shown\n"
        "from photovision.core.progress import Progress\n"
        "from photovision.engine.heartbeat import Heartbeat\n"
        "with shown() as listener:\n"
        "    heart = Heartbeat(listener, 120, 0.0, clock=lambda: 41.0)\n"
        "    heart(Progress('frozen', 3, 5, 'features'))\n"
        "    heart(Progress('frozen', 1, 1, 'val [88%]', {'rung': {}}))\n"
        "    heart(Progress('fine-tuned', 9, 90, 'loss 0.3'))\n"
    )
    own, other = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code], stderr=other, check=True, env=environment)
    os.close(other)
    told = os.read(own, 65536).decode()
    os.close(own)
    assert "frozen  val [88%]" in told
    last = next(line for line in reversed(told.splitlines()) if "fine-tuned" in line)
    assert "41 s of 2 min" in last
    assert "9/90 loss 0.3" in last


class NotebookOutput:
    """One output of a notebook: what it has shown so far."""

    def __init__(self, piece: Html) -> None:
        self.shown = [piece.html]

    def update(self, piece: Html) -> None:
        """Show something else in its place."""
        self.shown.append(piece.html)


def test_a_notebook_gets_one_output_with_a_bar_for_each_stage() -> None:
    outputs: list[NotebookOutput] = []
    now = 0.0

    def show(piece: Html) -> NotebookOutput:
        outputs.append(NotebookOutput(piece))
        return outputs[-1]

    bars = NotebookBars(show, clock=lambda: now)
    for done in range(101):
        bars(Progress("<b>fine-tuned", done, 100, "loss <i>"))
        now += 0.1
    bars(Progress("<b>fine-tuned", 1, 1, "val 90%", {"rung": {}}))
    bars(Progress("export", 0, 3))
    bars.close()
    (output,) = outputs
    assert len(output.shown) < 30
    assert "left" in output.shown[10]
    assert "<b>" not in output.shown[-1]
    assert "&lt;b&gt;fine-tuned" in output.shown[-1]
    assert "10 s" in output.shown[-1]
    assert "export" in output.shown[-1]
    Heartbeat(bars, 60, 0.0, clock=lambda: 30.0)(Progress("export", 1, 3))
    bars.close()
    assert "30 s of 1 min" in output.shown[-1]
