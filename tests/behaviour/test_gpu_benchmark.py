"""The script that measures a GPU goes through all of its parts on a processor, too, where its figures mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_every_part_is_measured() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--tiny"], capture_output=True, text=True, timeout=900, check=True)
    parts = {row["part"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(parts) == {
        "machine",
        "train tf_efficientnet_lite0",
        "train tf_efficientnet_lite0, decoded",
        "inference tf_efficientnet_lite0",
        "step of a detector",
        "step of a segmenter",
    }
    assert parts["inference tf_efficientnet_lite0"]["largest_difference"] < 1e-3
    assert all(row["ratio"] > 0 for name, row in parts.items() if name.startswith("train"))
