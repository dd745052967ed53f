"""recipe weather: a training set for tags of light and weather."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, output_option

Pictures = Annotated[
    list[str],
    typer.Argument(metavar="FILE|FOLDER|PATTERN|-...", help="Pictures taken by day in clear weather."),
]
Output = Annotated[Path, output_option("data set", "A new folder for the pictures and their table of labels.")]
Conditions = Annotated[
    list[str] | None,
    typer.Option("--condition", help="A condition to simulate; default: night, fog, rain, snow. May be repeated."),
]


def weather(
    files: Pictures,
    output: Output,
    condition: Conditions = None,
    side: Annotated[int, typer.Option(min=32, max=8192, help="Longest side of the pictures written, in pixels.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Make pictures of night, fog, rain and snow from clear ones, to train a model for --tags; they are simulated."""
    from dataclasses import asdict

    from photovision.app.cli.output import note, print_json
    from photovision.app.progress import counted, shown
    from photovision.data.image_paths import find_pictures
    from photovision.recipes.weather import CONDITIONS
    from photovision.recipes.weather import weather as make

    paths = list(find_pictures(files, sys.stdin))
    with shown() as listener:
        tell = counted(listener, "making weather")
        made = make(
            paths,
            output,
            conditions=tuple(dict.fromkeys(condition or CONDITIONS)),
            side=side,
            seed=seed,
            progress=lambda done: tell(done, len(paths)),
        )
    for line in made.unreadable:
        note(line)
    if as_json:
        print_json({"kind": "weather", "output": str(output), **asdict(made)})
        return
    print(f"{made.pictures:,} pictures of {made.sources:,} sources in {output}; the weather in them is simulated.")
    print(f"Train: photovision train {output} -o weather-model; then use it with --tags weather-model.")
