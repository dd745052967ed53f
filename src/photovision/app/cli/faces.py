"""faces: people who agreed, found again and compared; everybody else covered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.faces_register import (
    Key,
    StorePath,
    enroll,
    export,
    forget,
    identify,
    list_people,
    log,
    lookalikes,
)
from photovision.app.cli.options import Json, ReportFolder
from photovision.app.cli.program import Commands

app = Commands()

Fmr = Annotated[
    float | None,
    typer.Option(metavar="RATE", help="False-match rate of a comparison; the threshold follows; default: 0.001."),
]


def verify(
    first: Annotated[str, typer.Argument(metavar="A", help="A picture.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another picture.")],
    fmr: Fmr = None,
    as_json: Json = False,
) -> None:
    """Tell whether two pictures show one person: same, different, unsure, or no face.

    The largest face of each picture is compared. A photograph of a person is not distinguished from the person.
    """
    from photovision.app.cli.output import note, print_json
    from photovision.faces.thresholds import DEFAULT_FMR
    from photovision.faces.verify import verify as compare

    found = compare(first, second, fmr=DEFAULT_FMR if fmr is None else fmr)
    if as_json:
        print_json(found.to_json())
        return
    score = "" if found.score is None else f"  score {found.score:.3f}, same from {found.threshold.score:.3f}"
    print(f"{found.verdict}{score}")
    for reason in found.reasons:
        note(reason)
    note(found.threshold.text)


def blur(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture, a folder of pictures, or a video.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .jpg, .png, .mp4; or a folder.")],
    spared: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="NAME", help="Somebody enrolled who stays visible. May be repeated."),
    ] = None,
    store: Annotated[Path | None, typer.Option(metavar="STORE", help="Of the people that --except names.")] = None,
    how: Annotated[str, typer.Option(metavar="solid|pixels", help="In black, or in five squares.")] = "solid",
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for each file.")] = False,
) -> None:
    """Cover every face in pictures and videos, so that nobody is recognised and nothing can be undone.

    Metadata and sound are not taken over. A face that is not found stays visible: look through what matters.
    """
    import json
    from contextlib import nullcontext

    from photovision.app.cli.output import alert
    from photovision.app.progress import counted, shown
    from photovision.core.errors import UnreadableImage, UsageError
    from photovision.core.phrases import count
    from photovision.core.text import printable
    from photovision.faces.blur import FaceBlurrer, blurred
    from photovision.faces.register import FaceStore

    if store is None and (spared or key):
        raise UsageError("--except and --key are about a store: name it with --store")
    failed = False
    with FaceStore(store, key=key) if store else nullcontext() as opened, shown() as listener:
        blurrer = FaceBlurrer(store=opened, spared=spared or (), how=how)
        for one in blurred(blurrer, source, output, counted(listener, "covering faces")):
            if isinstance(one, UnreadableImage):
                alert(str(one))
                failed = True
                continue
            line = f"{one.output}  {count(one.faces, 'face')} covered"
            line += f", {', '.join(one.spared)} not" if one.spared else ""
            print(json.dumps(one.to_json()) if as_json else printable(line), flush=True)
            for warning in one.warnings:
                alert(warning)
    if failed:
        raise typer.Exit(2)


def evaluate(
    store: StorePath,
    source: Annotated[
        Path,
        typer.Argument(metavar="PAIRS|FOLDER", help="A folder per person; a table: file_name, person; a, b, same."),
    ],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN,...", help="Columns of the table whose groups are compared.")
    ] = None,
    fmr: Fmr = None,
    output: ReportFolder = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Measure false matches and non-matches on people whom you know, over all and by groups of your own table.

    Groups with too few pairs are called unknown. Nothing about people is guessed from their pictures.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.faces.evaluate import evaluate as measure
    from photovision.faces.register import FaceStore
    from photovision.faces.thresholds import DEFAULT_FMR

    columns = [name.strip() for name in (by or "").split(",") if name.strip()]
    rate = DEFAULT_FMR if fmr is None else fmr
    with FaceStore(store, key=key) as opened, shown() as listener:
        report = measure(opened, source, by=columns, fmr=rate, progress=counted(listener, "reading faces"))
    print_report(report, output, as_json)


_ENROLL = "faces enroll staff 'Ada King' ada-1.jpg ada-2.jpg --purpose 'door of the lab' --basis consent"
app.add(enroll, f"{_ENROLL} --until 2027-12-31", name="enroll")
app.add(verify, "faces verify passport.jpg camera.jpg\nfaces verify a.jpg b.jpg --fmr 1e-4 --json", name="verify")
app.add(identify, "faces identify staff door.jpg\nfaces identify staff door.mp4 --json", name="identify")
app.add(evaluate, "faces evaluate staff people/\nfaces evaluate staff people.csv --by age -o report/", name="evaluate")
app.add(blur, "faces blur street.jpg -o street-covered.jpg\nfaces blur party.mp4 -o covered.mp4", name="blur")
app.add(list_people, "faces list staff", name="list")
app.add(export, "faces export staff 'Ada King'", name="export")
app.add(forget, "faces forget staff 'Ada King'", name="forget")
app.add(lookalikes, "faces lookalikes staff", name="lookalikes")
app.add(log, "faces log staff", name="log")
