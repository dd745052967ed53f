"""estimate: what accuracy to expect of a model on images of another place, without labels."""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.options import Events, Json, Model, ReportFolder
from photovision.app.cli.reading import FileColumn, Pictures, Root


def estimate(
    model: Model,
    pictures: Pictures,
    output: ReportFolder = None,
    file_column: FileColumn = None,
    root: Root = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the interval.")] = 0,
    events: Events = None,
    as_json: Json = False,
) -> None:
    """Estimate the accuracy at another place, without labels.

    The estimate rests on how alike the images are to the training images and on how sure the model is of them. The
    report also names the images of which least is expected.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.cli.reading import read_pictures
    from photovision.app.progress import shown, with_events
    from photovision.engine.estimate import estimate as judge
    from photovision.engine.load import opened

    own = opened(model, "estimate", "drift")
    given = read_pictures(pictures, file_column, root)
    with shown() as people, with_events(people, events) as listener:
        report = judge(own, given, seed=seed, listener=listener)
    print_report(report, output, as_json)
