"""Decode worker: the program of a process that decodes costly pictures, and that may be ended at any moment.

It reads tasks as lines of JSON from standard input and answers each with a line on standard output; pictures go in and
out through one file, which it inherits. It opens nothing else, has no sockets, and never outlives its parent: the
kernel ends it with its parent, and when a task takes too much time or memory, whatever the decoder is doing then.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image import read_header, to_array
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image

NICENESS = 10
_PR_SET_PDEATHSIG = 1
_MARGIN = 256 << 20
"""Bytes of addresses beyond the estimate: stacks of a decoder's threads, and what the allocator keeps."""


def main() -> None:
    """Work off tasks until standard input ends."""
    parent, file = int(sys.argv[1]), int(sys.argv[2])
    _bind_to(parent)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    for line in sys.stdin:
        task = json.loads(line)
        _limit(task)
        try:
            answer = _answer(task, file)
        except UnreadableImage as error:
            answer = {"error": str(error)}
        except Exception as error:  # hostile files make decoders raise anything
            answer = {"error": f"the picture: cannot be decoded ({type(error).__name__})"}
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), file=answers, flush=True)


def _bind_to(parent: int) -> None:
    """Be less important than the service in all respects, and end with it."""
    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere the time limit ends it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit()
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def _limit(task: dict[str, Any]) -> None:
    """Let the kernel end this process (SIGALRM) after its time, and refuse memory beyond its share."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, task["seconds"])
    with contextlib.suppress(OSError, ValueError):
        pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
        most = pages * resource.getpagesize() + task["memory"] + _MARGIN
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _answer(task: dict[str, Any], file: int) -> dict[str, Any]:
    content = os.pread(file, task["bytes"], 0)
    height, width = read_header(content).size
    image = _image(task, content)
    del content
    os.ftruncate(file, 0)
    view = np.ascontiguousarray(image).data.cast("B")
    sent = 0
    while sent < len(view):
        sent += os.pwrite(file, view[sent:], sent)
    return {"size": [height, width], "shape": list(image.shape)}


def _image(task: dict[str, Any], content: bytes) -> Image:
    preprocess = Preprocess.from_json(task["preprocess"])
    if task["whole"]:
        return to_array(preprocess.decode(content, max_pixels=task["pixels"]))
    return preprocess.load(content, task["pixels"])


if __name__ == "__main__":
    main()
