"""What lies outside the root is never shown to an agent, whatever it writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent import CLASSIFIER, Agent, discs_and_squares

from photovision.app.agents.desk import Desk
from photovision.core.errors import DataError

SECRET = "secret.png"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A root with links that lead out of it, and a secret picture beside it."""
    top = tmp_path_factory.mktemp("machine")
    root = discs_and_squares(top / "root", 4)
    secret = discs_and_squares(top / "other", 2) / "disc" / "000.png"
    secret.rename(top / SECRET)
    (root / "link.png").symlink_to(top / SECRET)
    (root / "way-out").symlink_to(top)
    (root / "chain.png").symlink_to(root / "link.png")
    (root / ".hidden.png").write_bytes((top / SECRET).read_bytes())
    (root / "notes.txt").write_text("not a picture")
    (root / "inside.png").symlink_to(root / "disc" / "000.png")
    return Desk({"kinds": CLASSIFIER}, root)


ATTACKS = [
    "../secret.png",
    "disc/../../secret.png",
    "./../secret.png",
    "....//secret.png",
    "..\\secret.png",
    "..%2fsecret.png",
    "%2e%2e/secret.png",
    "%252e%252e%252fsecret.png",
    "..%c0%afsecret.png",
    "link.png",
    "chain.png",
    "way-out/secret.png",
    "way-out/root/disc/000.png",
    "way-out",
    ".hidden.png",
    "notes.txt",
    "disc",
    ".",
    "..",
    "/",
    "",
    "{top}/secret.png",
    "{top}/root/../secret.png",
    "{top}/root/way-out/secret.png",
    "//{top}/secret.png",
    "file://{top}/secret.png",
    "file:///etc/passwd",
    "/etc/passwd",
    "/proc/self/environ",
    "/proc/self/cwd/secret.png",
    "/proc/self/root{top}/secret.png",
    "/dev/stdin",
    "/dev/zero",
    "\\\\host\\share\\secret.png",
    "//host/share/secret.png",
    "C:\\secret.png",
    "http://127.0.0.1/secret.png",
    "https://example.org/a.png",
    "data:image/png;base64,AAAA",
    "~/secret.png",
    "$HOME/secret.png",
    "disc/000.png\0/../../../secret.png",
    "disc/000.png/../../../secret.png",
    "disc/000.png;cat /etc/passwd",
    "*.png",
    "p000000",
]


@pytest.mark.parametrize("tool", ["classify", "find_similar"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_leads_out_of_the_root(desk: Desk, attack: str, tool: str) -> None:
    assert desk.root.folder is not None
    named = attack.replace("{top}", str(desk.root.folder.parent))
    given = {"pictures": [named]} if tool == "classify" else {"picture": named}
    refusal = Agent(desk).refusal(tool, **given)
    assert "there is no picture" in refusal
    assert str(desk.root.folder) not in refusal.replace(named, "")


def test_there_are_forty_attacks() -> None:
    assert len(set(ATTACKS)) >= 40


@pytest.mark.parametrize("folder", ["..", "../other", "way-out", "way-out/other", "/etc", "%2e%2e", "disc/../.."])
def test_no_folder_leads_out_of_the_root(desk: Desk, folder: str) -> None:
    assert "there is no folder" in Agent(desk).refusal("list_pictures", folder=folder)


def test_only_pictures_inside_are_listed(desk: Desk) -> None:
    files = [row["file"] for row in Agent(desk).tool("list_pictures", limit=64)["rows"]]
    assert files == ["inside.png", "disc/000.png", "disc/002.png", "square/001.png", "square/003.png"]


def test_a_picture_is_found_by_id_path_and_absolute_path(desk: Desk) -> None:
    assert desk.root.folder is not None
    one = desk.root.find("disc/000.png")
    for named in (one.id, "./disc/000.png", "disc/../disc/000.png", str(desk.root.folder / "disc" / "000.png")):
        assert desk.root.find(named) == one


def test_a_picture_that_became_a_link_is_not_opened(tmp_path: Path) -> None:
    root = discs_and_squares(tmp_path / "root", 2)
    secret = tmp_path / SECRET
    secret.write_bytes((root / "disc" / "000.png").read_bytes())
    agent = Agent(Desk({"kinds": CLASSIFIER}, root))
    (row, _) = agent.tool("list_pictures")["rows"]
    os.replace(secret, tmp_path / "moved.png")
    (root / "disc" / "000.png").unlink()
    (root / "disc" / "000.png").symlink_to(tmp_path / "moved.png")
    assert "is not opened" in agent.refusal("classify", pictures=[row["id"]])


def test_an_invented_path_answers_with_the_nearest_names(desk: Desk) -> None:
    assert "'disc/000.png'" in Agent(desk).refusal("classify", pictures=["disc/00.png"])


def test_without_a_root_there_are_no_pictures() -> None:
    agent = Agent(Desk({"kinds": CLASSIFIER}, None))
    assert "--root" in agent.refusal("classify", pictures=["/etc/passwd"])
    assert "--root" in agent.refusal("list_pictures")
    assert agent.tool("models")["rows"]


def test_the_root_has_to_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--root"):
        Desk({}, tmp_path / "missing")
