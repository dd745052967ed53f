"""State: the parts of one running service, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from photovision.core.errors import PhotovisionError
from photovision.service.callers import Callers
from photovision.service.keys import Guard
from photovision.service.limits import Rates, RequestBudget
from photovision.service.logs import Journal
from photovision.service.metrics import Metrics
from photovision.service.models import Models
from photovision.service.recorder import Recorder, open_recorder
from photovision.service.settings import Settings

if TYPE_CHECKING:
    from photovision.service.faces import ServedFaces

WRONG_KEYS = 32
"""Requests without a valid key that an address may send at once; one more each second."""
RESTART = 1.0
"""Seconds after which a background task that failed starts again."""
KEYS_EVERY = 2.0
"""Seconds between two looks at the file of keys, where models are not watched."""


class Service:
    """What all routes share.

    Args:
        settings: every choice.
        journal: where it logs; standard output if None.

    Attributes:
        draining: whether it is about to end and should get no new requests.
        faces: the store of people, where one is served.
        explaining: explanations that wait or are under way.
        failure: why it could not start, or None.
    """

    def __init__(self, settings: Settings, journal: Journal | None = None) -> None:
        self.settings, self.limits = settings, settings.limits
        self.journal = journal or Journal()
        self.metrics = Metrics()
        self.models = Models(settings, self.metrics, self.journal)
        self.metrics.watch_decoding(self.models)
        self.budget = RequestBudget(settings.limits.body_room)
        self.callers = Callers(settings.trusted_proxies)
        self.guard = None if settings.keys is None else Guard(settings.keys)
        self.wrong_keys = Rates(1.0, WRONG_KEYS)
        self.rates: dict[float, Rates] = {}
        self.recorder: Recorder | None = None
        self.explainers: ThreadPoolExecutor | None = None
        self.fetchers: ThreadPoolExecutor | None = None
        self.parsers: ThreadPoolExecutor | None = None
        self.faces: ServedFaces | None = None
        self.explaining = 0
        self.draining = False
        self.failure: PhotovisionError | None = None
        self._watching: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Open the record, load the models, and look after files that may change.

        Raises:
            PhotovisionError: the record cannot be opened or a model cannot be served.
        """
        self.journal.open()
        self.explainers = ThreadPoolExecutor(1, thread_name_prefix="explaining")
        self.fetchers = ThreadPoolExecutor(8, thread_name_prefix="fetching")
        self.parsers = ThreadPoolExecutor(1, thread_name_prefix="parsing")
        self.recorder = self.models.recorder = open_recorder(self.settings, self.metrics, self.journal)
        await self.models.start()
        if self.settings.watch:
            self._look_after("models", self.models.watch)
        if self.guard is not None:  # always: a revoked key must not stay valid because models are not watched
            self._look_after("keys", partial(self._watch_keys, self.guard))

    async def stop(self) -> None:
        """End what `start` began; nothing is under way any more."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self.models.close()
        for pool in (self.explainers, self.fetchers, self.parsers):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
        if self.recorder is not None:
            self.recorder.close()
        if self.faces is not None:
            self.faces.close()
        self.journal.close()

    def rate_for(self, own: float | None) -> Rates | None:
        """The buckets for callers of that rate, or of the service's; None where there is no limit."""
        rate = self.limits.rate if own is None else own
        if rate is None:
            return None
        return self.rates.setdefault(rate, Rates(rate, self.limits.burst))

    def _look_after(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Keep a background task running: its death is logged and counted, and it starts again."""

        async def forever() -> None:
            while True:
                try:
                    await work()
                except Exception as error:  # whatever it is, the next model or key must still be noticed
                    self.metrics.task_failures.labels(name).inc()
                    self.journal.event("task failed", task=name, error=f"{type(error).__name__}: {str(error)[:300]}")
                await asyncio.sleep(RESTART)

        self._watching.append(asyncio.create_task(forever(), name=name))

    async def _watch_keys(self, guard: Guard) -> None:
        while True:
            await asyncio.sleep(self.settings.watch or KEYS_EVERY)
            try:
                guard.refresh()
            except PhotovisionError as error:
                self.journal.event("keys not read", error=str(error))
