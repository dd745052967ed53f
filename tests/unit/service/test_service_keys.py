"""Keys and rates: who is let in, how often, and what the file of keys gives away."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from colours import colour_bundle
from served import colour_file, served

from photovision.core.errors import UsageError
from photovision.service import state
from photovision.service.keys import Key, find, new_key, read_keys, write_keys
from photovision.service.limits import MOST_CALLERS, Rates
from photovision.service.settings import Limits, Settings

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return colour_bundle(tmp_path / "colours")


def write(file: Path, *keys: Key) -> None:
    write_keys(file, {key.id: key for key in keys})


def test_a_file_of_keys_holds_no_key(tmp_path: Path) -> None:
    text, key = new_key("anna")
    write(tmp_path / "keys.json", key)
    content = (tmp_path / "keys.json").read_text()
    secret = text.split("_", 2)[2]
    assert secret not in content
    assert len(secret) == 43  # 256 bits in base64
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert read_keys(tmp_path / "keys.json") == {key.id: key}


def test_only_the_whole_key_is_known() -> None:
    text, key = new_key("anna")
    other, _ = new_key("anna")
    keys = {key.id: key}
    assert find(keys, text) == key
    swapped = f"pv_{key.id}_{other.split('_', 2)[2]}"
    for wrong in (other, swapped, text[:-1], text + "x", text[3:], "", "pv_", "pv__", f"pv_{key.id}_", "\xff"):
        assert find(keys, wrong) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": [{}]}', '{"keys": [{"name": "a", "id": "b"}]}', "["])
def test_a_damaged_file_of_keys_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(UsageError, match="photovision keys add"):
        read_keys(tmp_path / "keys.json")


def test_without_a_key_nobody_is_answered(tmp_path: Path, bundle: Path) -> None:
    text, key = new_key("anna")
    write(tmp_path / "keys.json", key)
    with served(Settings({"m": bundle}, keys=tmp_path / "keys.json")) as client:
        picture = colour_file("red")
        refused = client.post("/predict", content=picture, headers=JPEG)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.post("/predict", content=picture, headers={**JPEG, "X-API-Key": "pv_x_y"}).status_code == 401
        assert client.get("/v2/models/m").status_code == 401
        assert client.get("/unknown").status_code == 401
        for shown in ({"X-API-Key": text}, {"Authorization": f"Bearer {text}"}):
            assert client.post("/predict", content=picture, headers={**JPEG, **shown}).status_code == 200
        for path in ("/v2/health/live", "/v2/health/ready", "/metrics", "/docs"):
            assert client.get(path).status_code == 200
        described = client.get("/openapi.json").json()
        assert described["paths"]["/predict"]["post"]["security"]
        assert "security" not in described["paths"]["/v2/health/live"]["get"]


def test_loading_needs_an_administrators_key(tmp_path: Path, bundle: Path) -> None:
    (plain, one), (admin, two) = new_key("anna"), new_key("root", admin=True)
    write(tmp_path / "keys.json", one, two)
    with served(Settings({"m": bundle}, keys=tmp_path / "keys.json")) as client:
        load = "/v2/repository/models/m/load"
        assert client.post(load, headers={"X-API-Key": plain}).status_code == 403
        assert client.post(load, headers={"X-API-Key": admin}).status_code == 200


@pytest.mark.parametrize("watch", [0, 0.05])
def test_a_revoked_key_is_refused_within_a_look(
    tmp_path: Path, bundle: Path, watch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "KEYS_EVERY", 0.05)  # where models are not watched, keys are nevertheless
    text, key = new_key("anna")
    write(tmp_path / "keys.json", key)
    with served(Settings({"m": bundle}, keys=tmp_path / "keys.json", watch=watch)) as client:
        assert client.get("/v2/models/m", headers={"X-API-Key": text}).status_code == 200
        write(tmp_path / "keys.json")
        until = time.monotonic() + 5
        while client.get("/v2/models/m", headers={"X-API-Key": text}).status_code == 200:
            assert time.monotonic() < until
        (tmp_path / "keys.json").write_text("damaged")
        time.sleep(0.2)
        assert client.get("/v2/models/m", headers={"X-API-Key": text}).status_code == 401


def test_wrong_keys_are_slowed_down_and_right_ones_are_not(tmp_path: Path, bundle: Path) -> None:
    text, key = new_key("anna")
    write(tmp_path / "keys.json", key)
    with served(Settings({"m": bundle}, keys=tmp_path / "keys.json")) as client:

        def ask(shown: str) -> int:
            return client.get("/v2/models/m", headers={"X-API-Key": shown}).status_code

        statuses = [ask(f"pv_{number:08x}_guess") for number in range(state.WRONG_KEYS + 5)]
        assert statuses[: state.WRONG_KEYS] == [401] * state.WRONG_KEYS
        assert set(statuses[state.WRONG_KEYS :]) <= {401, 429}
        assert 429 in statuses
        assert ask(text) == 200


def test_metrics_and_names_may_need_a_key(tmp_path: Path, bundle: Path) -> None:
    text, key = new_key("anna")
    write(tmp_path / "keys.json", key)
    with pytest.raises(UsageError, match="keys"):
        Settings({"m": bundle}, guard_metrics=True)
    with served(Settings({"m": bundle}, keys=tmp_path / "keys.json", guard_metrics=True)) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/v2/health/ready").json() == {"ready": True, "status": "ok", "models": []}
        own = {"X-API-Key": text}
        assert client.get("/metrics", headers=own).status_code == 200
        assert client.get("/v2/health/ready", headers=own).json()["models"] == ["m"]


def test_callers_behind_a_proxy_have_their_own_rates(tmp_path: Path, bundle: Path) -> None:
    settings = Settings({"m": bundle}, limits=Limits(rate=0.01, burst=1))

    def statuses(settings: Settings) -> list[int]:
        with served(settings, peer="10.0.0.1") as client:

            def ask(sender: str) -> int:
                headers = {**JPEG, "X-Forwarded-For": sender}
                return client.post("/predict", content=colour_file("red"), headers=headers).status_code

            return [ask(sender) for sender in ("192.0.2.1", "192.0.2.2", "192.0.2.1")]

    assert statuses(settings) == [200, 429, 429]
    assert statuses(replace(settings, trusted_proxies=("10.0.0.0/8",))) == [200, 200, 429]


def test_each_key_has_its_own_rate(tmp_path: Path, bundle: Path) -> None:
    (slow, one), (other, two) = new_key("anna", rate=0.01), new_key("ben", rate=1000)
    write(tmp_path / "keys.json", one, two)
    limits = Limits(burst=3)
    with served(Settings({"m": bundle}, keys=tmp_path / "keys.json", limits=limits)) as client:
        picture = colour_file("red")
        statuses = []
        for _ in range(5):
            answer = client.post("/predict", content=picture, headers={**JPEG, "X-API-Key": slow})
            statuses.append(answer.status_code)
        assert statuses == [200, 200, 200, 429, 429]
        assert 90 <= int(answer.headers["retry-after"]) <= 100
        assert client.post("/predict", content=picture, headers={**JPEG, "X-API-Key": other}).status_code == 200
        assert 'photovision_rejected_total{reason="rate"} 2.0' in client.get("/metrics").text


def test_a_request_of_many_pictures_costs_as_many(bundle: Path) -> None:
    with served(Settings({"m": bundle}, limits=Limits(rate=0.1, burst=4))) as client:
        files = [("file", (f"{i}.jpg", colour_file("red"))) for i in range(6)]
        assert client.post("/predict", files=files).status_code == 200
        refused = client.post("/predict", files=files[:1])
        assert refused.status_code == 429
        assert 25 <= int(refused.headers["retry-after"]) <= 30


def test_buckets_fill_again_and_do_not_grow_without_end() -> None:
    now = [0.0]
    rates = Rates(2.0, 2, clock=lambda: now[0])
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0.5]
    now[0] = 0.5
    assert rates.take("a") == 0
    for number in range(MOST_CALLERS + 10):
        rates.take(str(number))
    assert len(rates._buckets) == MOST_CALLERS


def test_the_command_makes_lists_and_revokes_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from photovision.app.cli import run

    file = str(tmp_path / "keys.json")
    assert run(["keys", "add", "anna", "--file", file, "--admin"]) == 0
    text = capsys.readouterr().out.strip()
    key = find(read_keys(Path(file)), text)
    assert key is not None
    assert key.admin
    assert run(["keys", "add", "anna", "--file", file]) == 2
    assert run(["keys", "list", "--file", file, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["id"], set(one)) for one in told] == [
        ("anna", key.id, {"name", "id", "admin", "rate", "created"})
    ]
    assert run(["keys", "revoke", "ben", "--file", file]) == 2
    assert run(["keys", "revoke", "anna", "--file", file]) == 0
    assert read_keys(Path(file)) == {}
