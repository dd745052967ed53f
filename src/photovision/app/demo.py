"""The demo: a tour of the verbs on real photographs, without a network connection. Run it with `make demo`.

Every stop shows its command, runs it, and names the one for a person's own pictures. What cannot be had on a machine
is skipped with the reason.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from photovision.app.demo_pictures import STREET, copied, labelled, wall

BUILD = Path("build")
MINUTES, ANOMALY_MINUTES = 1.0, 0.5
WATCHED, LINE = 20, "street:0,0.4,1,0.4"
"""Seconds of the film that are watched, and the line in it, as shares of the frame."""
AUDITED = ("--only", "conditions", "--conditions", "outdoor", "--minutes", "0.3")


@dataclass(frozen=True)
class Stop:
    """One stop of the tour.

    Attributes:
        title: what it shows.
        commands: the arguments of its commands.
        own: the command for one's own pictures.
        missing: why it cannot be shown here; empty where it can.
    """

    title: str
    commands: tuple[tuple[str, ...], ...]
    own: str
    missing: str = ""


def main() -> None:
    """Make the tour, and say how long it took and how to go on."""
    started = time.monotonic()
    place = BUILD / "demo"
    stops = tour(BUILD, place)
    print(f"A tour in {len(stops)} stops. Every line after $ is a command that you can type.{_activation()}")
    for number, stop in enumerate(stops, 1):
        print(f"\n{number} of {len(stops)}  {stop.title}", flush=True)
        if stop.missing:
            print(f"   Skipped: {stop.missing}")
            continue
        begun = time.monotonic()
        for arguments in stop.commands:
            command(*arguments)
        print(f"   ({time.monotonic() - begun:.0f} s)  On your own pictures: {stop.own}", flush=True)
    print(f"\nAll that in {_minutes(time.monotonic() - started)}.")
    print(f"The report of the training: {Path(f'{labelled(BUILD, place)}-model/report.html').resolve()}")
    print(f"All models, pictures and reports in a browser: photovision ui {place}.{_activation()}")


def tour(build: Path, place: Path) -> list[Stop]:
    """The stops, with pictures that are on this machine; they and all results go into `place`."""
    return [*_without_training(build, place), *_with_training(build, place)]


def _without_training(build: Path, place: Path) -> list[Stop]:
    photos = copied(place / "photos")
    cat, cup, traffic = (str(photos / name) for name in ("chelsea.png", "coffee.png", "motorcycle_left.png"))
    no_boxes, no_masks, no_names = map(_missing, ("yolov4-tiny", "mobilesam", "imagenet"))
    return [
        Stop(
            "Name what is in photographs, without any training",
            (("predict", "imagenet", str(photos), "--top", "2"),),
            "photovision predict imagenet holiday/",
            no_names,
        ),
        Stop(
            "See which parts of a photograph that rests on, and whether the heatmap can be trusted",
            (("explain", "imagenet", cup, "-o", str(place / "explained")),),
            "photovision explain imagenet photo.jpg -o why/",
            no_names,
        ),
        Stop(
            "Find objects, and draw boxes around them",
            (("detect", traffic, cat, "-o", str(place / "boxes")),),
            "photovision detect photo.jpg -o boxes/",
            no_boxes,
        ),
        Stop(
            "Cut an object out",
            (("cut", cat, "-o", str(place / "cut")),),
            "photovision cut photo.jpg --point 430,200 -o cut/",
            no_masks,
        ),
        _film(build / STREET, place, no_boxes),
    ]


def _film(film: Path, place: Path, no_boxes: str) -> Stop:
    output = str(place / "street.mp4")
    return Stop(
        "Watch a film, and count who crosses a line",
        (("watch", str(film), "--line", LINE, "--max-seconds", f"{WATCHED}", "-o", output),),
        "photovision watch street.mp4 --line 0,0.5,1,0.5 -o seen.mp4",
        no_boxes or ("" if film.is_file() else "the film could not be had (apt-get download opencv-doc)"),
    )


def _with_training(build: Path, place: Path) -> list[Stop]:
    data = labelled(build, place)
    unseen = sorted((data / "test").rglob("*.*")) or sorted(data.rglob("*.*"))
    some = [str(path) for path in unseen[:: max(1, len(unseen) // 5)][:5]]
    model = f"{data}-model"
    return [
        Stop(
            f"Look at labelled pictures before learning from them: {data}",
            (("check", str(data)),),
            "photovision check flowers/",
        ),
        Stop(
            f"Train for {MINUTES:g} min, and test on pictures that took no part in it",
            (("train", str(data), "-o", model, "--minutes", f"{MINUTES:g}"),),
            "photovision train flowers/ -o flowers-model",
        ),
        Stop(
            "Ask the new model about pictures it has never seen",
            (("predict", model, *some),),
            "photovision predict flowers-model rose.jpg",
        ),
        Stop(
            "Search a folder for pictures that show the same, or something like it",
            (("search", str(data / "train" if (data / "train").is_dir() else data), some[-1], "--top", "5"),),
            "photovision search holiday/ rose.jpg",
        ),
        Stop(
            "Write a report: what rain, dusk and the like do to its answers",
            (("audit", model, str(data), *AUDITED, "-o", str(place / "audit")),),
            "photovision audit flowers-model flowers/ --conditions outdoor -o audit/",
        ),
        _anomalies(place),
    ]


def _anomalies(place: Path) -> Stop:
    bricks = wall(place / "wall")
    model, tested = f"{bricks}-model", sorted(map(str, (bricks / "test").rglob("*.png")))
    return Stop(
        "Learn what good looks like from good pictures alone: a brick wall",
        (
            ("train", str(bricks), "--task", "anomaly", "-o", model, "--minutes", f"{ANOMALY_MINUTES:g}"),
            ("predict", model, *tested[::4], "-o", str(place / "heatmaps")),
        ),
        "photovision train parts/ --task anomaly -o parts-model",
    )


def command(*arguments: str) -> None:
    """Show a command line and run it; a mistake ends the demo."""
    from photovision.app.cli import run

    print(f"\n   $ photovision {shlex.join(arguments)}\n", flush=True)
    code = run(arguments)
    if code:
        raise SystemExit(code)


def _missing(name: str) -> str:
    """Why a ready model cannot be used here; empty where it can."""
    from photovision.models.pretrained import READY, is_ready
    from photovision.models.weights import locate

    if is_ready(name) or locate(READY[name].name) is not None:
        return ""
    return f"{name} is not on this machine: photovision weights get {name}"


def _activation() -> str:
    """What to type first where the shell does not find the command, such as after `make demo`."""
    own = Path(sys.executable).parent
    if shutil.which("photovision") or not (own / "activate").is_file():
        return ""
    place = own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own
    return f" Before you do so: source {place / 'activate'}"


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


if __name__ == "__main__":
    main()
