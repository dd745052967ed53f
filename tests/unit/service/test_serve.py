"""Settings of a service as Python gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from colours import colour_bundle

from photovision.core.errors import UsageError
from photovision.service import run as running
from photovision.service.serve import serve
from photovision.service.settings import Settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of services that were started, which end at once."""
    found: list[Settings] = []
    monkeypatch.setattr(running, "run", lambda settings, ready: found.append(settings))
    return found


def test_models_are_named_in_any_form(tmp_path: Path, started: list[Settings]) -> None:
    model = colour_bundle(tmp_path / "colours")
    for models in (model, str(model), [model], {"colours": model}):
        serve(models, port=0)
    assert [settings.models for settings in started] == [{"colours": model}] * 4
    assert {settings.port for settings in started} == {0}


def test_settings_come_before_a_file_of_them(tmp_path: Path, started: list[Settings]) -> None:
    model, config = colour_bundle(tmp_path / "colours"), tmp_path / "service.toml"
    config.write_text("drain = 7\nbatch_size = 3\n[limits]\nqueue = 90\n")
    serve(model, config=config, settings={"batch_size": 5, "limits": {"rate": 2.0}})
    (settings,) = started
    assert (settings.drain, settings.batch_size, settings.limits.queue, settings.limits.rate) == (7, 5, 90, 2)
    with pytest.raises(UsageError, match="settings: no setting is named quee"):
        serve(model, settings={"limits": {"quee": 1}})
