"""Does the service hold the pace of the bare runtime, and is it ahead of LitServe serving the same graph?

    python benchmarks/service.py MODEL PICTURES [--seconds 10] [--rounds 5] [--concurrency 32] [--peer-python PATH]
    python benchmarks/service.py yolov4-tiny FOLDER --batches 8 16 32

MODEL is a classifier or a detector: a folder, or the name of a ready detector.

In every round, one after the other on the same cores: the bare runtime (`runtime.stream` over the same JPEG bytes in
one process, which decodes in threads and runs the network in batches, with no client beside it); `photovision serve`
under load at the concurrency, and with one request at a time, against the bare call of one picture; LitServe with the
same decoding and the same session, where a Python that has it is given. Clients are processes of their own
(`photovision.service.load_test`), on the same cores. Reported are medians over rounds, and of ratios within a round.
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from photovision.models.pretrained import bundle_at

PEER = """
import sys
from pathlib import Path
import litserve
from photovision.service.models import open_wire
from photovision.service.settings import Limits

class Api(litserve.LitAPI):
    def setup(self, device):
        self.wire = open_wire(Path(sys.argv[1]), "auto")
        self.wire.model.session
        self.way = self.wire.way({})
    def decode_request(self, request):
        return self.way.prepare(request["file"].file.read(), Limits())
    def predict(self, inputs):
        import numpy
        outputs = self.wire.model.session.run(numpy.stack([image for image, _ in inputs]))
        rows = [{name: values[row] for name, values in outputs.items()} for row in range(len(inputs))]
        return [(row, size) for row, (_, size) in zip(rows, inputs)]
    def batch(self, inputs):
        return inputs
    def unbatch(self, output):
        return output
    def encode_response(self, output):
        return {"predictions": [self.way.decode(*output).to_json(None)]}
"""


def bare_rate(model: Path, pictures: Sequence[bytes], seconds: float, batch_size: int) -> float:
    """Pictures a second of decoding and network in one process, as the runtime streams them."""
    from photovision.runtime.stream import loader, stream
    from photovision.service.models import open_wire

    wire = open_wire(model, "auto")
    read, session = loader(wire.model.preprocess), wire.model.session
    for _ in stream(pictures[: 2 * batch_size], read, session, batch_size=batch_size):
        pass

    def endless() -> Iterator[bytes]:
        until = time.perf_counter() + seconds
        for picture in itertools.cycle(pictures):
            if time.perf_counter() > until:
                return
            yield picture

    began = time.perf_counter()
    count = sum(1 for _ in stream(endless(), read, session, batch_size=batch_size))
    return count / (time.perf_counter() - began)


def bare_call(model: Path, pictures: Sequence[bytes], seconds: float) -> list[float]:
    """Milliseconds of one picture at a time: decoding, network and what its answer means."""
    from photovision.engine.wire import Batched
    from photovision.service.models import open_wire
    from photovision.service.settings import Limits

    wire = open_wire(model, "auto")
    way = wire.way({})
    assert isinstance(way, Batched), "a segmenter has no bare call of one picture"
    found: list[float] = []
    until = time.perf_counter() + seconds
    for number, picture in enumerate(itertools.cycle(pictures)):
        began = time.perf_counter()
        if began > until:
            return found[5:] or found
        image, size = way.prepare(picture, Limits())
        outputs = wire.model.session.run(image[None])
        way.decode({name: values[0] for name, values in outputs.items()}, size).to_json(None)
        if number >= 5:
            found.append(1000 * (time.perf_counter() - began))
    return found


def asked(url: str, pictures: Sequence[bytes], concurrency: int, seconds: float, raw: bool) -> dict[str, Any]:
    """What a client sees."""
    import numpy as np

    from photovision.service.load_test import Load

    measured = Load(url, pictures, concurrency, seconds, warm_up=2.0, form=not raw).run()
    if not len(measured.seconds):
        raise SystemExit(f"{url} answered {measured.statuses}")
    p50, p99 = np.quantile(measured.seconds, [0.5, 0.99]) * 1000
    return {
        "rate": len(measured.seconds) / measured.duration,
        "p50": float(p50),
        "p99": float(p99),
        "statuses": measured.statuses,
    }


@contextmanager
def listening(command: Sequence[str], port: int) -> Iterator[None]:
    """A server as a process, for as long as it is asked."""
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and child.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(1)
        yield
    finally:
        os.killpg(child.pid, 15)
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        with suppress(ProcessLookupError):  # LitServe's workers outlive their parent, and go on computing
            os.killpg(child.pid, 9)
        child.wait()


def environment() -> dict[str, str]:
    """Of all processes: the libraries of this one, also for the peer's Python, and one thread for NumPy."""
    own = Path(__file__).resolve().parent  # names of other benchmarks must not hide libraries
    paths = os.pathsep.join(path for path in sys.path if path and Path(path).resolve() != own)
    return {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def part(name: str, options: argparse.Namespace, **more: Any) -> Any:
    """Run one part of a round in a process of its own, so that no state is shared.

    NumPy has one thread in all of them, the peer, too, as `photovision serve` sets it; with more, all lose.
    """
    told = {"model": str(options.model), "pictures": str(options.pictures), "seconds": options.seconds, **more}
    command = [sys.executable, __file__, "--part", name, "--told", json.dumps(told)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment()).stdout)


def run_part(name: str, told: dict[str, Any]) -> Any:
    """What `part` asks for."""
    folder, most = Path(told["pictures"]), 256
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg"))
    pictures = [file.read_bytes() for file in files[:: max(1, len(files) // most)][:most]]
    if name == "bare":
        return bare_rate(Path(told["model"]), pictures, told["seconds"], told["batch"])
    if name == "call":
        return statistics.median(bare_call(Path(told["model"]), pictures, told["seconds"]))
    return asked(told["url"], pictures, told["concurrency"], told["seconds"], told["raw"])


def one_round(options: argparse.Namespace) -> dict[str, Any]:
    """All parts once."""
    found: dict[str, Any] = {"bare": max(part("bare", options, batch=size) for size in options.batches)}
    found["call_ms"] = part("call", options)
    port = free_port()
    url, told = f"http://127.0.0.1:{port}/predict", {"concurrency": options.concurrency, "raw": False}
    serve = [sys.executable, "-m", "photovision", "serve", f"m={options.model}", "--port", str(port)]
    with listening(serve, port):
        found["service"] = part("load", options, url=url, **told)
        found["service_raw"] = part("load", options, url=url, **{**told, "raw": True})
        found["service_one"] = part("load", options, url=url, concurrency=1, raw=False)
    if options.peer_python:
        port = free_port()
        last = "litserve.LitServer(Api(max_batch_size=32, batch_timeout=0.005), accelerator='cpu').run"
        script = f"{PEER}\nif __name__ == '__main__':\n    {last}(port={port}, generate_client_file=False)\n"
        file = Path(options.scratch) / "photovision_peer.py"
        file.write_text(script)
        with listening([options.peer_python, str(file), str(options.model)], port):
            found["litserve"] = part("load", options, url=url.replace(url.split(":")[2], f"{port}/predict"), **told)
    return found


def summary(rounds: Sequence[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Medians over rounds; ratios are taken within rounds."""
    from photovision.core.system import provenance

    def middle(values: Sequence[float]) -> list[float]:
        return [round(value, 3) for value in (statistics.median(values), min(values), max(values))]

    told: dict[str, Any] = {
        "rounds": len(rounds),
        "bare_per_s": middle([one["bare"] for one in rounds]),
        "share_of_bare_multipart": middle([one["service"]["rate"] / one["bare"] for one in rounds]),
        "share_of_bare_raw": middle([one["service_raw"]["rate"] / one["bare"] for one in rounds]),
        "p50_ms": middle([one["service"]["p50"] for one in rounds]),
        "p99_over_p50": middle([one["service"]["p99"] / one["service"]["p50"] for one in rounds]),
        "one_request_ms": middle([one["service_one"]["p50"] for one in rounds]),
        "over_bare_call_ms": middle([one["service_one"]["p50"] - one["call_ms"] for one in rounds]),
    }
    if options.peer_python:
        ratios = [one["service"]["rate"] / max(one["litserve"]["rate"], 1e-9) for one in rounds]
        told |= {"times_litserve": middle(ratios), "litserve_p99_ms": middle([r["litserve"]["p99"] for r in rounds])}
    return {**told, "all": list(rounds), "provenance": provenance()}


def main() -> None:
    """Measure, or run one part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=bundle_at, nargs="?")
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32], help="of the bare runtime; the best counts")
    parser.add_argument("--peer-python", help="a Python that has litserve")
    parser.add_argument("--scratch", default="/tmp")
    parser.add_argument("--part")
    parser.add_argument("--told")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(run_part(options.part, json.loads(options.told))))
        return
    rounds = []
    for number in range(options.rounds):
        rounds.append(one_round(options))
        print(f"round {number + 1}: {json.dumps(rounds[-1])}", file=sys.stderr, flush=True)
    print(json.dumps(summary(rounds, options)))


if __name__ == "__main__":
    main()
