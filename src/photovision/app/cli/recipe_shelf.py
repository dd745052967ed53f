"""recipe shelf: what stands on a shelf, which slots are empty, and what changed between two visits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, ReportFolder

DetectorFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DETECTOR", help="A detector's folder, or yolov4-tiny for the ready one of COCO's 80 classes."
    ),
]
VisitFiles = Annotated[
    list[str], typer.Argument(metavar="VISIT...", help="Pictures of this visit: files, folders or patterns.")
]
Planogram = Annotated[
    Path | None,
    typer.Option("--planogram", "--slots", metavar="FILE", help="Where what should stand, as JSON or CSV."),
]


Reference = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Pictures of full shelves: slots are learned from them, or those of the planogram are theirs.",
    ),
]
Before = Annotated[str | None, typer.Option(metavar="FOLDER", help="Pictures of the visit before: tells what changed.")]
FixedCamera = Annotated[
    bool, typer.Option("--fixed-camera", help="The camera does not move: pictures are not aligned.")
]
Only = Annotated[list[str] | None, typer.Option("--class", help="Count this class only. May be repeated.")]
Least = Annotated[
    float | None, typer.Option(min=0, max=1, help="Least score of a box that is shown; default: the model's.")
]
Windows = Annotated[
    str | None,
    typer.Option(metavar="H[xW]", help="Also run on tiles of this size, to find small objects on big shelves."),
]
FailOnAlarm = Annotated[bool, typer.Option("--fail-on-alarm", help="Exit with 1 where a slot is empty or short.")]


def shelf(
    detector: DetectorFolder,
    files: VisitFiles,
    planogram: Planogram = None,
    reference: Reference = None,
    before: Before = None,
    fixed_camera: FixedCamera = False,
    only: Only = None,
    threshold: Least = None,
    tile: Windows = None,
    fail_on_alarm: FailOnAlarm = False,
    output: ReportFolder = None,
    as_json: Json = False,
) -> None:
    """Count what stands on shelves, tell which slots are empty, and what changed since the visit before."""
    from photovision.app.cli.output import print_report
    from photovision.app.cli.predicting import size_of
    from photovision.app.progress import counted, shown
    from photovision.data.image_paths import find_pictures
    from photovision.models.pretrained import bundle_at
    from photovision.recipes.shelf.page import report
    from photovision.recipes.shelf.shelf import Looker, visit
    from photovision.recipes.shelf.slots import read_slots, write_slots

    slots = () if planogram is None else read_slots(planogram)
    looker = Looker(bundle_at(detector), tuple(only or ()), threshold, None if tile is None else size_of(tile))
    full, old = (None if folder is None else find_pictures([folder]) for folder in (reference, before))
    with shown() as listener:
        progress = counted(listener, "looking")
        pictures = find_pictures(files)
        found = visit(
            looker, pictures, planogram=slots, reference=full, before=old, still=fixed_camera, progress=progress
        )
    print_report(report(found, str(detector)), output, as_json)
    if output is not None and found.learned:
        write_slots(output / "slots.json", found.learned)
    if fail_on_alarm and found.alarms:
        raise typer.Exit(1)
