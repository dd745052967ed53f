"""The files for containers say what the service understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from colours import colour_bundle

from photovision.app.cli import run
from photovision.service.settings import Settings, read_settings

FOLDER = Path(__file__).parents[3] / "deployment"


def manifests(name: str) -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))}


def containers() -> list[Any]:
    deployment = manifests("kubernetes.yaml")["Deployment"]
    runtime = manifests("kserve.yaml")["ServingRuntime"]
    return [deployment["spec"]["template"]["spec"]["containers"][0], runtime["spec"]["containers"][0]]


@pytest.mark.parametrize("container", containers(), ids=["kubernetes", "kserve"])
def test_a_container_starts_with_arguments_that_exist(
    container: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = manifests("kubernetes.yaml")["ConfigMap"]["data"]["service.toml"]
    (tmp_path / "service.toml").write_text(config)
    arguments = [argument.replace("{{.Name}}", "name") for argument in container["args"]]
    arguments = [argument.replace("/config/", f"{tmp_path}/") for argument in arguments]
    assert run(["serve", *arguments]) == 2
    said = capsys.readouterr().err
    # Everything was understood, and what is missing here is a file that the cluster brings.
    assert "/keys/keys.json cannot be read" in said or "no model at /mnt/models" in said


def test_probes_ask_addresses_that_answer() -> None:
    asked = [
        probe["httpGet"]["path"]
        for container in containers()
        for name, probe in container.items()
        if name.endswith("Probe")
    ]
    assert set(asked) == {"/v2/health/ready", "/v2/health/live"}
    assert len(asked) == 5


def test_a_pod_has_the_time_that_its_settings_take(tmp_path: Path) -> None:
    found = manifests("kubernetes.yaml")
    file = tmp_path / "service.toml"
    file.write_text(found["ConfigMap"]["data"]["service.toml"])
    settings = read_settings(file, Settings({"m": colour_bundle(tmp_path / "m")}))
    grace = found["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings.drain + settings.limits.timeout + 5


def test_the_image_holds_no_torch_and_runs_as_nobody_special() -> None:
    lines = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = "".join(line for line in lines if not line.startswith("#"))
    assert all(name not in needed for name in ("torch", "timm", "scikit", "scipy"))
    image = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert "USER 10001" in image
    assert "--no-deps /build" in image


def test_requirements_are_the_versions_that_are_tested() -> None:
    lines = (FOLDER.parent / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-").splitlines()
    for line in (FOLDER / "requirements.txt").read_text(encoding="utf-8").lower().replace("_", "-").splitlines():
        if not line.startswith("#"):
            assert line.replace("[binary]", "") in lines
