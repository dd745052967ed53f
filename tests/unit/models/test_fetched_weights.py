"""Weights from the Hugging Face Hub: asked for, shown, fetched file by file, and never fetched without leave."""

from __future__ import annotations

from pathlib import Path

import hub
import networks
import pytest

from photovision.core.errors import ModelError, UsageError
from photovision.models.backbones import choose
from photovision.models.import_weights import fetch


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_weights_are_fetched_when_that_is_asked_for_and_then_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = networks.timm_folder(tmp_path / "published", "vit", classes=4)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    told: list[str] = []
    with hub.serving({"owner/tiny-vit": folder}, "cc-by-nc-4.0") as (address, fetched):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(UsageError, match=r"photovision weights get hf-hub:owner/tiny-vit.* --allow-download"):
            choose("hf-hub:owner/tiny-vit", "auto", None)
        assert fetched == []
        found = fetch("hf-hub:owner/tiny-vit", told.append)
        assert set(fetched) == {"config.json", "model.safetensors"}
        with pytest.raises(UsageError, match="no open repository 'owner/other'"):
            fetch("hf-hub:owner/other")
    assert told == ["owner/tiny-vit: 0 MB. Licence: cc-by-nc-4.0 (no commercial use)."]
    assert (found.name, found.origin) == ("owner/tiny-vit", f"owner/tiny-vit at {hub.COMMIT[:12]}")
    source = choose("hf-hub:owner/tiny-vit", "auto", None)
    assert source.describe()["origin"] == found.origin
    assert source.licence == "cc-by-nc-4.0"
    assert fetch("owner/tiny-vit") == found


def test_a_repository_without_safetensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = networks.timm_folder(tmp_path / "published", "vit")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with hub.serving({"owner/pickled": folder}) as (address, fetched):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(ModelError, match=r"has no model.safetensors: weights in other files"):
            fetch("owner/pickled")
    assert fetched == []


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="could not be fetched from the Hugging Face Hub"):
        fetch("hf-hub:owner/tiny-vit")


@pytest.mark.parametrize(
    ("name", "message"), [("resnet5000", "did you mean resnet50"), ("mixer_s16_224", "publishes no weights")]
)
def test_names_that_cannot_be_fetched_are_said_before_the_network_is_asked(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fetch(name)
