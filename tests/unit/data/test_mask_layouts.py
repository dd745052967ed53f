"""Masks as people lay them out: which file is a mask, of which picture, and of which split; and what is no mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image

from photovision.core.errors import DataError
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset


def scene(root: Path, *files: str, high: int = 255, mode: str = "L") -> Path:
    """Pictures, and masks of a square where a name says so (it ends with its corner: "masks/1.png@8")."""
    for file in files:
        name, _, corner = file.partition("@")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if not corner:
            make_picture(len(name), 48, seed=len(file)).save(root / name)
            continue
        mask = np.zeros((48, 48), np.uint8)
        mask[int(corner) : int(corner) + 12, 4:20] = high
        Image.fromarray(mask).convert(mode).save(root / name)
    return root


def labels(data: Dataset, position: int = 0) -> np.ndarray:
    regions = data.samples[position].annotations
    assert isinstance(regions, Segmentation)
    return regions.labels


LAYOUTS = [
    "{p}/images/{n}.jpg {p}/masks/{n}.png",
    "images/{p}/{n}.jpg masks/{p}/{n}.png",
    "{p}/{n}.jpg {p}_masks/{n}_mask.png",
    "{p}/{n}.png {p}annot/{n}.png",
    "{p}/{n}.png {p}_labels/{n}_L.png",
    "images/{p}/{n}.jpg annotations/{p}/{n}.png",
    "Set/Images/{p}/{n}.JPG Set/Ground_Truth/{p}/{n}_segmentation.PNG",
    "{p}_images/{n}.jpg {p}_masks/{n}.png",
    "{p}_img/{n}.jpg {p}_lab/{n}.png",
    "ISIC_{p}_Input/{n}.jpg ISIC_{p}_GroundTruth/{n}_segmentation.png",
    "leftImg8bit/{p}/town/town_{n}_leftImg8bit.png gtFine/{p}/town/town_{n}_gtFine_labelIds.png",
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_split_has_its_own_masks(layout: str, tmp_path: Path) -> None:
    picture, mask = layout.split()
    for split, count, corner in (("train", 3, 2), ("val", 2, 30)):
        for number in range(count):
            scene(tmp_path, picture.format(p=split, n=number), mask.format(p=split, n=number) + f"@{corner}")
    data = read_dataset(tmp_path)
    assert (data.source, data.annotation_type, data.classes) == ("masks", "masks", ("background", "object"))
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 3, "val": 2}
    for split, corner in (("train", 2), ("val", 30)):
        for row in data.splits[split]:
            assert np.flatnonzero(labels(data, row).any(axis=1)).tolist() == list(range(corner, corner + 12))
    assert not data.problems


@pytest.mark.parametrize(
    "names",
    [
        "images/1.jpg masks/1_mask.png",
        "images/1.jpg masks/mask_1.png",
        "images/1.jpg masks/1_segmentation.png",
        "images/1.jpg masks/1_seg_mask.png",
        "images/1.jpg labels/1_label.png",
        "images/1.jpg masks/1_gt.png",
        "Images/1.jpg Masks/1.png",
        "IMG/1.jpg MASK/1.bmp",
        "images/img_1.jpg masks/mask_1.tif",
        "images/image12.jpg masks/mask12.png",
        "JPEGImages/1.jpg SegmentationClass/1.png",
        "images/1.jpg annotations/trimaps/1.png",
        "imagesTr/case_0000.png labelsTr/case.png",
        "1_sat.jpg 1_mask.png",
        "1.jpg 1_mask.png",
        "deep/down/images/1.jpg deep/down/masks/1.png",
    ],
)
def test_names_of_masks(names: str, tmp_path: Path) -> None:
    picture, mask = names.split()
    data = read_dataset(scene(tmp_path, picture, f"{mask}@8"))
    assert (data.annotation_type, len(data)) == ("masks", 1)
    assert data.samples[0].id == picture
    assert int(labels(data).sum()) == 12 * 16


def test_several_masks_of_one_picture_are_laid_together(tmp_path: Path) -> None:
    data = read_dataset(scene(tmp_path, "1.png", "1_mask.png@2", "1_mask_1.png@30", "2.png", "2_mask.png@5"))
    assert int(labels(data, 0).sum()) == 2 * 12 * 16
    assert [(note.id, note.kind) for note in data.notes] == [("1.png", "several masks")]


def test_of_two_people_who_drew_the_first_counts_and_the_other_is_named(tmp_path: Path) -> None:
    for number in range(3):
        scene(tmp_path, f"a_{number}.jpg", f"a_{number}_1st.png@4", f"a_{number}_2nd.png@6")
    data = read_dataset(tmp_path)
    assert (data.annotation_type, len(data)) == ("masks", 3)
    assert np.flatnonzero(labels(data).any(axis=1))[0] == 4
    assert [(note.id, note.kind) for note in data.notes] == [("a_0_2nd.png", "masks")]
    assert "3 others are not" in data.notes[0].message


def test_a_file_for_every_object_only_where_a_folder_is_of_one_picture(tmp_path: Path) -> None:
    one = scene(tmp_path / "one", *(f"train/{n}/images/{n}.png" for n in "ab"))
    scene(one, "train/a/masks/x.png@2", "train/a/masks/y.png@30", "train/b/masks/z.png@4")
    data = read_dataset(one)
    assert (data.annotation_type, {split: len(rows) for split, rows in data.splits.items()}) == ("boxes", {"train": 2})
    assert [len(s.annotations) for s in data.samples if isinstance(s.annotations, Detections)] == [2, 1]
    many = scene(tmp_path / "many", "train/images/a.png", "train/images/b.png", "train/masks/x.png@2")
    with pytest.raises(DataError, match="no masks that go with its pictures"):
        read_dataset(many, format="masks")


def test_black_and_white_jpeg_is_read_and_said_to_be_lossy(tmp_path: Path) -> None:
    data = read_dataset(scene(tmp_path, "images/1.jpg", "masks/1.jpg@8", "images/2.jpg", "masks/2.jpg@20"))
    assert data.classes == ("background", "object")
    assert abs(int(labels(data).sum()) - 12 * 16) <= 12
    assert "JPEG" in {note.kind for note in data.notes}
    grey = np.linspace(0, 255, 48 * 48).reshape(48, 48).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "masks" / "2.jpg")
    again = read_dataset(tmp_path)
    assert len(again) == 1
    assert "save it as PNG" in again.problems[0].message


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "RGBA"])
@pytest.mark.parametrize("high", [1, 255])
def test_an_object_and_its_background_in_any_mode(mode: str, high: int, tmp_path: Path) -> None:
    if high == 1 and mode != "L":
        pytest.skip("1 of 255 is a number in grey only")
    data = read_dataset(scene(tmp_path, "images/1.jpg", "masks/1.png@8", high=high, mode=mode))
    assert data.classes == ("background", "object")
    assert int((labels(data) == 1).sum()) == 12 * 16
    assert data.samples[0].target == ("object",)


def test_smoothed_edges_become_black_or_white(tmp_path: Path) -> None:
    scene(tmp_path, "images/1.jpg", "masks/1.png@8", "images/2.jpg", "masks/2.png@20")
    for number in (1, 2):
        file = tmp_path / "masks" / f"{number}.png"
        Image.open(file).resize((96, 96), Image.Resampling.BICUBIC).resize((48, 48), Image.Resampling.BICUBIC).rotate(
            7, Image.Resampling.BICUBIC
        ).save(file)
    data = read_dataset(tmp_path)
    assert data.classes == ("background", "object")
    assert abs(int((labels(data) == 1).sum()) - 12 * 16) <= 16
    assert [note.kind for note in data.notes] == ["black and white"]


@pytest.mark.parametrize(
    ("values", "classes", "unjudged"),
    [
        ((0, 1, 2, 255), ("0", "1", "2"), True),
        ((0, 7, 15, 255), ("0", "15", "7"), True),
        ((0, 128, 255), ("0", "128", "255"), False),
        ((0, 85, 170, 255), ("0", "170", "255", "85"), False),
    ],
)
def test_255_is_unjudged_beside_numbers_of_classes_only(
    values: tuple[int, ...], classes: tuple[str, ...], unjudged: bool, tmp_path: Path
) -> None:
    scene(tmp_path, "images/1.jpg")
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.resize(np.repeat(np.uint8(values), 12), (48, 48))).save(tmp_path / "masks" / "1.png")
    data = read_dataset(tmp_path)
    assert tuple(sorted(data.classes)) == classes
    assert bool((labels(data) == IGNORE).any()) == unjudged


@pytest.mark.parametrize("names", ["crack\n", "background\ncrack\n"])
def test_a_name_for_the_only_object(names: str, tmp_path: Path) -> None:
    scene(tmp_path, "images/1.jpg", "masks/1.png@8")
    (tmp_path / "classes.txt").write_text(names)
    data = read_dataset(tmp_path)
    assert data.classes == ("background", "crack")
    assert int((labels(data) == 1).sum()) == 12 * 16


def test_masks_of_another_size_are_named_with_both_sizes(tmp_path: Path) -> None:
    scene(tmp_path, "images/1.jpg", "masks/1.png@8")
    Image.new("L", (24, 20)).save(tmp_path / "masks" / "1.png")
    with pytest.raises(DataError, match=r"images/1\.jpg: the mask has 20 x 24 pixels, the picture 48 x 48"):
        read_dataset(tmp_path)


def test_masks_beside_pictures_in_class_folders_are_left_out_and_named(tmp_path: Path) -> None:
    for name in ("benign", "malignant"):
        for number in (1, 2):
            scene(tmp_path, f"{name}/{name} ({number}).png", f"{name}/{name} ({number})_mask.png@{number}")
    data = read_dataset(tmp_path)
    assert (data.source, data.classes, len(data)) == ("folder", ("benign", "malignant"), 4)
    assert "4 masks of pictures are left out: --format masks" in data.notes[0].message
    assert read_dataset(tmp_path, format="masks").annotation_type == "masks"


def test_masks_of_some_classes_are_left_out_of_the_classes(tmp_path: Path) -> None:
    scene(tmp_path, "train/good/1.png", "train/bent/2.png", "test/good/3.png", "test/bent/4.png", "test/bent/5.png")
    scene(tmp_path, "ground_truth/bent/4_mask.png@3", "ground_truth/bent/5_mask.png@3")
    data = read_dataset(tmp_path)
    assert (data.source, data.classes, sorted(data.splits)) == ("folder", ("bent", "good"), ["test", "train"])
    assert [note.kind for note in data.notes] == ["masks"]


@pytest.mark.parametrize(
    "names", [("mask", "no_mask"), ("with_mask", "without_mask"), ("label", "logo"), ("mask", "face")]
)
def test_classes_that_are_called_like_masks_stay_classes(names: tuple[str, str], tmp_path: Path) -> None:
    scene(tmp_path, *(f"{name}/{number}.jpg" for name in names for number in range(3)))
    data = read_dataset(tmp_path)
    assert (data.source, set(data.classes)) == ("folder", set(names))


def test_other_views_of_a_picture_are_no_masks(tmp_path: Path) -> None:
    scene(tmp_path, *(f"{name}/{n}{end}.jpg" for name in ("cat", "dog") for n in range(3) for end in ("", "_flip")))
    data = read_dataset(tmp_path)
    assert (data.source, len(data)) == ("folder", 12)


def test_pictures_in_a_folder_called_masks_are_refused(tmp_path: Path) -> None:
    scene(tmp_path, *(f"{name}/{number}.jpg" for name in ("images", "masks") for number in range(3)))
    with pytest.raises(DataError, match=r"save it as PNG"):
        read_dataset(tmp_path)


def test_real_masks_in_real_layouts(shared_data: Path) -> None:
    retina = read_dataset(shared_data / "retina-chase")
    assert (retina.annotation_type, len(retina), len(retina.notes)) == ("masks", 28, 1)
    cookies = read_dataset(shared_data / "cookies")
    assert (cookies.source, cookies.classes, sorted(cookies.splits)) == (
        "folder",
        ("broken", "good"),
        ["test", "train"],
    )
    drawn = read_dataset(shared_data / "cookies", format="masks")
    assert (len(drawn), drawn.annotation_type) == (32, "masks")
