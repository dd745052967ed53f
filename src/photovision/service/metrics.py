"""Metrics: what the service counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from photovision.service.decoding import Decoders

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
PICTURES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)


class Decoding(Protocol):
    """What decodes; `models.Models` is one."""

    @property
    def restarts(self) -> int:
        """Processes that had to be replaced."""
        ...

    def threads(self) -> Mapping[str, Decoders]:
        """Threads by what they do."""
        ...


class Metrics:
    """The counters of one service; nothing in them names a caller or a picture.

    Attributes:
        requests: answered requests by route and status.
        seconds: from the request's head to its answer, by route.
        pictures: answered pictures by model.
        unreadable: pictures that could not be decoded, by model.
        batch: pictures a call of the network, by model.
        rejected: refused requests by reason.
        record_failures: batches whose predictions could not be recorded.
        loads: versions loaded by model and outcome.
        task_failures: failures of background tasks, which start again, by task.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._routes: dict[tuple[str, int], tuple[Any, Any]] = {}
        ProcessCollector(registry=registry)
        self.requests = Counter("photovision_requests", "Answered requests", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "photovision_request_seconds", "Seconds to the answer", ["route"], buckets=SECONDS, registry=registry
        )
        self.pictures = Counter("photovision_pictures", "Answered pictures", ["model"], registry=registry)
        self.unreadable = Counter("photovision_unreadable", "Pictures not decoded", ["model"], registry=registry)
        self.batch = Histogram(
            "photovision_batch_pictures", "Pictures a call", ["model"], buckets=PICTURES, registry=registry
        )
        self.rejected = Counter("photovision_rejected", "Refused requests", ["reason"], registry=registry)
        self.record_failures = Counter("photovision_record_failures", "Batches not recorded", registry=registry)
        self.loads = Counter("photovision_model_loads", "Versions loaded", ["model", "outcome"], registry=registry)
        self.task_failures = Counter(
            "photovision_task_failures", "Background tasks that failed", ["task"], registry=registry
        )
        self._queue = Gauge("photovision_queue_pictures", "Waiting or under way", ["model"], registry=registry)
        self._current = Gauge("photovision_model_info", "Loaded versions", ["model", "version"], registry=registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self._routes.get((route, status))
        if found is None:  # looking labels up costs more than counting
            found = self.requests.labels(route, str(status)), self.seconds.labels(route)
            self._routes[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def watch_queue(self, model: str, length: Callable[[], float]) -> None:
        """Read the length of a model's queue whenever the metrics are asked for."""
        self._queue.labels(model).set_function(length)

    def watch_decoding(self, models: Decoding) -> None:
        """Read how threads and processes that decode do whenever the metrics are asked for."""
        stalled = Gauge(
            "photovision_stalled_seconds",
            "Seconds for which the longest work of these threads has been under way, or nothing moved",
            ["threads"],
            registry=self.registry,
        )
        for name in ("decoding", "windows", "costly"):
            stalled.labels(name).set_function(partial(_stalled, models, name))
        restarts = Gauge(
            "photovision_decoder_restarts", "Decoding processes ended and replaced", registry=self.registry
        )
        restarts.set_function(lambda: models.restarts)

    def show_versions(self, model: str, old: tuple[str, ...], versions: tuple[str, ...], current: str) -> None:
        """Say which versions of a model are loaded (0) and which of them answers (1)."""
        for version in old:
            if version not in versions:
                self._current.remove(model, version)
        for version in versions:
            self._current.labels(model, version).set(float(version == current))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return bytes(generate_latest(self.registry))


def _stalled(models: Decoding, name: str) -> float:
    threads = models.threads().get(name)
    return 0.0 if threads is None else max(threads.longest, threads.stalled)
