"""export: a model in the form that another program runs, compared with the model itself before it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.deprecation import renamed_arguments
from photovision.core.errors import ExportError, UsageError
from photovision.core.folder import new_folder
from photovision.core.output import check_folder
from photovision.core.seal import write_sealed
from photovision.core.types import Image
from photovision.engine.export_metadata import readme
from photovision.engine.export_targets import TARGETS, Run
from photovision.engine.load import opened
from photovision.engine.parity import GraphParity, Outputs
from photovision.runtime.session import open_session

_BATCH = 16


@dataclass(frozen=True)
class Exported:
    """How an exported model compares with the one it was made from, whose graph ran in float32.

    Attributes:
        target: what it was exported to.
        pictures: how many were compared.
        generated: whether these were generated, as there were no real ones.
        agreement: share on which both decide the same: of pictures, of a detector's boxes, of a segmenter's pixels.
        max_abs_prob_difference: the largest difference of a probability.
        files: name -> bytes.
        of: what the agreement is a share of, for people.
        measured: what the difference is of, for people.
    """

    target: str
    pictures: int
    generated: bool
    agreement: float
    max_abs_prob_difference: float
    files: dict[str, int]
    of: str = "pictures"
    measured: str = "probability"


@renamed_arguments(target="to")
def export(
    model: Any, to: str, output: str | Path, images: Image | None = None, *, compress: bool | None = None
) -> Exported:
    """Write a model for another program, and refuse it where it disagrees with the model.

    Args:
        model: what to export, or its folder.
        to: what it is for, a name of TARGETS.
        output: folder to write; one that is there is replaced, whole.
        images: uint8 (N, H, W, 3), images as the network sees them, to compare on; None compares on generated ones.
        compress: whether OpenVINO's weights are kept in 16 bits; None keeps them so. Other targets refuse it.

    Raises:
        ExportError: the exported model does not decide like the original; nothing is written.
        ModelError: the model lacks what the target needs, such as its weights for torch.
        UsageError: no such target, one that cannot be compressed, or `output` is the model's own folder.
    """
    write, folder = TARGETS.load(to), Path(output)
    own = opened(model, "export", "parity")
    own.bundle.expect_files("exported")
    if compress is not None and to != "openvino":
        raise UsageError(f"compress is for 'openvino': leave it out for '{to}'")
    own.bundle.row.check_options("export", {"compress": compress})
    half = compress is not False and "compress" in own.bundle.row.accepted("export")
    check_folder(folder, "export", [own.bundle.path])
    shown = generated(own.preprocess.size) if images is None else images
    expected = batched(open_session(own.bundle.graph, precision="f32", outputs=own.bundle.row.outputs).run, shown)
    with new_folder(folder, "export", [own.bundle.path]) as work:
        got = batched(write(own, work, half), shown)
        found: GraphParity = own.bundle.row.part("parity")(own, expected, got, real=images is not None)
        if not found.enough:
            raise ExportError(_refusal(found, to, len(shown)))
        if not (work / "README.md").is_file():
            write_sealed(work / "README.md", readme(own, to))
        files = {str(f.relative_to(work)): f.stat().st_size for f in sorted(work.rglob("*")) if f.is_file()}
    return Exported(to, len(shown), images is None, found.agreement, found.difference, files, found.of, found.measured)


def _refusal(found: GraphParity, target: str, n: int) -> str:
    return (
        f"the {target} export disagrees with the model: the largest {found.measured} difference is"
        f" {found.difference:.2g} (allowed: {found.allowed:g}), and {100 * found.agreement:.1f}% of {found.of} on"
        f" {n:,} pictures get the same answer; nothing was written"
    )


def batched(run: Run, images: Image) -> list[Outputs]:
    """The outputs of a graph for images uint8 (N, H, W, 3), some at a time."""
    return [run(np.ascontiguousarray(images[start : start + _BATCH])) for start in range(0, len(images), _BATCH)]


def generated(size: tuple[int, int]) -> Image:
    """Coarse coloured patches, which networks answer more differently than noise: uint8 (40, H, W, 3)."""
    patches = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
    rows, columns = (np.arange(side) * 6 // side for side in size)
    return np.ascontiguousarray(patches[:, rows][:, :, columns])
