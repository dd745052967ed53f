"""Prints the contract as a table: tasks x verbs x doors, each obeyed, refused in a sentence, or without a route.

python tests/contract/matrix.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from doors import Answer, python, service
from tiny import TASKS, register
from verbs import VERBS, Place, place_of

import photovision as pv

DOORS = ("Python", "command line", "HTTP")


def cell(answer: Answer) -> str:
    """What a cell of the table says of an answer."""
    return "yes" if answer.ok else "no route" if answer.code == 404 else f"refused: {answer.reason}"


def _trained(place: Place, out: Path) -> Answer:
    choices = {**place.task.training, "minutes": 0.5}
    return python(lambda: pv.train(place.new, out, **choices).classes)


def matrix(folder: Path, train: bool) -> list[tuple[str, ...]]:
    """Rows (task, verb, a cell a door); trainings take minutes."""
    places = {name: place_of(task, folder / name) for name, task in TASKS.items()}
    rows: list[tuple[str, ...]] = []
    with service({name: place.model for name, place in places.items()}) as client:
        for name, place in places.items():
            if train:
                rows.append((name, "train", cell(_trained(place, folder / f"{name}-trained")), "same code", "no route"))
            for verb, asked in VERBS.items():
                outs = folder / f"{name}-{verb}-1", folder / f"{name}-{verb}-2"
                by_command = asked.asked_command(place, outs[1])
                answers = asked.asked_python(place, outs[0]), by_command, asked.asked_http(verb, place, client)
                rows.append((name, verb, *map(cell, answers)))
    return rows


def main() -> None:
    """Print the table as Markdown; with --train also the trainings."""
    register()
    with TemporaryDirectory() as folder:
        rows = matrix(Path(folder), "--train" in sys.argv)
    print("| task | verb | " + " | ".join(DOORS) + " |\n|---|---|" + "---|" * len(DOORS))
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
