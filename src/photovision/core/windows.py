"""Windows and levels: which values of a scan are black and which are white (DICOM PS3.3, C.7.6.3.1 and C.11).

Values go through three steps, always in this order: rescaled to their unit (Hounsfield units in CT), then brought from
black to white by a window or a table, then inverted where low values are bright (MONOCHROME1). The window is, of these,
the first that there is: a named window that the model was trained with, the one in the file, the range of the data set,
the bits that the file stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from photovision.core.errors import UsageError
from photovision.core.value_range import ValueRange, ValueRanges

WINDOWS: dict[str, tuple[tuple[float, float], ...]] = {
    "lung": ((-600, 1500),),
    "bone": ((400, 1800),),
    "brain": ((40, 80),),
    "soft tissue": ((50, 400),),
    "ct": ((-600, 1500), (50, 400), (400, 1800)),
}
"""Name -> centre and width in Hounsfield units; "ct" shows lung, soft tissue and bone as red, green and blue."""
_DIGITS = 6  # so that a table and a formula, and a picture and its negative, are rounded alike

Grey = npt.NDArray[np.float64]
"""Values from 0 (black) to 1 (white)."""


def named_window(name: str) -> ValueRanges:
    """The ranges of a named window, or of one given as centre/width in Hounsfield units.

    Raises:
        UsageError: no window of that name.

    Example:
        >>> named_window("brain")
        (ValueRange(kind='window', low=0.0, high=80.0),)
        >>> named_window("40/400")[0].low
        -160.0
    """
    known = WINDOWS.get(name.strip().lower().replace("-", " ").replace("_", " "))
    try:
        chosen = known or (tuple(float(part) for part in name.split("/")),)
        return tuple(ValueRange("window", centre - width / 2, centre + width / 2) for centre, width in chosen)
    except ValueError:
        raise UsageError(
            f"a window should be {', '.join(WINDOWS)}, or centre/width in Hounsfield units such as 40/400, got '{name}'"
        ) from None


def by_range(values: npt.NDArray[Any], shown: ValueRange) -> Grey:
    """Values between the low and the high end of a range."""
    return np.asarray(np.clip((values.astype(np.float64) - shown.low) / (shown.high - shown.low), 0, 1))


def by_window(values: npt.NDArray[Any], centre: float, width: float, function: str = "LINEAR") -> Grey:
    """Values through a window of DICOM: LINEAR, LINEAR_EXACT or SIGMOID (PS3.3, C.11.2.1.2 and C.11.2.1.3).

    Raises ValueError for a width that is not possible.
    """
    x = values.astype(np.float64)
    if not np.isfinite((centre, width)).all() or width <= 0 or (function == "LINEAR" and width < 1):
        raise ValueError(f"its window has the width {width:g}")
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (x - centre) / width, -700, 700))))
    if function == "LINEAR_EXACT":
        return np.asarray(np.clip((x - centre) / width + 0.5, 0, 1))
    if width == 1:
        return np.asarray(x > centre - 0.5, np.float64)
    return np.asarray(np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1))


def looked_up(values: npt.NDArray[Any], first: int, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Entries of a table whose first is that of the value `first`; values beyond it have its first or last."""
    found: npt.NDArray[Any] = table[np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)]
    return found


def to_grey(values: npt.NDArray[Any], ways: Sequence[Callable[[npt.NDArray[Any]], Grey]], inverted: bool) -> np.ndarray:
    """Values (H, W) as uint8 (H, W, len(ways)), one channel for each way to bring them from black to white."""
    channels = []
    for way in ways:
        grey = way(values)
        level = np.round(255 * (1 - grey if inverted else grey), _DIGITS)
        channels.append(np.floor(np.nan_to_num(level) + 0.5).astype(np.uint8))
    return np.stack(channels, axis=-1)
