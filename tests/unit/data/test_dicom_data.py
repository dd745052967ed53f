"""DICOM and NIfTI as data sets: labels by file, study, series and patient; patients on one side; frames as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.core.image import decode, to_array
from photovision.core.preprocess import Preprocess
from photovision.core.windows import named_window
from photovision.data.dataset import Dataset
from photovision.data.dicom.headers import pseudonym
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits
from photovision.data.unlabelled import read_unlabelled
from photovision.engine.splits import gather
from photovision.engine.train_config import TrainConfig
from tests.dicoms import ROOT, saved
from tests.pictures import make_picture

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")
CHEST = Path(__file__).resolve().parents[4] / "shared" / "data" / "chest-nih1000"
GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))


def picture(level: int = 0) -> np.ndarray:
    return GENERATOR.integers(level, level + 900, (16, 16)).astype(np.uint16)


def clinic(top: Path, patients: int = 8, each: int = 3) -> Path:
    """A folder per class, of which every patient has pictures in one; by two hospitals."""
    for patient in range(patients):
        for number in range(each):
            name = ("sick", "well")[patient % 2]
            saved(
                top / name / f"{patient}{number}.dcm",
                picture(),
                bits=12,
                PatientID=str(patient),
                StudyInstanceUID=f"{ROOT}5.{patient}",
                SeriesInstanceUID=f"{ROOT}6.{patient}.{number % 2}",
                number=f"7.{patient}.{number}",
                InstitutionName=("North", "South")[patient // 4],
                PatientSex="F",
            )
    return top


def sides(data: Dataset) -> dict[str, set[str]]:
    """Patient -> the sides that its pictures are on."""
    splits = make_splits(data, scan(data), min_classes=1)
    found: dict[str, set[str]] = {}
    for name in ("train", "val", "test"):
        for position in getattr(splits, name):
            found.setdefault(data.samples[position].groups["patient"], set()).add(name)
    return found


def test_headers_make_groups_and_patients_stay_on_one_side(tmp_path: Path) -> None:
    data = read_dataset(clinic(tmp_path / "data"))
    assert data.classes == ("sick", "well")
    assert data.samples[0].groups == {"patient": pseudonym("", "0"), "hospital": "North", "sex": "F"}
    assert all(len(on) == 1 for on in sides(data).values())
    splits = make_splits(data, scan(data))
    assert "0 patients are shared between train (" in splits.notes[0]
    assert splits.component is not None
    assert len(np.unique(splits.component)) == 8


def test_a_published_split_that_parts_patients_leaves_their_pictures_out_of_learning(tmp_path: Path) -> None:
    rows = []
    for patient in range(12):
        for number in range(3):
            side = "test" if patient >= 9 or (patient == 0 and number == 0) else "val" if patient >= 7 else "train"
            saved(tmp_path / f"{patient}-{number}.dcm", picture(), bits=12, PatientID=f"P{patient}")
            rows.append(f"{patient}-{number}.dcm,{'ab'[patient % 2]},{side}")
    (tmp_path / "metadata.csv").write_text("file_name,label,split\n" + "\n".join(rows))
    data = read_dataset(tmp_path)
    splits = make_splits(data, scan(data))
    assert splits.published
    assert all(len(on) == 1 for on in sides(data).values())
    note = next(note for note in splits.notes if "two sides" in note)
    assert note.startswith(f"1 patient is on two sides of the published split ({pseudonym('', 'P0')}): 2 pictures")
    assert len(splits.leaked) == 0


def test_a_published_split_by_files_is_drawn_again_by_patient(tmp_path: Path) -> None:
    rows = []
    for patient in range(12):
        for number, side in enumerate(("train", "train", "val", "test")):
            saved(tmp_path / f"{patient}-{number}.dcm", picture(), bits=12, PatientID=f"P{patient}")
            rows.append(f"{patient}-{number}.dcm,{'ab'[patient % 2]},{side}")
    (tmp_path / "metadata.csv").write_text("file_name,label,split\n" + "\n".join(rows))
    data = read_dataset(tmp_path)
    splits = make_splits(data, scan(data))
    assert any(note.startswith("The published split parts the pictures of most patients") for note in splits.notes)
    assert all(len(on) == 1 for on in sides(data).values())
    assert len(splits.train) > len(splits.test) > 0


@pytest.mark.parametrize(
    ("column", "value", "files"),
    [
        ("StudyInstanceUID", f"{ROOT}5.3", 3),
        ("SeriesInstanceUID", f"{ROOT}6.3.0", 2),
        ("SOP Instance UID", f"{ROOT}7.3.1", 1),
        ("PatientID", "3", 3),
    ],
)
def test_labels_come_by_study_series_instance_and_patient(column: str, value: str, files: int, tmp_path: Path) -> None:
    clinic(tmp_path / "scans")
    other = value.replace("3", "4", 1) if column == "PatientID" else value.replace(".3", ".4", 1)
    other = value[: len(ROOT)] + value[len(ROOT) :].replace(".3", ".4", 1) if value.startswith(ROOT) else other
    table = tmp_path / "labels.csv"
    table.write_text(f"{column},label,ward\n{value},sick,east\n{other},well,west\nnowhere,well,west\n")
    data = read_dataset(table, root=tmp_path / "scans")
    assert len(data) == 2 * files
    assert [sample.label for sample in data].count("sick") == files
    assert {sample.groups["ward"] for sample in data} == {"east", "west"}
    assert data.samples[0].groups["patient"].startswith("patient ")
    assert column not in data.samples[0].groups
    assert [problem.id for problem in data.problems] == [f"{column} nowhere"]
    assert any("its labels count for all files of it" in note.message for note in data.notes)


def test_frames_and_slices_are_pictures_of_their_own_with_the_same_pixels(tmp_path: Path) -> None:
    frames = GENERATOR.integers(0, 256, (4, 9, 8), dtype=np.uint8)
    saved(tmp_path / "data" / "a" / "loop.dcm", frames, PatientID="1", PatientName="Doe^Jane")
    saved(tmp_path / "data" / "b" / "still.dcm", frames[0], PatientID="2", PatientName="Doe^John")
    data = read_dataset(tmp_path / "data")
    assert [sample.id for sample in data] == [
        "a/loop.dcm#1",
        "a/loop.dcm#2",
        "a/loop.dcm#3",
        "a/loop.dcm#4",
        "b/still.dcm",
    ]
    for number, frame in enumerate(frames):
        assert np.array_equal(to_array(decode(data.samples[number].image))[..., 0], frame)
    assert {sample.groups["patient"] for sample in data.samples[:4]} == {pseudonym("", "1")}
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file() and b"Doe" in file.read_bytes()]
    assert read_dataset(tmp_path / "data").fingerprint == data.fingerprint
    assert len(read_unlabelled(tmp_path / "data").dataset) == 5


def test_a_nifti_volume_is_a_picture_for_each_slice(tmp_path: Path) -> None:
    values = np.zeros((5, 6, 3), np.int16)
    values[4, 5, :] = (10, 20, 30)  # right, front
    (tmp_path / "a").mkdir()
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1, 1, 2, 1])), tmp_path / "a" / "brain.nii.gz")
    data = read_dataset(tmp_path)
    assert [sample.id for sample in data] == ["a/brain.nii.gz#1", "a/brain.nii.gz#2", "a/brain.nii.gz#3"]
    shown = Preprocess((6, 5), value_ranges=named_window("10/20")).load(data.samples[0].image)
    assert shown.shape == (6, 5, 3)
    assert shown[0, 0, 0] == 128  # a radiologist's view: right is left, front is up
    assert shown[1:].max() == 0
    whole = decode(tmp_path / "a" / "brain.nii.gz")
    assert whole.info["notes"] == ("has 3 slices, of which number 2 is shown",)
    assert scan(data).readable.all()
    assert scan(data).value_ranges()[0].kind == "float"


def test_media_with_an_index_are_read_by_it_or_by_their_folder(tmp_path: Path) -> None:
    saved(tmp_path / "PT0" / "a" / "IM0", picture())
    saved(tmp_path / "PT0" / "b" / "IM1", picture())
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    for source in (tmp_path, tmp_path / "DICOMDIR"):
        data = read_dataset(source)
        assert [sample.id for sample in data] == ["PT0/a/IM0", "PT0/b/IM1"]
        assert data.problems == ()


def test_a_scout_is_left_out_and_a_broken_file_costs_no_other(tmp_path: Path) -> None:
    clinic(tmp_path, 2, 2)
    saved(tmp_path / "sick" / "scout.dcm", picture(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (tmp_path / "sick" / "broken.dcm").write_bytes((tmp_path / "sick" / "00.dcm").read_bytes()[:500])
    data = read_dataset(tmp_path)
    assert [(problem.id, problem.kind) for problem in data.problems] == [("sick/scout.dcm", "scout")]
    found = scan(data)
    assert [problem.id for problem in found.problems] == ["sick/broken.dcm"]
    assert found.readable.sum() == 4


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("00000013_005.png", "00000021_000.png"),
        ("patient7/a.png", "patient8/a.png"),
        ("sub-01_T1w.png", "sub-02_T1w.png"),
    ],
)
def test_patients_are_known_by_file_names(first: str, other: str, tmp_path: Path) -> None:
    again = first.replace("005", "006").replace("/a", "/b").replace("T1w", "T2w")
    for label, names in (("a", (first, again)), ("b", (other,))):
        for name in names:
            place = tmp_path / label / name
            place.parent.mkdir(parents=True, exist_ok=True)
            make_picture(len(list(tmp_path.rglob("*.png")))).save(place)
    data = read_dataset(tmp_path, format="folder", label_from="{label}/*") if "/" in first else read_dataset(tmp_path)
    groups = [sample.groups["patient"] for sample in data]
    assert groups[0] == groups[1] != groups[2]
    assert any("patients" in note.message for note in data.notes)


def test_a_column_of_patients_goes_before_names(tmp_path: Path) -> None:
    for name in ("00000013_005", "00000013_006", "00000021_000"):
        make_picture(0).save(tmp_path / f"{name}.png")
    (tmp_path / "metadata.csv").write_text(
        "file_name,label,Patient ID\n00000013_005.png,a,x\n00000013_006.png,b,y\n00000021_000.png,a,x\n"
    )
    data = read_dataset(tmp_path)
    assert [sample.groups["patient"] for sample in data] == ["x", "y", "x"]


@pytest.mark.skipif(not CHEST.is_dir(), reason="the chest X-rays are not there")
def test_the_patients_on_two_sides_of_real_chest_x_rays_are_named() -> None:
    data = read_dataset(CHEST)
    assert all(len(on) == 1 for on in sides(data).values())


def test_a_window_shows_training_and_prediction_alike_and_names_what_it_does_not_fit(tmp_path: Path) -> None:
    clinic(tmp_path)
    saved(tmp_path / "well" / "mr.dcm", picture(), bits=12, Modality="MR", PatientID="99")
    data = TrainConfig(window="lung").windowed(read_dataset(tmp_path))
    splits = gather(data, seed=0)
    assert [problem.id for problem in splits.problems] == ["well/mr.dcm"]
    assert "Hounsfield" in splits.problems[0].message
    assert splits.ranges == named_window("lung")
    preprocess = splits.shown(Preprocess((16, 16)))
    sample = splits.train.samples[0]
    assert isinstance(sample.image, Path)
    assert np.array_equal(to_array(preprocess.open(sample)), preprocess.load(sample.image.read_bytes()))
    with pytest.raises(UsageError, match="a window should be lung"):
        TrainConfig(window="heart")
