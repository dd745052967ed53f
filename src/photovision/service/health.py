"""Health: whether requests should come here, and whether only a restart helps.

Nothing here waits or takes a lock: threads that hang must not make their own report hang.
"""

from __future__ import annotations

from dataclasses import dataclass

from photovision.service.state import Service

HOPELESS = 2.0
"""Times the time limit of a request, after which what has not moved is not expected to."""


@dataclass(frozen=True)
class Health:
    """How a service is.

    Attributes:
        live: False where something hangs that only a restart helps.
        ready: whether requests should be sent here.
        status: "ok", "degraded" (answers, but the record fails), "stalled" (nothing is answered), "draining".
    """

    live: bool
    ready: bool
    status: str


def health_of(service: Service) -> Health:
    """How a service is now."""
    limits, models = service.limits, service.models
    threads = models.threads()
    costly = threads.pop("costly", None)  # what it works on ends by itself, if only after some time
    longest = max((each.longest for each in threads.values()), default=0.0)
    stalled = max((each.stalled for each in threads.values()), default=0.0)
    calling = max((each.calling for each in models.networks()), default=0.0)
    live = max(longest, stalled, calling) < HOPELESS * limits.timeout and (
        costly is None or costly.longest < HOPELESS * (limits.timeout + limits.decode_seconds)
    )
    failing = service.recorder is not None and service.recorder.failing
    if service.draining:
        return Health(live, False, "draining")
    if not live or max(stalled, calling) >= limits.timeout:
        return Health(live, False, "stalled")
    if failing:
        return Health(live, not service.settings.record_required, "degraded")
    return Health(live, True, "ok")
