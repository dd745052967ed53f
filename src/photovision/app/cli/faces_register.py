"""faces enroll, identify, list, export, forget, lookalikes, log: a register of people who agreed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from photovision.app.cli.options import Json

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store of faces.")]
Key = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Key of the store; default: $PHOTOVISION_FACES_KEY, or in your settings."),
]
PersonName = Annotated[str, typer.Argument(metavar="NAME", help="Of the person, as enrolled.")]
Fmr = Annotated[
    float | None,
    typer.Option(metavar="RATE", help="False-match rate of one comparison; the threshold follows from it."),
]


def enroll(
    store: StorePath,
    name: PersonName,
    pictures: Annotated[list[str], typer.Argument(metavar="PICTURE...", help="With one face each; three are good.")],
    purpose: Annotated[str | None, typer.Option(help="What the person is recognised for.")] = None,
    basis: Annotated[str | None, typer.Option(metavar="consent|contract|law", help="On what legal basis.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, such as 2027-12-31.")] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Enrol a person who agreed: with purpose, basis and end, from good pictures, none of which is kept.

    Templates are sealed with a key outside the store; the first enrolment makes both.
    """
    import sys

    from photovision.app.cli.output import alert, note, print_json
    from photovision.core.phrases import count
    from photovision.core.text import printable
    from photovision.data.image_paths import find_pictures
    from photovision.faces.entry import checked_ground
    from photovision.faces.register import STORE_FILE, FaceStore

    checked_ground(purpose, basis, until)  # before a store is made
    fresh = not (store / STORE_FILE).exists()
    with FaceStore(store, key=key, create=True) as opened:
        if fresh:
            note(f"the key of {store} is {opened.key_file}: keep a copy of it elsewhere, and never in the store")
        found = opened.enroll(name, find_pictures(pictures, sys.stdin), purpose=purpose, basis=basis, until=until)
    if as_json:
        print_json(found.to_json())
        return
    entry = found.entry
    print(f"{printable(entry.name)} is enrolled until {entry.until} from {count(len(entry.templates), 'picture')}")
    for picture, why in found.refused.items():
        alert(f"{picture} was not taken: {why}")
    for other in found.lookalikes:
        alert(f"{entry.name} can hardly be distinguished from {other}")


def identify(
    store: StorePath,
    source: Annotated[str, typer.Argument(metavar="PICTURE|VIDEO", help="Or a camera (0) or an address.")],
    fmr: Fmr = None,
    fpir: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Share of strangers who may get a name; default: 0.01."),
    ] = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for each face.")] = False,
) -> None:
    """Name the enrolled people in a picture or a video; all others stay unknown.

    Two faces never get one name. A photograph of a person is not distinguished from the person.
    """
    from photovision.app.cli.output import alert, note
    from photovision.app.progress import counted, shown
    from photovision.core.text import printable
    from photovision.faces.blur import is_picture
    from photovision.faces.identify import identify as in_picture
    from photovision.faces.identify_video import identify_video
    from photovision.faces.register import FaceStore

    with FaceStore(store, key=key) as opened:
        if Path(source).is_file() and is_picture(Path(source)):
            facts, lines = (found := in_picture(opened, source, fmr=fmr, fpir=fpir)).facts, found.lines()
        else:
            with shown() as listener:
                progress = counted(listener, "following faces")
                video = identify_video(opened, source, fmr=fmr, fpir=fpir, progress=progress)
            facts, lines = video.facts, video.lines()
            for warning in video.warnings:
                alert(warning)
    for line in lines:
        print(json.dumps(line) if as_json else printable(_face_line(line)), flush=True)
    if not lines:
        note(f"{source} has no face")
    chance = f"with a probability of {100 * facts['fpir']:.2g}%"
    note(f"same from {facts['threshold']:.3f}: a stranger gets a name of the {facts['enrolled']:,} enrolled {chance}")


def _face_line(line: dict[str, Any]) -> str:
    box = ",".join(f"{side:.0f}" for side in line["xyxy"])
    if "track" in line:
        box = f"{line['from']:.1f} to {line['to']:.1f} s"
    who = line["name"] or (f"perhaps {line['candidate']}" if line["candidate"] else "unknown")
    score = "" if line["score"] is None else f"  {line['score']:.3f}"
    return f"{line['file']}  {box}  {who}{score}" + "".join(f"  ({why})" for why in line["reasons"])


def list_people(store: StorePath, key: Key = None, as_json: Json = False) -> None:
    """List who is enrolled, for what, on what basis, until when, and by whom."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.faces.register import FaceStore

    with FaceStore(store, key=key) as opened:
        found = [entry.to_json() for entry in opened.people()]
    if as_json:
        print_json(found)
        return
    rows = [
        (one["name"], one["purpose"], one["basis"], f"until {one['until']}", "expired" if one["expired"] else "",
         one["pictures"], f"by {one['by']}", one["pseudonym"])
        for one in found
    ]  # fmt: skip
    print_rows([("name", "purpose", "basis", "", "", "pictures", "", "in the log"), *rows])


def export(store: StorePath, name: PersonName, key: Key = None) -> None:
    """Print everything that is known of a person as JSON, for their right to see it: templates and uses, too."""
    from photovision.app.cli.output import print_json
    from photovision.faces.register import FaceStore

    with FaceStore(store, key=key) as opened:
        print_json(opened.export(name))


def forget(store: StorePath, name: PersonName, key: Key = None, as_json: Json = False) -> None:
    """Remove a person, then search all bytes of the store for their name and templates, to prove it."""
    from photovision.app.cli.output import print_json
    from photovision.core.phrases import count
    from photovision.core.text import printable
    from photovision.faces.forget import forget as remove
    from photovision.faces.register import FaceStore

    with FaceStore(store, key=key) as opened:
        proof = remove(opened, name)
    if as_json:
        print_json(proof.to_json())
        return
    files, patterns = count(proof.files, "file"), count(proof.patterns, "pattern")
    print(f"{printable(name)} is forgotten: {patterns} searched for in {proof.bytes:,} bytes of {files}, none found")


def lookalikes(store: StorePath, fmr: Fmr = None, key: Key = None, as_json: Json = False) -> None:
    """List pairs of enrolled people who can hardly be distinguished."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.faces.register import FaceStore
    from photovision.faces.thresholds import DEFAULT_FMR

    with FaceStore(store, key=key) as opened:
        found = opened.lookalikes(DEFAULT_FMR if fmr is None else fmr)
    if as_json:
        print_json([{"names": [a, b], "score": round(score, 4)} for a, b, score in found])
        return
    print_rows([(a, b, f"{score:.3f}") for a, b, score in found])
    if not found:
        print("No two of them are alike.")


def log(store: StorePath, key: Key = None, as_json: Json = False) -> None:
    """Print the log of every use, after checking that nobody changed it; people are named by pseudonyms."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.faces.register import FaceStore

    with FaceStore(store, key=key) as opened:
        rows = opened.log()
    if as_json:
        print_json([row.to_json() for row in rows])
        return
    print_rows([(row.n, row.at, row.event, f"by {row.operator}", json.dumps(row.details)) for row in rows])
