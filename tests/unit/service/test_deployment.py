"""The files for containers say what the service understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from colours import colour_bundle
from hostile_uploads import png

from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.core.image_cost import estimate_cost
from photovision.service import settings as settings_module
from photovision.service.costly import QUICK_BYTES
from photovision.service.settings import Limits, Settings, read_settings

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


MB, CORES = 1 << 20, 2
BASE = 400 * MB
"""Python, the engine and a model of usual size."""


def needed(limits: Limits) -> int:
    """Bytes that a service takes at most, as deployment/kubernetes.yaml adds them up."""
    process = 64 * MB
    return BASE + 2 * limits.body_room + limits.decode_room + CORES * (QUICK_BYTES + process)


@pytest.mark.parametrize("number", [0, 1], ids=["kubernetes", "kserve"])
def test_what_a_service_takes_fits_the_memory_that_it_is_given(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = containers()[number]["resources"]["limits"]
    assert resources == {"cpu": str(CORES), "memory": "2Gi"}
    monkeypatch.setattr(settings_module, "memory_limit", lambda: 2048 * MB)  # as its container says
    settings = Settings({"m": tmp_path})
    if number == 0:
        file = tmp_path / "service.toml"
        file.write_text(manifests("kubernetes.yaml")["ConfigMap"]["data"]["service.toml"])
        settings = read_settings(file, settings)
        # The largest picture of the usual kinds that it may be sent can be decoded.
        side = int(settings.limits.picture_pixels**0.5)
        assert estimate_cost(png(side, 6)).bytes <= settings.limits.decode_room
    assert needed(settings.limits) <= 2048 * MB * 0.9
    assert settings.limits.request_bytes * 4 <= settings.limits.body_room


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


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('manage = "perhaps"', "manage"),
        ("manage = [true]", "manage"),
        ('allow_hosts = "vision.example"', "allow_hosts"),
        ('allow_hosts = ["https://vision.example"]', "without https://"),
        ('allow_hosts = ["vision.example:8000"]', "without https://"),
        ('allow_hosts = ["bücher.example"]', "xn--"),
        ('trusted_proxies = "10.0.0.0/8"', "trusted_proxies"),
        ("keys = 5", "keys"),
        ("models = 5", "models"),
        ("limits = 5", "limits"),
        ('engine = "other"', "engine"),
        ("[limits]\nfiles = 2.5", "files"),
        ("[limits]\ntimeout = nan", "timeout"),
        ('[limits]\nqueue = "many"', "queue"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused_in_one_line(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "service.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=word) as refused:
        read_settings(file, Settings({"m": tmp_path}))
    assert "\n" not in str(refused.value)


def test_false_in_quotes_is_false(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_text('manage = "false"\nallow_hosts = ["vision.example"]\nkeys = "k.json"', encoding="utf-8")
    settings = read_settings(file, Settings({"m": tmp_path}))
    assert not settings.manage
    assert (settings.allow_hosts, settings.keys) == (("vision.example",), Path("k.json"))
