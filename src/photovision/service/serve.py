"""serve: models behind HTTP, with settings as people give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from photovision.core.errors import MissingExtra
from photovision.models.pretrained import bundle_at
from photovision.service.settings import Settings, changed_settings, named_models, read_settings

Models = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


def serve(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: Mapping[str, object] | None = None,
    config: str | Path | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Answer pictures over HTTP until Ctrl-C or SIGTERM; what is under way is finished.

    Args:
        models: the folder of one model of any task, or the name of a ready one; several in a list, or by the names
            under which they answer.
        host: address to listen on; beyond 127.0.0.1 give settings with "keys", else everybody who reaches it may ask.
        port: 0 takes a free one.
        settings: further fields of `photovision.service.settings.Settings` by name, such as {"record":
            "sqlite:///predictions.db", "limits": {"rate": 5}}.
        config: a TOML file with the same; what `settings` say comes first.
        ready: called with the address once requests are answered.

    Raises:
        UsageError: a setting that there is not, or the port is taken.
        ModelError: there is no model at a path.
        MissingExtra: the web framework is not installed.
    """
    chosen = settings_for(models, host=host, port=port)
    if config is not None:
        chosen = read_settings(Path(config), chosen)
    if settings:
        chosen = changed_settings(chosen, settings, "settings")
    try:
        from photovision.service.run import run
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "serving") from None
    run(chosen, ready)


def settings_for(models: Models, host: str, port: int) -> Settings:
    """Settings for models as people name them; raises UsageError and ModelError."""
    if isinstance(models, Mapping):
        named = {name: Path(path) for name, path in models.items()}
    else:
        named = named_models([str(one) for one in ((models,) if isinstance(models, str | Path) else models)])
    return Settings({name: bundle_at(path) for name, path in named.items()}, host, port)
