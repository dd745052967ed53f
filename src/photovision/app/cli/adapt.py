"""adapt: a model fitted to a place of use by unlabelled images from there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Coverage, FalseAlarms, Json, Model, output_option
from photovision.app.cli.reading import Pictures, needs_data, read_data, read_pictures, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

Labelled = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA",
        help="Labelled images, best the data of the training: needed to adapt normalisation, which is tried on them.",
    ),
]


@reads_data
def adapt(
    model: Model,
    pictures: Pictures,
    output: Annotated[Path, output_option("model", "Folder of the adapted model.")],
    labelled: Labelled = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the simulated places.")] = 0,
    as_json: Json = False,
) -> None:
    """Adapt a model to a place by unlabelled images from there.

    The mix of classes, normalisation statistics and confidence are fitted to the place, each only where it gains in
    simulated places made of held-out images. A copy of the model is written; where nothing would help, nothing is.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.engine.adapt import adapt as fit
    from photovision.engine.load import load, opened

    needs_data(labelled, reading, "--labelled")
    own = load(model, coverage=coverage, false_alarms=false_alarms)
    opened(own, "adapt")
    unlabelled = read_pictures(pictures).dataset
    tried = None if labelled is None else read_data(labelled, reading, own.bundle.task)
    with shown() as listener:
        report = fit(own, unlabelled, output, labelled=tried, seed=seed, listener=listener)
    print_report(report, None, as_json)
    if not as_json:
        print(f"\nModel: {output}")
