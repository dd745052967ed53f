"""faces: people who agreed, found again and compared; everybody else covered."""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.faces_register import enroll, export, forget, identify, list_people, log, lookalikes
from photovision.app.cli.options import Json
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


_ENROLL = "faces enroll staff 'Ada King' ada-1.jpg ada-2.jpg --purpose 'door of the lab' --basis consent"
app.add(enroll, f"{_ENROLL} --until 2027-12-31", name="enroll")
app.add(verify, "faces verify passport.jpg camera.jpg\nfaces verify a.jpg b.jpg --fmr 1e-4 --json", name="verify")
app.add(identify, "faces identify staff door.jpg\nfaces identify staff door.mp4 --json", name="identify")
app.add(list_people, "faces list staff", name="list")
app.add(export, "faces export staff 'Ada King'", name="export")
app.add(forget, "faces forget staff 'Ada King'", name="forget")
app.add(lookalikes, "faces lookalikes staff", name="lookalikes")
app.add(log, "faces log staff", name="log")
