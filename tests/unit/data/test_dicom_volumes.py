"""Series and volumes: what belongs together is stacked in order, what does not is taken apart by the files' names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photovision.core import nifti
from photovision.core.errors import DataError, UnreadableImage
from photovision.data.dicom import volume as volumes
from photovision.data.dicom.headers import age_band, pseudonym, read_facts
from photovision.data.dicom.series import group_series
from photovision.data.dicom.volume import read_nifti, read_volume, read_volumes
from tests.dicoms import ROOT, saved

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")
HEAD = Path(__file__).resolve().parents[4] / "shared" / "data" / "ct-head" / "ge"
AXIAL = [1, 0, 0, 0, 1, 0]


def letter_f() -> np.ndarray:
    """int16 (7, 9, 8), a letter F that is in no way symmetric, higher in value from slice to slice."""
    f = np.full((7, 9, 8), -1000, np.int16)
    for number in range(7):
        f[number, 1:8, 2] = f[number, 1, 2:7] = f[number, 4, 2:5] = 100 * (number + 1)
    return f


def write(
    folder: Path, turned: list[float] = AXIAL, step: tuple[float, ...] = (0, 0, 2.5), **tags: object
) -> list[Path]:
    """The letter as a series, its files named out of order."""
    pixels, paths = letter_f(), []
    for number, plane in enumerate(pixels):
        position = [-10 + number * step[0], 20 + number * step[1], 5 + number * step[2]]
        path = folder / f"{(number * 5) % 7}.dcm"
        own = {"ImagePositionPatient": position, "ImageOrientationPatient": turned, "PixelSpacing": [0.5, 0.75]}
        own |= {"RescaleSlope": 1, "RescaleIntercept": -24, "number": f"9.{number}", "InstanceNumber": number + 1}
        paths.append(saved(path, plane, **(own | tags)))
    return paths


def world(values: np.ndarray, affine: np.ndarray) -> set[tuple[float, ...]]:
    """Value and coordinates of every voxel of the letter."""
    at = np.argwhere(values > -500)
    mm = np.round(at @ affine[:3, :3].T + affine[:3, 3], 3) + 0.0
    return {(float(values[tuple(index)]), *point) for index, point in zip(at, mm.tolist(), strict=True)}


@pytest.mark.parametrize(
    ("turned", "step"),
    [
        (AXIAL, (0, 0, 2.5)),
        (AXIAL, (0, 0, -2.5)),
        ([0, 1, 0, 0, 0, -1], (3, 0, 0)),  # sagittal
        ([1, 0, 0, 0, 0, -1], (0, -2, 0)),  # coronal
        ([1, 0, 0, 0, 0.9483237, -0.3173047], (0, 0, 4.22)),  # a tilted gantry
    ],
    ids=["axial", "from head to foot", "sagittal", "coronal", "tilted"],
)
def test_a_letter_lies_where_simpleitk_and_nifti_have_it(
    turned: list[float], step: tuple[float, ...], tmp_path: Path
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    write(tmp_path, turned, step)
    ours = read_volume(tmp_path)
    assert ours.values.dtype == np.float32
    assert ours.problems == ()
    letter = world(ours.values, ours.affine)
    assert len(letter) == 7 * 13
    assert world(ours.canonical().values, ours.canonical().affine) == letter

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    theirs = reader.Execute()
    if ours.series is not None and not ours.series.tilted:  # SimpleITK has no shear
        values = sitk.GetArrayFromImage(theirs)
        points = {
            (float(values[k, j, i]), *np.round(theirs.TransformIndexToPhysicalPoint((int(i), int(j), int(k))), 3) + 0.0)
            for k, j, i in np.argwhere(values > -500)
        }
        assert points == letter

    file = tmp_path / "letter.nii.gz"
    nibabel.save(nibabel.Nifti1Image(ours.values.transpose(2, 1, 0), ours.nifti_affine()), file)
    again = read_nifti(file)
    assert world(again.values, again.affine) == letter
    flipped = ours.nifti_affine() @ np.array([[1, 0, 0, 0], [0, -1, 0, 8], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(ours.values.transpose(2, 1, 0)[:, ::-1], flipped), file)
    turned_over = read_nifti(file)
    assert world(turned_over.values, turned_over.affine) == letter
    assert np.array_equal(turned_over.canonical().values, ours.canonical().values)


def test_slices_are_sorted_by_place_and_in_hounsfield_units(tmp_path: Path) -> None:
    write(tmp_path)
    found = read_volume(tmp_path)
    assert np.array_equal(found.values, letter_f() - 24)
    assert found.spacing == pytest.approx((2.5, 0.5, 0.75))
    assert found.voxel_ml == pytest.approx(2.5 * 0.5 * 0.75 / 1000)


def test_a_scout_and_another_orientation_are_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path)
    scout = saved(tmp_path / "scout.dcm", letter_f()[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    other = saved(
        tmp_path / "other.dcm",
        letter_f()[0],
        ImagePositionPatient=[0, 0, 0],
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        PixelSpacing=[0.5, 0.75],
    )
    found = group_series(tmp_path.iterdir())
    assert sorted(len(one.slices) for one in found.series) == [1, 7]
    assert {(Path(one.id).name, one.kind) for one in found.problems} == {
        (scout.name, "no slice"),
        (other.name, "mixed series"),
    }
    with pytest.raises(DataError, match=r"one volume was expected, but there are 2: .*other\.dcm"):
        read_volume(tmp_path)


def test_a_missing_slice_takes_the_series_apart(tmp_path: Path) -> None:
    paths = write(tmp_path)
    paths[3].unlink()
    found = group_series(tmp_path.iterdir())
    assert [len(one.slices) for one in found.series] == [3, 3]
    (gap,) = found.problems
    assert gap.id == str(paths[4])
    assert gap.message.startswith(f"lies 5.00 mm after {paths[2].name} in place of 2.50: a slice is missing")


def test_a_double_slice_is_left_out_and_whole_phases_are_taken_apart(tmp_path: Path) -> None:
    paths = write(tmp_path)
    (tmp_path / "copy.dcm").write_bytes(paths[2].read_bytes())
    found = group_series(tmp_path.iterdir())
    assert [len(one.slices) for one in found.series] == [7]
    assert [one.kind for one in found.problems] == ["double slice"]
    for path in paths:
        (tmp_path / f"again {path.name}").write_bytes(path.read_bytes())
    (tmp_path / "copy.dcm").unlink()
    found = group_series(tmp_path.iterdir())
    assert [len(one.slices) for one in found.series] == [7, 7]


def test_patients_and_series_are_kept_apart_whatever_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", SeriesInstanceUID=ROOT + "77")
    assert len(read_volumes(tmp_path)[0]) == 2


def test_frames_of_one_file_make_a_volume(tmp_path: Path) -> None:
    items = []
    for number in (2, 0, 1):
        item, place, measures = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [0, 0, 3.0 * number]
        measures.PixelSpacing = [1, 1]
        item.PlanePositionSequence, item.PixelMeasuresSequence = [place], [measures]
        items.append(item)
    shared, orientation = pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = AXIAL
    shared.PlaneOrientationSequence = [orientation]
    frames = np.stack([np.full((4, 5), number, np.int16) for number in (2, 0, 1)])
    saved(
        tmp_path / "many.dcm",
        frames,
        PerFrameFunctionalGroupsSequence=items,
        SharedFunctionalGroupsSequence=[shared],
    )
    found = read_volume(tmp_path / "many.dcm")
    assert found.values[:, 0, 0].tolist() == [0, 1, 2]
    assert found.spacing == (3, 1, 1)


@pytest.mark.skipif(not HEAD.is_dir(), reason="the CT of a head is not there")
def test_a_tilted_head_is_two_blocks_of_even_slices() -> None:
    found = group_series(sorted(HEAD.iterdir(), reverse=True))
    assert sum(len(one.slices) for one in found.series) == 28
    assert all(one.tilted for one in found.series)
    assert [one.kind for one in found.problems] == ["gap"] * (len(found.series) - 1)
    block = volumes.read_series(found.series[0])
    first = pydicom.dcmread(found.series[0].slices[0].path)
    stored = first.pixel_array * first.RescaleSlope + first.RescaleIntercept
    padding = stored == first.PixelPaddingValue
    assert np.array_equal(block.values[0][~padding], stored[~padding])
    assert set(block.values[0][padding].tolist()) == {stored[~padding].min()}
    last = found.series[0].slices[-1].place.position
    assert block.affine @ [len(block.values) - 1, 0, 0, 1] == pytest.approx([*last, 1])
    assert block.voxel_ml == pytest.approx(0.4882812**2 * 4.22 * 0.9483237 / 1000, rel=1e-4)


def test_bad_volumes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"\x1f\x8bno")
    with pytest.raises(UnreadableImage, match=r"a\.nii\.gz: cannot be decoded"):
        read_nifti(path)
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5, 6), np.int16), np.eye(4)), path)
    with pytest.raises(UnreadableImage, match="a volume of three dimensions is expected"):
        read_nifti(path)
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.eye(4)), path)
    monkeypatch.setattr(volumes, "MAX_VOXELS", 50)
    monkeypatch.setattr(nifti, "MAX_VOXELS", 50)
    with pytest.raises(UnreadableImage, match="3 x 4 x 5 voxels, more than the limit of 50"):
        read_nifti(path)
    write(tmp_path / "series")
    with pytest.raises(UnreadableImage, match="7 x 9 x 8 voxels, more than the limit"):
        read_volume(tmp_path / "series")
    with pytest.raises(DataError, match="holds no volume"):
        read_volume(tmp_path / "nowhere")


def test_what_a_header_states_of_a_patient_becomes_groups_without_the_number(tmp_path: Path) -> None:
    stated = {"PatientID": "4711", "IssuerOfPatientID": "North", "InstitutionName": "St. Mary", "PatientSex": "F"}
    stated |= {"PatientAge": "045Y", "Manufacturer": "ACME", "ManufacturerModelName": "One"}
    facts = read_facts(saved(tmp_path / "a.dcm", letter_f()[0], **stated))
    assert facts.groups() == {
        "patient": pseudonym("North", "4711"),
        "hospital": "St. Mary",
        "device": "ACME One",
        "sex": "F",
        "age": "40 to 59",
    }
    assert "4711" not in str(facts)
    assert pseudonym("", "4711") != pseudonym("North", "4711")
    assert [age_band(years) for years in (None, 3, 17.9, 18, 95)] == [
        "",
        "0 to 17",
        "0 to 17",
        "18 to 39",
        "80 and over",
    ]
    born = saved(tmp_path / "b.dcm", letter_f()[0], PatientBirthDate="19900615", StudyDate="20240601")
    assert read_facts(born).age == "18 to 39"
