"""Settings: every choice of one running service, made before it starts."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from photovision.core.errors import MissingExtra, UsageError
from photovision.runtime.session import Engine
from photovision.service.capacity import memory_limit

MB = 2**20
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True)
class Limits:
    """What one caller, and all together, may ask for.

    Attributes:
        request_bytes: bytes of one request's body; more are answered with 413.
        picture_pixels: pixels of one picture; more are refused from its header.
        windows: calls of the network for one picture, where a model looks through windows; more are refused.
        files: pictures of one request.
        queue: pictures of one model that wait or are under way; beyond them 503.
        memory_bytes: bytes of all bodies held at once; beyond them 503. None: an eighth of the memory that there is,
            of the container's where it has a limit, up to 512 MB.
        decode_bytes: bytes that pictures which are costly to decode may take at once; one that needs more is refused,
            others wait. None: a quarter of the memory that there is.
        decode_seconds: that decoding one picture may take before it is ended and refused.
        connections: open connections; beyond them those without a request give way, else 503. Fewer where the system
            allows fewer open files.
        connections_per_address: of one address, likewise; proxies of `trusted_proxies` and this machine itself, behind
            whose addresses many clients may stand, have no limit of their own.
        explanations: explanations that wait or are under way; beyond them 503.
        rate: pictures a second of one key (without keys: of one address), None for no limit; beyond them 429.
        burst: pictures that a key may send at once before its rate counts.
        timeout: seconds from the request to its answer; beyond them 503.
        read_timeout: seconds that a client may take to send its request (408), or to take its answer.
        idle_timeout: seconds that a connection may stay open without a request.
    """

    request_bytes: int = 32 * MB
    picture_pixels: int = 100_000_000
    windows: int = 256
    files: int = 64
    queue: int = 256
    memory_bytes: int | None = None
    decode_bytes: int | None = None
    decode_seconds: float = 10.0
    connections: int = 1024
    connections_per_address: int = 256
    explanations: int = 4
    rate: float | None = None
    burst: int = 64
    timeout: float = 30.0
    read_timeout: float = 10.0
    idle_timeout: float = 20.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not value > 0:
                raise UsageError(f"{each.name.replace('_', '-')} should be above 0, got {value}")
        if self.files > self.queue:
            raise UsageError(f"one request may hold {self.files} files, more than the queue of {self.queue}: raise it")

    @property
    def body_room(self) -> int:
        """Bytes that all bodies may hold."""
        return self.memory_bytes or min(512 * MB, memory_limit() // 8)

    @property
    def decode_room(self) -> int:
        """Bytes that all costly pictures may hold."""
        return self.decode_bytes or memory_limit() // 4


@dataclass(frozen=True)
class Settings:
    """How a service runs.

    Attributes:
        models: name in addresses -> the bundle's folder; the first one answers where no model is named.
        host, port: where it listens; port 0 takes a free one.
        limits: what callers may ask for.
        engine: what runs the graphs.
        batch_size: pictures a call of the network at most.
        max_wait: seconds that a picture may wait for others to share its call; 0 takes what is there.
        keys: file of API keys; None answers everybody.
        manage: whether callers without keys may load and roll back models; with keys, those of administrators may.
        allow_url: whether pictures may be given by address.
        allow_hosts: names by which the service may be asked beside its own address, where it has no keys; on a loopback
            address every other name is refused. Pages that lie under another name still cannot read the answers.
        record: URL of the database that keeps predictions; None keeps none.
        record_pictures: folder that keeps the pictures, too.
        record_required: whether an answer that could not be recorded is refused.
        watch: seconds between two looks at the bundles' folders; 0 never looks. Keys are looked at in any case.
        keep: versions of a model that stay loaded, the current one among them.
        drain: seconds after SIGTERM in which it says "not ready" and still answers.
        guard_metrics: whether /metrics, and the models' names in /v2/health/ready, need a key, too.
        trusted_proxies: addresses or networks of proxies; only their `X-Forwarded-For` says who a caller is.
        faces: folder of a store of faces, which /faces asks; None for none.
        log_clients: whether the access log holds addresses and names of keys.
    """

    models: Mapping[str, Path]
    host: str = "127.0.0.1"
    port: int = 8000
    limits: Limits = field(default_factory=Limits)
    engine: Engine = "auto"
    batch_size: int = 12
    max_wait: float = 0.0
    keys: Path | None = None
    manage: bool = False
    allow_url: bool = False
    allow_hosts: tuple[str, ...] = ()
    record: str | None = None
    record_pictures: Path | None = None
    record_required: bool = False
    watch: float = 2.0
    keep: int = 2
    drain: float = 2.0
    guard_metrics: bool = False
    trusted_proxies: tuple[str, ...] = ()
    faces: Path | None = None
    log_clients: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("expected at least one model to serve: give MODEL or NAME=MODEL")
        if not 0 <= self.port < 65536:
            raise UsageError(f"a port is 0 to 65535, got {self.port}")
        if self.batch_size < 1 or self.keep < 1 or min(self.max_wait, self.watch, self.drain) < 0:
            raise UsageError("batch-size and keep should be at least 1, and max-wait, watch and drain at least 0")
        for name in self.allow_hosts:
            if not _HOST.fullmatch(name):
                raise UsageError(
                    f"allow_hosts holds names such as vision.example or [2001:db8::1], got {name!r}: write it without"
                    " https:// and port, other letters than ASCII as xn--"
                )
        if self.guard_metrics and self.keys is None:
            raise UsageError("guard_metrics needs keys: --keys FILE")
        if self.record is None and (self.record_pictures or self.record_required):
            raise UsageError("--record-pictures and --record-required need --record, the database's URL")


def named_models(arguments: Sequence[str]) -> dict[str, Path]:
    """From MODEL or NAME=MODEL to names and folders; a name alone is the folder's own.

    Example:
        >>> named_models(["flowers=models/v2", "models/birds"])
        {'flowers': PosixPath('models/v2'), 'birds': PosixPath('models/birds')}
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        folder = Path(path if equals else argument)
        name = name if equals else folder.resolve().name
        if not name or not path_safe(name):
            raise UsageError(f"a model's name consists of letters, digits, '.', '_' and '-', got '{name}': NAME=MODEL")
        if name in found:
            raise UsageError(f"two models are named '{name}': give one of them another name, as NAME=MODEL")
        found[name] = folder
    return found


def path_safe(name: str) -> bool:
    """Whether a name can stand in an address as it is."""
    return name.isascii() and len(name) <= 64 and all(c.isalnum() or c in "._-" for c in name) and name.strip(".") != ""


def path_safe_name(name: str) -> str:
    """The nearest name that can stand in an address; the name itself where it can.

    Example:
        >>> path_safe_name("flowers-v2"), path_safe_name("Blüten 'alt'"), path_safe_name("写真")
        ('flowers-v2', 'Bluten-alt', 'model')
    """
    if path_safe(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", plain)[:64].strip("-.") or "model"


def read_settings(file: Path, settings: Settings) -> Settings:
    """Settings with what a TOML file says; its keys are the fields of `Settings` and, in [limits], of `Limits`.

    Raises:
        UsageError: the file cannot be read, or says something that no setting is.
    """
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the settings {file} cannot be read ({error})") from None
    return changed_settings(settings, document, str(file))


def changed_settings(settings: Settings, given: Mapping[str, Any], where: str) -> Settings:
    """Settings with other values for some fields, and in "limits" for some of `Limits`.

    Raises UsageError, which names `where` they stand, for something that no setting is.
    """
    limits = given.get("limits", {})
    if not isinstance(limits, Mapping):
        raise UsageError(f"{where}: expected a table [limits], got {limits!r}")
    changed: Settings = _changed(settings, {**given, "limits": _changed(settings.limits, limits, where)}, where)
    return changed


def _changed(value: Any, document: Mapping[str, Any], file: str) -> Any:
    known = {each.name for each in fields(value)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise UsageError(f"{file}: no setting is named {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    kinds = get_type_hints(type(value))
    return replace(value, **{name: _checked(name, given, kinds[name], file) for name, given in document.items()})


def _checked(name: str, given: Any, kind: Any, file: str) -> Any:
    try:
        from pydantic import TypeAdapter, ValidationError
    except ImportError:  # it comes with the web framework
        raise MissingExtra("pydantic", "serving") from None
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
        raise UsageError(f"{file}: '{name}' has the wrong kind of value, {given!r} ({reason})") from None
