"""What an output may replace: nothing of the user's, wherever it lies and however it is named."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from photovision.core.errors import UsageError
from photovision.core.folder import new_folder
from photovision.core.output import BUNDLE_FILES, check_file, check_folder, check_report, placed, write_output
from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.core.seal import TEXTS, write_sealed

PNG = b"\x89PNG\r\n\x1a\n a picture of the user's"


def bundle(path: Path, names: frozenset[str] = BUNDLE_FILES) -> Path:
    """A folder of a bundle as any version wrote it."""
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_text("content, written by Photovision")
    (path / "bundle.json").write_text(json.dumps({"format": "photovision", "version": 1}))
    return path


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder."""
    return {
        str(entry.relative_to(folder)): os.readlink(entry)
        if entry.is_symlink()
        else entry.read_bytes()
        if entry.is_file()
        else "folder"
        for entry in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("kind", ["model", "export", "data set"])
@pytest.mark.parametrize(
    "names",
    [
        ["thesis.txt"],
        ["sub/thesis.txt"],
        ["empty/"],
        [".git/HEAD"],
        [".hidden"],
        ["README.md"],
        ["config.json", "model.safetensors", "README.md"],  # somebody else's model
        ["report.html", "report.json", "report.md"],
    ],
)
def test_a_folder_of_the_users_is_never_replaced(tmp_path: Path, kind: str, names: list[str]) -> None:
    for name in names:
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).mkdir() if name.endswith("/") else (tmp_path / "own" / name).write_text("years")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="choose another folder"), new_folder(tmp_path / "own", kind):  # type: ignore[arg-type]
        raise AssertionError("it is noticed before the work begins")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["thesis.txt", "sub/model.onnx", "empty/", ".gitattributes", "model.onnx.bak", "Bundle.json", "photos/1.jpg"],
)
def test_a_model_with_files_of_the_users_is_not_replaced(tmp_path: Path, name: str) -> None:
    own = bundle(tmp_path / "m") / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.mkdir() if name.endswith("/") else own.write_text("years")
    before = tree(tmp_path)
    named = name.rstrip("/")
    with (
        pytest.raises(UsageError, match=f"holds {named}, which Photovision did not"),
        new_folder(tmp_path / "m", "model"),
    ):
        pass
    assert tree(tmp_path) == before


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", "", '{"format": "other"}', '{"format": ["photovision"]}'])
def test_a_bundle_json_of_something_else_is_no_mark(tmp_path: Path, text: str) -> None:
    (bundle(tmp_path / "m") / "bundle.json").write_text(text)
    with pytest.raises(UsageError, match="is not a model that Photovision wrote"):
        check_folder(tmp_path / "m", "model")


def test_a_linked_bundle_json_is_no_mark(tmp_path: Path) -> None:
    bundle(tmp_path / "m")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "bundle.json").symlink_to(tmp_path / "m" / "bundle.json")
    with pytest.raises(UsageError, match="is not a model"):
        check_folder(tmp_path / "own", "model")


def test_a_model_of_any_age_is_replaced(tmp_path: Path) -> None:
    bundle(tmp_path / "m")
    (tmp_path / "m" / ".DS_Store").write_bytes(b"left by a file manager")
    with new_folder(tmp_path / "m", "model") as folder:
        (folder / "bundle.json").write_text("{}")
    assert list(tree(tmp_path / "m")) == ["bundle.json"]


def test_an_export_replaces_an_export_and_nothing_else(tmp_path: Path) -> None:
    for content in ("one", "two"):
        with new_folder(tmp_path / "e", "export") as folder:
            (folder / "deep" / "er").mkdir(parents=True)
            (folder / "deep" / "er" / "net.bin").write_text(content)
    assert (tmp_path / "e" / "deep" / "er" / "net.bin").read_text() == "two"
    with pytest.raises(UsageError, match="is not a model"):
        check_folder(tmp_path / "e", "model")
    with pytest.raises(UsageError, match="is not an export"):
        check_folder(bundle(tmp_path / "m"), "export")
    (tmp_path / "e" / "deep" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds deep/notes\.txt"):
        check_folder(tmp_path / "e", "export")


def test_a_data_set_is_never_replaced_for_people_work_on_in_it(tmp_path: Path) -> None:
    with new_folder(tmp_path / "d", "data set") as folder:
        (folder / "metadata.csv").write_text("file_name,label")
    with pytest.raises(UsageError, match="data sets are never replaced"):
        check_folder(tmp_path / "d", "data set")


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with new_folder(tmp_path / "m", "model") as folder:
        (folder / "bundle.json").write_text("{}")
    assert list(tree(tmp_path / "m")) == ["bundle.json"]


def test_links_are_neither_replaced_nor_followed(tmp_path: Path) -> None:
    bundle(tmp_path / "target")
    (tmp_path / "latest").symlink_to("target")
    (tmp_path / "gone").symlink_to("nowhere")
    before = tree(tmp_path)
    for name in ("latest", "gone", "latest/"):
        with pytest.raises(UsageError, match="is a link to"), new_folder(tmp_path / name, "model"):
            pass
    assert tree(tmp_path) == before
    (tmp_path / "above").symlink_to(tmp_path)  # a link further up is where the user keeps things
    with new_folder(tmp_path / "above" / "m", "model") as folder:
        (folder / "bundle.json").write_text("{}")
    assert (tmp_path / "m" / "bundle.json").is_file()
    assert (tmp_path / "above").is_symlink()


def test_places_that_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "ana"
    (home / "empty").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home / "empty"))
    monkeypatch.chdir(bundle(home / "m"))
    for path in (".", "", "/", "..", "../..", "../m", "./", str(home / "m"), "x/.."):
        with pytest.raises(UsageError, match=r"current folder|cannot write"):
            check_folder(path, "model")
    with pytest.raises(UsageError, match="home folder"):
        check_folder(home / "empty", "model")
    with pytest.raises(UsageError, match=r"mount point|is not a model"):
        check_folder("/proc", "model")
    with pytest.raises(UsageError, match="not a folder"):
        check_folder(home / "m" / "README.md", "model")
    with pytest.raises(UsageError, match="is not a folder"):
        check_folder(home / "m" / "README.md" / "below", "model")


def test_no_output_is_or_holds_or_lies_in_an_input(tmp_path: Path) -> None:
    model = bundle(tmp_path / "w" / "m")
    (tmp_path / "to-m").symlink_to(model)
    for path in (model, tmp_path / "w", model / "sub", tmp_path / "w" / ".." / "w" / "m", tmp_path / "to-m" / "sub"):
        with pytest.raises(UsageError, match=r"the model|lies in the input"):
            check_folder(path, "model", [tmp_path / "to-m"])
    check_folder(tmp_path / "w" / "m2", "model", [model])
    with pytest.raises(UsageError, match=r"holds the input model\.safetensors"):
        check_folder(model, "model", [model / "model.safetensors"])


def test_a_parent_that_cannot_be_written_is_noticed_at_once(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="not writable"):
        check_folder(tmp_path / "shut" / "deep" / "m", "model")


def test_the_place_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert placed("m") == placed("./m") == placed("a/../m") == tmp_path / "m"
    assert placed("b/m") == tmp_path / "a" / "m"
    assert placed("b") == tmp_path / "b"
    assert placed("b/..") == placed(".") == placed("a/..") == tmp_path


REPORT = {"kind": "check", "title": "", "summary": [], "metrics": {}, "tables": [], "warnings": []}


@pytest.mark.parametrize("name", ["report.html", "report.json", "report.md", "suspects.csv"])
@pytest.mark.parametrize("text", ["mine", "{}", json.dumps({"kind": "check"})])
def test_reports_of_the_users_are_not_replaced(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=f"holds {name}, which Photovision did not write"):
        check_report(tmp_path, "check", ["suspects.csv"])


def test_a_report_is_replaced_by_one_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("stays beside it")
    check_report(tmp_path, "check")
    check_report(tmp_path / "new" / "folder", "check")
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    (tmp_path / "report.html").write_text("by Photovision")
    check_report(tmp_path, "check")
    with pytest.raises(UsageError, match="a report of 'check', not of 'audit'"):
        check_report(tmp_path, "audit")
    (tmp_path / "report.md").mkdir()
    with pytest.raises(UsageError, match="no plain file"):
        check_report(tmp_path, "check")
    with pytest.raises(UsageError, match="is not a folder"):
        check_report(tmp_path / "thesis.txt", "check")


def test_a_file_of_the_users_is_not_replaced(tmp_path: Path) -> None:
    own = tmp_path / "a.png"
    own.write_bytes(PNG)
    with pytest.raises(UsageError, match="Photovision did not write it"):
        write_output(own, b"new")
    assert own.read_bytes() == PNG
    write_output(tmp_path / "b.png", PNG + b"Photovision")
    write_output(tmp_path / "b.png", PNG + b"Photovision again")
    assert (tmp_path / "b.png").read_bytes().endswith(b"again")
    (tmp_path / "empty.png").touch()
    check_file(tmp_path / "empty.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("b.png")
    for name in ("folder.png", "link.png"):
        with pytest.raises(UsageError, match=r"not a regular file|is a link"):
            check_file(tmp_path / name)


def test_an_input_is_known_by_any_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    film = tmp_path / "a.mp4"
    film.write_bytes(b"Photovision made it, and it is read now")
    os.link(film, "hard.mp4")
    (tmp_path / "sub").mkdir()
    (tmp_path / "soft.mp4").symlink_to("a.mp4")
    for name in ("a.mp4", "./a.mp4", "sub/../a.mp4", "hard.mp4"):
        with pytest.raises(UsageError, match="is the input"):
            check_file(name, ["soft.mp4"])
    check_file("a.mp4", ["0", "rtsp://camera", "other.mp4"])


def sealed_bundle(path: Path) -> Path:
    """A folder of a bundle as this version writes it."""
    bundle(path)
    for name in TEXTS:
        write_sealed(path / name, "# A classifier\n\nIt tells cats from dogs.\n")
    return path


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "text",
    ["# Mine\n", "{}\nOur own evaluation ...\n", "What I found:\n{}"],
    ids=["replaced", "appended", "put before"],
)
def test_a_text_that_somebody_edited_is_not_replaced(tmp_path: Path, name: str, text: str) -> None:
    own = sealed_bundle(tmp_path / "m") / name
    own.write_text(text.replace("{}", own.read_text()))
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=f"{name}, which was edited by hand"), new_folder(tmp_path / "m", "model"):
        raise AssertionError("it is noticed before the work begins")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_texts_that_nobody_edited_are_replaced_whatever_ends_their_lines(tmp_path: Path, ending: bytes) -> None:
    own = sealed_bundle(tmp_path / "m")
    for name in TEXTS:
        (own / name).write_bytes((own / name).read_bytes().replace(b"\n", ending))
    with new_folder(own, "model") as folder:
        (folder / "bundle.json").write_text("{}")
    assert list(tree(own)) == ["bundle.json"]


def test_a_text_of_a_version_without_seals_is_known_by_the_name_of_its_maker(tmp_path: Path) -> None:
    own = bundle(tmp_path / "m", frozenset({"README.md"}))
    with new_folder(own, "model") as folder:
        bundle(folder)
    (own / "README.md").write_text("# My model\n")
    with pytest.raises(UsageError, match=r"README\.md, which was edited by hand"):
        check_folder(own, "model")


def test_a_report_that_somebody_edited_is_not_replaced(tmp_path: Path) -> None:
    write_report(Report("check", "Cats"), tmp_path)
    write_report(Report("check", "Cats and dogs"), tmp_path)
    text = (tmp_path / "report.md").read_text() + "\nMy own conclusions\n"
    (tmp_path / "report.md").write_text(text)
    with pytest.raises(UsageError, match=r"report\.md, which was edited by hand"):
        write_report(Report("check", "Cats"), tmp_path)
    assert (tmp_path / "report.md").read_text() == text
    assert json.loads((tmp_path / "report.json").read_text())["title"] == "Cats and dogs"


@pytest.mark.parametrize("name", ["n" * 256, "a\0b", "n" * 256 + "/m"])
def test_a_name_that_no_folder_can_have_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        check_folder(tmp_path / name, "export")


def test_a_name_in_a_folder_that_is_gone_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    try:
        with pytest.raises(UsageError, match="cannot write m"):
            check_folder("m", "export")
    finally:
        os.chdir(tmp_path)


def test_an_input_by_another_name_is_an_input(tmp_path: Path) -> None:
    bundle(tmp_path / "m")
    (tmp_path / "mounted").mkdir()
    if (
        os.name != "posix"
        or subprocess.run(
            ["mount", "--bind", tmp_path / "m", tmp_path / "mounted"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("only root can mount a folder under a second name")
    try:
        with pytest.raises(UsageError, match="is the model itself"):
            check_folder(tmp_path / "m", "model", [tmp_path / "mounted"])
        with pytest.raises(UsageError, match="lies in the input"):
            check_folder(tmp_path / "m" / "new", "model", [tmp_path / "mounted"])
        with pytest.raises(UsageError, match="holds the input"):
            check_folder(tmp_path / "m", "model", [tmp_path / "mounted" / "model.onnx"])
    finally:
        subprocess.run(["umount", tmp_path / "mounted"], check=True)
