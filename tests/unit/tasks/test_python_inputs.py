"""Pictures as people have them in Python: every model and the estimator take and refuse the same things."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clicker import clicker_bundle
from colours import colour_bundle, colour_picture
from painter import painter_bundle
from PIL import Image
from spotter import scene, spotter_bundle

import photovision as pv
from photovision.core.errors import UnreadableImage, UsageError
from photovision.data.read import dataset_from_arrays

PIXELS = scene((64, 96), [("red", (16, 16, 48, 48))])


class Tensor:
    """What an array of another library looks like from here."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.values


class Elsewhere(Tensor):
    """A tensor that lies on another device."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("can't convert a cuda tensor to numpy\nuse .cpu() first")


class Once(io.RawIOBase):
    """An open file that cannot go back, such as the answer of a server."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, size: int = -1) -> bytes:
        content, self.content = self.content, b""
        return content


class Broken(Once):
    """An open file whose library fails."""

    def read(self, size: int = -1) -> bytes:
        raise RuntimeError("the connection is lost")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The picture as a file."""
    path = tmp_path_factory.mktemp("a folder") / "ä picture.png"
    Image.fromarray(PIXELS).save(path)
    return path


@pytest.fixture(scope="module", params=["classify", "detect", "segment"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of each task."""
    make = {"classify": colour_bundle, "detect": spotter_bundle, "segment": painter_bundle}[request.param]
    return pv.load(make(tmp_path_factory.mktemp("models") / "model"))


def plain(answer: Any) -> list[float]:
    """An answer as numbers."""
    if isinstance(answer, pv.Classes):
        return answer.probs.tolist()
    if isinstance(answer, pv.Detections):
        return [*answer.boxes.ravel().tolist(), *answer.scores.tolist()]
    return np.bincount(answer.labels.ravel(), minlength=2).tolist()


WAYS: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "path": Path,
    "address of a file": lambda file: file.as_uri(),
    "bytes": lambda file: file.read_bytes(),
    "bytearray": lambda file: bytearray(file.read_bytes()),
    "memoryview": lambda file: memoryview(file.read_bytes()),
    "BytesIO": lambda file: io.BytesIO(file.read_bytes()),
    "BytesIO at its end": lambda file: at_end(file.read_bytes()),
    "open file": lambda file: file.open("rb"),
    "file that cannot go back": lambda file: Once(file.read_bytes()),
    "member of an archive": lambda file: zipped(file),
    "PIL": lambda file: Image.open(file),
    "PIL in memory": lambda file: Image.fromarray(PIXELS),
    "PIL with transparency": lambda file: Image.fromarray(PIXELS).convert("RGBA"),
    "array": lambda file: PIXELS,
    "array from the back": lambda file: np.ascontiguousarray(PIXELS[::-1])[::-1],
    "RGBA": lambda file: np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)]),
    "floats": lambda file: PIXELS / 255,
    "half floats": lambda file: (PIXELS / 255).astype(np.float16),
    "memory of pixels": lambda file: memoryview(PIXELS),
    "tensor": lambda file: Tensor(PIXELS),
    "array of one text": lambda file: np.array(str(file)),
}


def at_end(content: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    buffer.write(content)
    return buffer


def zipped(file: Path) -> zipfile.ZipExtFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.write(file, "a.png")
    return zipfile.ZipFile(buffer).open("a.png")  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("way", WAYS)
def test_one_picture_in_any_form_gets_the_same_answer(model: Any, file: Path, way: str) -> None:
    wanted = plain(model.predict(PIXELS))
    assert plain(model.predict(WAYS[way](file))) == pytest.approx(wanted, abs=0.02)
    (alone,) = model.predict([WAYS[way](file)])
    assert plain(alone) == pytest.approx(wanted, abs=0.02)
    (streamed,) = model.stream([WAYS[way](file)])
    assert not isinstance(streamed, Exception)


def test_many_pictures_in_any_collection(model: Any, file: Path) -> None:
    def generator() -> Iterator[Any]:
        yield from (str(file), PIXELS, io.BytesIO(file.read_bytes()))

    wanted = plain(model.predict(PIXELS))
    column = np.array([str(file)] * 3)
    for many in (
        [file, PIXELS, str(file)],
        generator(),
        iter((file,) * 3),
        np.stack([PIXELS] * 3),
        column,
        Tensor(column),
    ):
        found = model.predict(many)
        assert isinstance(found, list)
        assert [plain(one) for one in found] == [pytest.approx(wanted, abs=0.02)] * 3
    for none in ([], iter(()), np.zeros((0, 8, 8, 3), np.uint8)):
        assert model.predict(none) == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F", "RGBX"])
def test_pil_pictures_of_every_mode(model: Any, mode: str) -> None:
    picture = Image.fromarray(PIXELS).convert("L" if mode in ("I;16", "I", "F") else "RGB").convert(mode)
    assert plain(model.predict(picture)) == pytest.approx(plain(model.predict([picture])[0]))


def test_pil_pictures_are_turned_as_their_exif_says(model: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(PIXELS)
    picture.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        from_pil = plain(model.predict(opened))
    assert from_pil == plain(model.predict(tmp_path / "a.png"))
    assert from_pil == plain(model.predict(np.rot90(PIXELS, 3)))


def test_grey_pictures(model: Any) -> None:
    grey = PIXELS[..., 0]
    wanted = plain(model.predict(np.dstack([grey] * 3)))
    for form in (grey, grey[..., None], grey / 255, Image.fromarray(grey), Tensor(grey)):
        assert plain(model.predict(form)) == pytest.approx(wanted, abs=0.02)
    assert len(model.predict(list(np.stack([grey] * 3)))) == 3


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing": (lambda file: None, "got None"),
    "a number": (lambda file: 7, "type int"),
    "a dictionary": (lambda file: {"file": str(file)}, "type dict"),
    "a set": (lambda file: {str(file)}, "type set"),
    "nothing in a list": (lambda file: [file, None], "picture 2 should be a path.*got None"),
    "numbers in a list": (lambda file: [[1, 2], [3, 4]], "picture 1 should be a path.*type list"),
    "an empty text": (lambda file: "", "empty text"),
    "an address": (lambda file: "https://example.org/a.jpg", "download it"),
    "a bucket": (lambda file: ["s3://bucket/a.jpg"], "download it"),
    "base64": (lambda file: "data:image/png;base64," + "A" * 90_000, "90,022 characters.*base64"),
    "a folder": (lambda file: file.parent, r"is a folder: give its pictures"),
    "a file open for text": (lambda file: file.open(encoding="utf-8"), "mode 'rb'"),
    "text in memory": (lambda file: io.StringIO("a"), "mode 'rb'"),
    "a closed file": (lambda file: closed(file), "closed"),
    "colours in front": (lambda file: PIXELS.transpose(2, 0, 1), "colours come last"),
    "grey pictures in a stack": (lambda file: np.zeros((5, 8, 8), np.uint8), "given as a list"),
    "whole numbers of 64 bits": (lambda file: PIXELS.astype(np.int64), "uint8, or floats from 0 to 1.*int64"),
    "floats up to 255": (lambda file: PIXELS.astype(np.float32), "from 0 to 1, got .* to 2"),
    "not a number": (lambda file: np.full((4, 4), np.nan), "from 0 to 1"),
    "yes and no": (lambda file: PIXELS > 100, "uint8"),
    "an empty array": (lambda file: np.zeros((0, 4, 3), np.uint8), "not empty"),
    "a row of numbers": (lambda file: np.zeros(9, np.uint8), "expected an array"),
    "a table": (lambda file: np.array([[str(file), "cat"]]), "one column"),
    "another device": (lambda file: Elsewhere(PIXELS), "cannot become an array .*cuda tensor to numpy.$"),
    "a class": (lambda file: Image.Image, "got a value of type"),
    "a method": (lambda file: file.open, "got a value of type"),
}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_refused_in_one_line(model: Any, file: Path, case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(UsageError, match=message) as caught:
        model.predict(make(file))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def closed(file: Path) -> Any:
    with file.open("rb") as opened:
        return opened


def test_a_picture_that_cannot_be_read_follows_the_rule_of_files(model: Any, file: Path) -> None:
    cut = file.read_bytes()[:200]
    bad = [
        Broken(b""),
        b"no picture",
        io.BytesIO(cut),
        Image.open(io.BytesIO(cut)),
        file.parent / "nowhere.png",
        file.parent,
    ]
    for one in bad:
        with pytest.raises(UnreadableImage):
            model.predict(one) if one != file.parent else model.predict([one])
        with pytest.raises(UnreadableImage, match=r"picture 2:|nowhere|folder"):
            model.predict([file, one])
    answers = list(model.stream([file, *bad, file]))
    assert [isinstance(getattr(a, "error", a), UnreadableImage) for a in answers] == [False, *[True] * 6, False]


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = pv.load(colour_bundle(tmp_path / "model"))
    colour_picture("green").save(tmp_path / "a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [answer.label for answer in model.predict(["~/a.png", Path("~/a.png")])] == ["green"] * 2
    (tmp_path / "~").mkdir()
    colour_picture("blue").save(tmp_path / "~" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert model.predict("~/a.png").label == "blue"  # a name that is there means what it names


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("way", ["BytesIO", "PIL"])
def test_explanations_and_cut_outs_take_the_same(model: Any, file: Path, way: str, tmp_path: Path) -> None:
    for many in (WAYS[way](file), [WAYS[way](file)], iter([WAYS[way](file)])):
        assert pv.explain(model, many, tests=False).kind == "explain"
    with pytest.raises(UsageError, match="got None"):
        pv.explain(model, None, tests=False)
    cutter = pv.load(clicker_bundle(tmp_path / "cutter"))
    assert cutter.embed(WAYS[way](file)).size == (64, 96)


def test_a_data_set_from_what_people_have(file: Path) -> None:
    images = [str(file), file.read_bytes(), Image.open(file), PIXELS[..., 0], PIXELS / 255]
    data = dataset_from_arrays(iter(images), (label for label in "abaab"))
    assert [sample.label for sample in data.samples] == list("abaab")
    assert np.array_equal(data.samples[1].image, PIXELS)
    assert np.array_equal(data.samples[4].image, PIXELS)
    with pytest.raises(UnreadableImage, match="picture 2: cannot be decoded"):
        dataset_from_arrays([PIXELS, b"no picture"], ["a", "b"])
    with pytest.raises(UsageError, match="picture 2 should be a path"):
        dataset_from_arrays([PIXELS, 3], ["a", "b"])


def test_columns_of_pandas(file: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"file": [str(file)] * 2, "label": ["a", "b"]}, index=[5, 9])
    with pytest.raises(pv.DataError, match="more than once"):
        dataset_from_arrays(table["file"], table["label"])
    with pytest.raises(UsageError, match="one column"):
        dataset_from_arrays(table, table["label"])


def test_tensors_of_torch(model: Any) -> None:
    torch = pytest.importorskip("torch")
    wanted = plain(model.predict(PIXELS))
    assert plain(model.predict(torch.from_numpy(PIXELS.copy()))) == wanted
    assert plain(model.predict(torch.from_numpy(PIXELS.copy())[None])[0]) == wanted
    with pytest.raises(UsageError, match="colours come last"):
        model.predict(torch.from_numpy(PIXELS.copy()).permute(2, 0, 1) / 255)


@pytest.mark.parametrize("size", [0, -1, 1.5, "8"])
def test_a_batch_size_that_is_none_is_refused(tmp_path: Path, size: Any) -> None:
    model = pv.load(colour_bundle(tmp_path / "model"))
    with pytest.raises(UsageError, match="batch_size should be a whole number"):
        list(model.stream([PIXELS], batch_size=size))


@pytest.mark.parametrize("k", [-1, 1.5])
def test_a_number_of_classes_that_is_none_is_refused(tmp_path: Path, k: Any) -> None:
    answer = pv.load(colour_bundle(tmp_path / "model")).predict(PIXELS)
    assert isinstance(answer, pv.Classes)
    assert answer.top(0) == []
    with pytest.raises(UsageError, match="the number of classes should be a whole number"):
        answer.top(k)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"precision": "fp16"}, "precision should be f32 or bf16, got 'fp16'"),
        ({"engine": "onnxruntime", "precision": "bf16"}, "computes in f32 only"),
    ],
)
@pytest.mark.parametrize("make", [colour_bundle, spotter_bundle, painter_bundle])
def test_a_precision_is_obeyed_or_refused(
    tmp_path: Path, make: Callable[[Path], Any], chosen: dict[str, Any], message: str
) -> None:
    model = pv.load(make(tmp_path / "model"), **chosen)
    with pytest.raises(UsageError, match=message):
        model.predict(PIXELS)


def test_labels_may_come_one_by_one(tmp_path: Path) -> None:
    model = pv.load(colour_bundle(tmp_path / "model"))
    labels = (name for name in model.classes[:2])
    report = pv.evaluate(model, (colour_picture(name) for name in model.classes[:2]), labels)
    assert report.metrics["accuracy"].n == 2
