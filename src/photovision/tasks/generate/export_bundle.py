"""The velocity network as a graph, compared with what was learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file

from photovision.core.errors import ExportError
from photovision.core.files import explained
from photovision.core.preprocess import Preprocess
from photovision.models.export import write_graph
from photovision.runtime.session import open_session
from photovision.tasks.generate.network import VelocityNetwork
from photovision.tasks.generate.objective import VelocityGraph

_COMPARED = 16
_TOLERANCE = {"f32": 1e-3, "bf16": 0.08}
"""Largest difference of a velocity from the network's own, whose values have a standard deviation of about 1."""


def exported(network: VelocityNetwork, preprocess: Preprocess, folder: Path) -> dict[str, Any]:
    """Write `model.onnx` and `model.safetensors`; gives the arithmetic of the graph and its largest difference.

    Raises:
        ExportError: the graph tells other velocities than the network.
    """
    with explained(folder):
        state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    graph, module = folder / "model.onnx", VelocityGraph(network).eval()
    inputs = _inputs(network.classes, preprocess.size, 2)
    given = {name: torch.from_numpy(value) for name, value in inputs.items()}
    write_graph(module, given, dict.fromkeys(given, ("batch",)), ("velocity",), graph)
    many = _inputs(network.classes, preprocess.size, _COMPARED)
    with torch.inference_mode():
        wanted = module(*(torch.from_numpy(value) for value in many.values())).numpy()
    found = {}
    for precision in ("bf16", "f32"):
        session = open_session(graph, engine="openvino", precision=cast("Any", precision))
        found[precision] = float(np.abs(session.feed(many)["velocity"] - wanted).max())
    if found["f32"] > _TOLERANCE["f32"]:
        raise ExportError(
            f"the exported graph differs from the network by {found['f32']:.2g}, more than {_TOLERANCE['f32']:g}:"
            " report this with the versions that 'photovision --version' and 'pip list' print"
        )
    precision = "bf16" if found["bf16"] <= _TOLERANCE["bf16"] else "f32"
    return {
        "precision": precision,
        "pictures": _COMPARED,
        "agreement": 1.0,
        "tolerance": _TOLERANCE[precision],
        "measured": f"largest difference of a velocity: {found[precision]:.2g}",
    }


def _inputs(classes: int, size: tuple[int, int], count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "noisy": rng.standard_normal((count, *size, 3)).astype(np.float32),
        "time": rng.uniform(0, 1, count).astype(np.float32),
        "label": rng.integers(0, classes + 1, count),
    }
