"""Make the pictures of the documentation: `python docs/make_pictures.py CLOTHING MODEL WALL WALL_MODEL REPORTS`.

CLOTHING is clothing-dataset-small (CC0), MODEL a classifier that `photovision train` made of it; WALL and WALL_MODEL
are what `make demo` makes of a photograph of bricks; REPORTS holds report/ and audit/, which `photovision evaluate
MODEL CLOTHING` and `photovision audit MODEL CLOTHING --conditions indoor` wrote. The other photographs come with
scikit-image and are free of copyright. The ready detector and MobileSAM must be on this machine, and Chromium for the
pages. The result does not depend on chance; it goes into docs/images, each file below 150 kB.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import skimage
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, ImageOps

import photovision as pv
from photovision.core.boxes import draw_regions
from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import Bar, bars, reliability_diagram
from photovision.core.image import decode, to_array
from photovision.core.types import Image

OUT = Path(__file__).parent / "images"
FREE = Path(skimage.__file__).parent / "data"
PAPER, INK, SOFT, GOOD, BAD = (255, 255, 255), (21, 27, 38), (86, 96, 112), (29, 107, 69), (163, 42, 34)
SIDE, GAP, LETTERS, LINE = 220, 14, 20, 26
CHART = "<style>svg{color:#151b26;font-family:system-ui,sans-serif}</style>"
LIMIT = 150_000
Cell = tuple[Image, Sequence[tuple[str, tuple[int, int, int]]]]
"""A picture, and the lines below it with their colours."""


def main(clothing: Path, model: Path, wall: Path, wall_model: Path, reports: Path) -> None:
    """Make them all."""
    OUT.mkdir(exist_ok=True)
    own = pv.load(model)
    classified(own, clothing)
    explained(own, clothing)
    anomalies(pv.load(wall_model), wall)
    found_objects()
    cut_out()
    charts(model, own, clothing)
    screens(reports)


def classified(model: pv.Recognizer, data: Path) -> None:
    """Eight pictures of the test split with their answers, right and wrong, and a stranger."""
    names = ("dress", "hat", "outwear", "pants", "shoes", "t-shirt", "shirt")
    chosen = [(first(data / "test" / name, 1), name) for name in names]
    chosen.append((FREE / "coffee.png", "not clothes"))
    cells = []
    for path, truth in chosen:
        answer = model.predict(path)
        right = answer.label == truth or (truth == "not clothes" and answer.known is False)
        state = f"{answer.label} {answer.prob:.0%}" if answer.known else "unknown"
        note = (
            f"is: {truth}" if not right else f"{len(answer.prediction_set or ())} in its set" if answer.known else truth
        )
        cells.append((loaded(path), ((state, GOOD if right else BAD), (note, SOFT))))
    save(sheet(cells, 4), "classify")


def explained(model: pv.Recognizer, data: Path) -> None:
    """A picture, its heatmap, and the training pictures nearest to it."""
    path = first(data / "test" / "shoes", 5)
    answer, heat = model.predict(path), pv.attribute(model, path)
    cells: list[Cell] = [
        (loaded(path), ((f"{answer.label} {answer.prob:.0%}", INK), (f"similarity {answer.similarity:.2f}", SOFT))),
        (heat.drawn(loaded(path), 512), (("what speaks for it", INK), (f"by {heat.method}", SOFT))),
    ]
    report = pv.explain(model, [path], data=data)
    table = next(one for one in report.tables if one.title == "Nearest training pictures")
    for row in table.rows[:2]:
        note = f"{row[1]}, similarity {float(str(row[2])):.2f}"
        cells.append((loaded(data / str(row[3])), (("a training picture", INK), (note, SOFT))))
    save(sheet(cells, 4), "explain")


def anomalies(model: pv.AnomalyDetector, wall: Path) -> None:
    """Good and broken bricks beside their heatmaps."""
    cells = []
    for path in (first(wall / "test/good", 0), first(wall / "test/hole", 1), first(wall / "test/hole", 4)):
        found, image = model.predict(path), loaded(path)
        colour = GOOD if found.verdict == "good" else BAD
        cells.append((image, ((found.verdict, colour), (f"p = {found.p:.3f}", SOFT))))
        if found.verdict != "good":
            cells.append((found.drawn(image, SIDE), (("where", INK), ("hot: unlike good ones", SOFT))))
    save(sheet(cells, 5), "anomaly")


def found_objects() -> None:
    """Boxes of the ready detector."""
    cells = []
    for name in ("motorcycle_left.png", "coffee.png", "astronaut.png"):
        image = loaded(FREE / name)
        found = pv.detect(FREE / name, threshold=0.3)
        words = ", ".join(f"{label} {score:.0%}" for label, score in zip(found.names, found.scores, strict=True))
        cells.append((draw_regions(image, found), ((words, INK),)))
    save(sheet(cells, 3, 300), "detect")


def cut_out() -> None:
    """A cat, its mask, and the piece on a plain ground."""
    image = loaded(FREE / "chelsea.png")
    mask = pv.cut(image, box=(0, 0, 405, 299))
    white = np.repeat(mask.mask[..., None], 3, 2).astype(np.uint8) * 255
    piece = np.where(mask.mask[..., None], image, np.uint8([214, 226, 240]))
    cells = [(image, (("a photograph", INK),)), (white, (("its mask", INK),)), (piece, (("cut out", INK),))]
    save(sheet(cells, 3, 300), "cut")


def charts(folder: Path, model: pv.Recognizer, data: Path) -> None:
    """Charts of the concepts: intervals, calibration, prediction sets, similarity."""
    from photovision.trust.metrics.statistics import wilson

    counts = np.arange(10, 501, 5)
    band = np.array([wilson(0.9 * n, n) for n in counts]).T
    steady = {"90% of n pictures are right": CurveLine(counts, np.full(len(counts), 0.9), *band)}
    title = "95% intervals of an accuracy of 90%"
    chart("intervals", lines(steady, title, "test pictures", "accuracy", y_range=(0.5, 1.0)))
    paths, answers = test_answers(model, data)
    calibration(model, paths, answers)
    set_sizes(paths, answers)
    coverage(folder, data)
    novelty(model, answers)
    similarity(json.loads((folder / "bundle.json").read_text())["accuracy_by_similarity"]["curve"])
    faithfulness(model, first(data / "test" / "shoes", 5))
    places()


def test_answers(model: pv.Recognizer, data: Path) -> tuple[list[Path], list[pv.Classes]]:
    """The pictures of the test split and their answers."""
    paths = sorted((data / "test").glob("*/*.jpg"))
    return paths, [one for one in model.stream(paths) if isinstance(one, pv.Classes)]


def calibration(model: pv.Recognizer, paths: Sequence[Path], answers: Sequence[pv.Classes]) -> None:
    """Stated confidence against the share that came true."""
    from photovision.trust.metrics.calibrate import reliability

    truth = np.array([model.classes.index(path.parent.name) for path in paths])
    curve = reliability(np.stack([one.probs for one in answers]), truth, 8)
    chart("calibration", reliability_diagram(*curve, title="Stated confidence against the share that came true"))


def set_sizes(paths: Sequence[Path], answers: Sequence[pv.Classes]) -> None:
    """Four pictures, with sets of one, two, three and five classes."""
    cells, used = [], set()
    for size in (1, 2, 3, 5):
        path, answer = next(
            (path, answer)
            for path, answer in zip(paths, answers, strict=True)
            if len(answer.prediction_set or ()) == size and answer.known and path.parent.name not in used
        )
        used.add(path.parent.name)
        names = answer.prediction_set or ()
        notes = [(", ".join(names[start : start + 2]), INK) for start in range(0, size, 2)]
        cells.append((loaded(path), (*notes, (f"is: {path.parent.name}", SOFT))))
    save(sheet(cells, 4), "sets")


def coverage(folder: Path, data: Path) -> None:
    """Coverage that was asked for against what the test pictures show."""
    from photovision.trust.metrics.statistics import wilson

    asked, rows = (0.8, 0.85, 0.9, 0.95, 0.98), []
    for target in asked:
        paths, answers = test_answers(pv.load(folder, coverage=target), data)
        held = sum(p.parent.name in (a.prediction_set or ()) for p, a in zip(paths, answers, strict=True))
        size = float(np.mean([len(a.prediction_set or ()) for a in answers]))
        print(f"coverage {target}: {held}/{len(paths)}, {size:.2f} classes")
        rows.append((held / len(paths), *wilson(held, len(paths))))
    found = np.array(rows).T
    chart(
        "coverage",
        lines(
            {
                "measured on the test pictures": CurveLine(asked, *found),
                "as asked": CurveLine(asked, asked, dashed=True),
            },
            "Coverage of the prediction sets",
            "coverage asked for",
            "coverage",
            x_form="{:.0%}".format,
            y_range=(0.75, 1.0),
        ),
    )


def novelty(model: pv.Recognizer, answers: Sequence[pv.Classes]) -> None:
    """Share of pictures with at most such a novelty, for pictures of clothes and for others."""
    others = [model.predict(path) for path in sorted(FREE.glob("*.*g")) if path.suffix in (".png", ".jpg")]
    series = {}
    for name, group in (("pictures of clothes", answers), (f"{len(others)} pictures of other things", others)):
        values = np.sort([one.novelty for one in group])
        print(name, "called unknown:", sum(one.known is False for one in group), "of", len(group))
        series[name] = CurveLine(np.clip(values, 0, 4), np.arange(1, len(values) + 1) / len(values))
    chart("novelty", lines(series, "Novelty", "novelty", "share of pictures with at most this novelty"))


def similarity(curve: Sequence[Mapping[str, float]]) -> None:
    """Accuracy by similarity to the nearest training picture."""
    steps = [one for one in curve if one["n"] >= 10]
    middle = [(one["start"] + one["end"]) / 2 for one in steps]
    values = ([one[name] for one in steps] for name in ("value", "low", "high"))
    title = "Accuracy by similarity"
    chart("similarity", lines({"held-out pictures": CurveLine(middle, *values)}, title, "similarity", "accuracy"))


def faithfulness(model: pv.Recognizer, path: Path, cells: int = 7, repeats: int = 5) -> None:
    """Probability of the class while more of the picture is hidden: by the heatmap, and in random orders."""
    picture = np.asarray(Pillow.fromarray(loaded(path)).resize((224, 224)))
    heat = np.asarray(Pillow.fromarray(pv.attribute(model, picture).heatmap).resize((cells, cells)))
    label, rng = model.predict(picture).best, np.random.default_rng(0)
    place = model.classes.index(label)

    def hidden(order: np.ndarray) -> np.ndarray:
        shown, steps = picture.copy(), []
        for cell in [-1, *order]:
            if cell >= 0:
                row, column = (32 * value for value in divmod(int(cell), cells))
                shown[row : row + 32, column : column + 32] = picture.mean((0, 1))
            steps.append(shown.copy())
        return np.array([model.predict(one).probs[place] for one in steps])

    share = np.arange(cells**2 + 1) / cells**2
    chance = np.mean([hidden(rng.permutation(cells**2)) for _ in range(repeats)], 0)
    series = {
        "hottest places first": CurveLine(share, hidden(np.argsort(-heat.ravel()))),
        f"{repeats} random orders": CurveLine(share, chance),
    }
    title = f"Probability of '{label}' while places are hidden"
    chart("faithfulness", lines(series, title, "share of the picture hidden", "probability", x_form="{:.0%}".format))


def places() -> None:
    """What a model of 81 groceries gets right, by where the pictures come from (docs/benchmarks.md)."""
    groups = {
        "pictures like the training pictures": [Bar(0.975)],
        "other shops (n = 296)": [Bar(0.875, 0.832, 0.908, 1)],
    }
    chart("places", bars(groups, "Accuracy by place"))


def screens(reports: Path) -> None:
    """The first screens of a report and of an audit, and the local page as docs/page.png shows it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1280, "height": 800})
        for name in ("report", "audit"):
            view.goto((reports / name / "report.html").resolve().as_uri())
            save(Pillow.open(io.BytesIO(view.screenshot())).convert("RGB"), name)
        browser.close()
    save(Pillow.open(OUT.parent / "page.png").convert("RGB"), "page")


def loaded(path: Path) -> Image:
    """Upright and in sRGB, uint8 (H, W, 3)."""
    return to_array(decode(path))


def first(folder: Path, number: int) -> Path:
    """A picture of a folder by its place in the order of names."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))[number]


def sheet(cells: Sequence[Cell], across: int, side: int = SIDE) -> Pillow.Image:
    """Pictures in rows, `across` in each, with their lines below them."""
    font, page = ImageFont.load_default(LETTERS), Pillow.new("RGB", (across * (side + GAP) + GAP, 8000), PAPER)
    pen, y = ImageDraw.Draw(page), GAP
    for start in range(0, len(cells), across):
        row = [(Pillow.fromarray(np.ascontiguousarray(image)), notes) for image, notes in cells[start : start + across]]
        shown = [ImageOps.contain(image, (side, side), Pillow.Resampling.LANCZOS) for image, _ in row]
        floor = y + max(one.height for one in shown)
        for column, (one, (_, notes)) in enumerate(zip(shown, row, strict=True)):
            x = GAP + column * (side + GAP)
            page.paste(one, (x, floor - one.height))
            for line, (words, colour) in enumerate(notes):
                pen.text((x, floor + 3 + LINE * line), words, colour, font)
        y = floor + LINE * max(len(notes) for _, notes in row) + GAP
    return page.crop((0, 0, page.width, y + GAP))


def save(page: Pillow.Image, name: str) -> None:
    """As WebP, in the best quality that is small enough."""
    path = OUT / f"{name}.webp"
    for quality in (85, 75, 65, 50):
        page.save(path, quality=quality, method=6)
        if path.stat().st_size < LIMIT:
            break
    print(path, path.stat().st_size)


def chart(name: str, drawing: str) -> None:
    """As SVG that stands alone, on white paper."""
    wide, tall = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawing).groups()  # type: ignore[union-attr]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{int(wide) * 3 // 2}" height="{int(tall) * 3 // 2}"'
    text = re.sub(r'<svg xmlns="[^"]+"', head, drawing, count=1).replace(' style="width:100%"', "", 1)
    ground = f'{CHART}<rect x="-12" y="-12" width="{int(wide) + 24}" height="{int(tall) + 24}" fill="#fff"/>'
    text = text.replace(f'viewBox="0 0 {wide} {tall}"', f'viewBox="-12 -12 {int(wide) + 24} {int(tall) + 24}"', 1)
    (OUT / f"{name}.svg").write_text(text.replace("</title>", f"</title>{ground}", 1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:6]))
