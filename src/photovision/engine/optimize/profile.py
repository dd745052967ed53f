"""Profile: how large a model is, how fast it answers, and how much memory that takes, on this machine.

Several models are timed in turn, round by round, so that whatever else the machine does meets them alike. Memory is
that of a fresh process which does nothing but answer: `python -m photovision.engine.optimize.profile BUNDLE`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.report import Metric
from photovision.core.subprocesses import python_command, python_environment
from photovision.runtime.bundle import Bundle, read_bundle
from photovision.runtime.session import Precision, Session, open_session
from photovision.trust.metrics.statistics import Z

BATCH, MIN_BATCH = 32, 8
"""Images a call; fewer where they are larger than usual, as many as have the same number of pixels, and at least 8."""
_USUAL = 224 * 224
ROUNDS = 9
_CALLS = 24  # single pictures a round
_WARM = 4  # batches until a session works as fast as it will


@dataclass(frozen=True)
class Profile:
    """What one model needs, as Metrics with 95% intervals of the median (of the 99th percentile for `p99`).

    Attributes:
        graph: the ONNX file, MB (10^6 bytes).
        bundle: the whole folder, MB.
        p50, p99: time of an answer to one decoded picture, ms.
        throughput: decoded pictures a second in batches, see BATCH.
        memory: peak memory of a process that answers such batches, MB; None where it is unknown.
        precision: arithmetic and engine.
    """

    graph: Metric
    bundle: Metric
    p50: Metric
    p99: Metric
    throughput: Metric
    memory: Metric | None
    precision: str


def profile(bundles: Sequence[Bundle], *, rounds: int = ROUNDS) -> list[Profile]:
    """Measure models beside each other, each with all cores that this process may use.

    Args:
        bundles: the models.
        rounds: how often each is timed: a batch, and 24 single pictures.
    """
    sessions = [_opened(one) for one in bundles]
    batches = [_pixels(one) for one in bundles]
    for session, batch in zip(sessions, batches, strict=True):
        for _ in range(_WARM):
            session.run(batch)
            session.run(batch[:1])
    single: list[list[float]] = [[] for _ in bundles]
    many: list[list[float]] = [[] for _ in bundles]
    for _ in range(rounds):
        for number, session in enumerate(sessions):
            many[number].append(_seconds(session, batches[number]))
            single[number] += [_seconds(session, batches[number][:1]) for _ in range(_CALLS)]
    return [
        Profile(
            Metric(one.graph.stat().st_size / 1e6, unit="MB"),
            Metric(sum(file.stat().st_size for file in one.path.rglob("*") if file.is_file()) / 1e6, unit="MB"),
            quantile([1000 * value for value in calls], 0.5, "ms"),
            quantile([1000 * value for value in calls], 0.99, "ms"),
            quantile([round(len(batch) / value, 1) for value in took], 0.5, "pictures/s"),
            peak_memory(one),
            f"{session.precision}, {session.engine}",
        )
        for one, session, batch, calls, took in zip(bundles, sessions, batches, single, many, strict=True)
    ]


def quantile(values: Sequence[float], share: float, unit: str) -> Metric:
    """A quantile with the interval that the order of the values gives, whatever their distribution.

    Where there are too few values for a bound, it is the smallest or the largest of them.

    Example:
        >>> quantile(list(range(1, 102)), 0.5, "ms")
        Metric(value=51.0, low=41.0, high=61.0, n=101, unit='ms')
    """
    ordered, n = np.sort(np.asarray(values, float)), len(values)
    half = Z * np.sqrt(n * share * (1 - share))
    low, high = (int(np.clip(round((n - 1) * share + step), 0, n - 1)) for step in (-half, half))
    return Metric(float(np.quantile(ordered, share)), float(ordered[low]), float(ordered[high]), n, unit)


def peak_memory(bundle: Bundle) -> Metric | None:
    """The largest memory, in MB, of a fresh process that answers six batches; None where it is unknown."""
    command = python_command("photovision.engine.optimize.profile", str(bundle.path.absolute()))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=python_environment())
    try:
        return Metric(float(done.stdout), unit="MB")
    except ValueError:
        return None


def _precision(bundle: Bundle) -> Precision | None:
    return cast("Precision | None", bundle.precision)


def _opened(bundle: Bundle) -> Session:
    return open_session(bundle.graph, precision=_precision(bundle), outputs=bundle.row.outputs)


def _pixels(bundle: Bundle) -> np.ndarray:
    """A batch, uint8."""
    height, width = bundle.preprocess.size
    shape = (min(BATCH, max(MIN_BATCH, BATCH * _USUAL // (height * width))), height, width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _seconds(session: Session, images: np.ndarray) -> float:
    started = time.perf_counter()
    session.run(images)
    return time.perf_counter() - started


def _answer(path: str) -> float:
    """Answer six batches, and tell the most memory that this process had, in MB."""
    bundle = read_bundle(Path(path))
    session, batch = _opened(bundle), _pixels(bundle)
    for _ in range(_WARM + 2):
        session.run(batch)
    # getrusage would count what the process that started this one had, too.
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    try:
        print(round(_answer(sys.argv[1]), 1))
    except (ModelError, OSError) as error:  # there is no /proc outside Linux
        sys.exit(str(error))
