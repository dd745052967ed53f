"""update, rollback and versions: a model that grows by new pictures, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photovision.app.cli.options import Json
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.trust.promotion import PromotionLimits

REFUSED = 1
Folder = Annotated[
    Path, typer.Argument(metavar="VERSIONS", help="A folder of versions, which 'photovision update' made of a model.")
]


def _points(text: str) -> Any:
    return typer.Option(metavar="POINTS", min=0, max=100, help=text)


Grown = Annotated[Path, typer.Argument(metavar="MODEL", help="A folder of versions; the first time a model.")]
NewData = Annotated[
    Path, typer.Argument(metavar="NEW_DATA", help="New labelled images, also of new classes; as for 'train'.")
]
Made = Annotated[
    Path | None, typer.Option("--output", "-o", help="The folder of versions that is made of a model, the first time.")
]
GoldenSet = Annotated[
    Path | None,
    typer.Option(metavar="DATA", help="Labelled images that judge all versions, such as the data of the training."),
]


@reads_data
def update(
    model: Grown,
    data: NewData,
    output: Made = None,
    golden: GoldenSet = None,
    max_loss: Annotated[float, _points("Most that the golden set may lose in accuracy.")] = 1.0,
    floor: Annotated[float, _points("Recall that every class must reach, in percent.")] = 0.0,
    max_wrong: Annotated[float, _points("Most new labels that may be wrong, in percent.")] = 5.0,
    false_promotions: Annotated[float, _points("Most promotions, in percent, of versions that are no better.")] = 5.0,
    fail_on_refusal: Annotated[
        bool, typer.Option("--fail-on-refusal", help="Exit with code 1 where new images are not promoted, for jobs.")
    ] = False,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Let a model learn from new labelled images, if they help.

    The old version stays unless the new one is better. Labels are examined before anything is learned. The next version
    is promoted only if a one-sided paired test shows a gain and neither the golden set nor a class, a group or
    calibration loses too much. Running it again with the same images changes nothing.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.engine.load import load, opened
    from photovision.engine.update.update import update as grow

    own = load(model)
    opened(own, "update")
    new = read_data(data, reading, own.bundle.task)
    limits = _limits(max_loss, floor, max_wrong, false_promotions)
    with shown() as listener:
        report = grow(model, new, output=output, golden=golden, limits=limits, seed=seed, listener=listener)
    print_report(report, None, as_json)
    if not as_json:
        print(f"\nVersion in use: {report.data['version']} ({output or model})")
    if fail_on_refusal and report.data["reasons"]:
        raise typer.Exit(REFUSED)


def rollback(folder: Folder, as_json: Json = False) -> None:
    """Put the version before the one in use back into use."""
    from photovision.app.cli.output import print_json
    from photovision.engine.update.update import rollback as go_back

    name = go_back(folder)
    if as_json:
        print_json({"version": name})
    else:
        print(f"Version in use: {name}")


def versions(folder: Folder, as_json: Json = False) -> None:
    """Show the versions of a model, and why updates were refused."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.core.text import printable
    from photovision.engine.update.update import versions as look

    found = look(folder)
    if as_json:
        print_json(found)
        return
    print(f"Version in use: {found['current']}")
    print_rows([(one["number"], one["time"], one["event"], one["version"]) for one in found["events"]])
    for one in found["events"]:
        for reason in one.get("reasons", ()):
            print(printable(f"  {one['number']}: {reason}"))


def _limits(loss: float, floor: float, wrong: float, false: float) -> PromotionLimits:
    from photovision.core.errors import UsageError
    from photovision.trust.promotion import PromotionLimits

    if not 0 < false < 100:
        raise UsageError(f"--false-promotions should be above 0 and below 100, got {false:g}")
    return PromotionLimits(loss / 100, floor=floor / 100, noise=wrong / 100, level=false / 100)
