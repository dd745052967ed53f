"""The same pictures and the same minutes: timm, fastai and Photovision, each in a process of its own, judged alike.

    python benchmarks/peers/side_by_side.py DATA --minutes 2 --size 128 --peer-python PYTHON --fastai-epochs 1

DATA has train/, val/ and test/ with a folder for each class, or Train/ and Valid/ as some sets are published: then
Valid is the test part, and every fifth picture of Train the val part. PYTHON has timm and fastai (and see weights.py).
Prints a row of a Markdown table for each program: lines of code, seconds waited, accuracy and calibration error on the
test part. The seconds are those of the whole command, from the start of Python to its end.
"""

from __future__ import annotations

import argparse
import ast
import csv
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photovision.core.report import Metric
from photovision.engine.load import load
from photovision.trust.metrics.scores import single_label

HERE = Path(__file__).parent
START, JUDGING = 6, 9
"""Seconds that importing libraries and answering the test pictures take in timm_finetune.py, about."""


@dataclass(frozen=True)
class Row:
    """What one program needed and reached.

    Attributes:
        name: of the program.
        lines: of its code, without comments, docstrings and blank lines.
        seconds: from the start of the command to its end.
        metrics: accuracy and ece on the test part.
    """

    name: str
    lines: int
    seconds: float
    metrics: dict[str, Metric]

    def __str__(self) -> str:
        """A row of a Markdown table."""
        found = (str(self.metrics[name]) for name in ("accuracy", "ece"))
        return " | ".join(["", self.name, str(self.lines), f"{self.seconds:.0f} s", *found, ""]).strip()


def parts(data: Path, folder: Path) -> Path:
    """`data` where it has train, val and test; else a copy in `folder` that has, from Train and Valid."""
    if (data / "test").is_dir():
        return data
    for picture in sorted(data.glob("Valid/*/*")):
        _copy(picture, folder / "test" / picture.parent.name)
    for label in sorted((data / "Train").iterdir()):
        for number, picture in enumerate(sorted(label.iterdir())):
            _copy(picture, folder / ("val" if number % 5 == 4 else "train") / label.name)
    return folder


def judged(answers: Path) -> dict[str, Metric]:
    """Figures of a file with a path, the true class and a probability for each class in every row."""
    with answers.open(newline="") as file:
        _, _, *classes = next(rows := csv.reader(file))
        content = list(rows)
    probs = np.array([row[2:] for row in content], np.float32)
    return single_label(probs / probs.sum(1, keepdims=True), np.array([classes.index(row[1]) for row in content]))


def peer(python: str, program: str, data: Path, output: Path, *more: str) -> Row:
    """Run one of the peers' programs, and judge its answers."""
    seconds = _timed([python, str(HERE / program), str(data), "-o", str(output), *more])
    return Row(program, lines_of((HERE / program).read_text()), seconds, judged(output))


def ours(data: Path, output: Path, minutes: float) -> Row:
    """One command; its figures on the test part are those in the model that it writes."""
    arguments = ["train", str(data), "-o", str(output), "--minutes", f"{minutes:g}"]
    seconds = _timed([sys.executable, "-m", "photovision", *arguments])
    return Row("photovision train", 1, seconds, _figures(output))


def lines_of(code: str) -> int:
    """Lines of Python that are neither blank, comments nor docstrings."""
    tree = ast.parse(code)
    stated = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    texts = [value for value in stated if isinstance(value, ast.Constant)]
    left_out = {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}
    lines = enumerate(code.splitlines(), 1)
    return sum(number not in left_out and bool(line.split("#")[0].strip()) for number, line in lines)


def _figures(model: Path) -> dict[str, Metric]:
    return {name: Metric(**value) for name, value in load(model).info["metrics"].items()}


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=sys.stderr)
    return time.perf_counter() - started


def _copy(picture: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(picture, folder)


def main() -> None:
    """Run the programs that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--fastai-epochs", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="Side of the peers' input, in pixels.")
    parser.add_argument("--only", nargs="+", choices=["timm", "fastai", "photovision"])
    asked = parser.parse_args()
    chosen = asked.only or ["timm", "fastai", "photovision"]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        data = parts(asked.data, place / "data")
        python, size = asked.peer_python, ("--size", f"{asked.size}")
        if "timm" in chosen:
            more = *size, "--seconds", f"{asked.minutes * 60 - START - JUDGING:g}"
            print(peer(python, "timm_finetune.py", data, place / "timm.csv", *more), flush=True)
        if "fastai" in chosen:
            more = *size, "--epochs", f"{asked.fastai_epochs}"
            print(peer(python, "fastai_finetune.py", data, place / "fastai.csv", *more), flush=True)
        if "photovision" in chosen:
            print(ours(data, place / "model", asked.minutes), flush=True)


if __name__ == "__main__":
    main()
