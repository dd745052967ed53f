"""Capture sessions in a check of the data: how many there are, and what a random split would make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.drawing import percent
from photovision.core.report import Finding
from photovision.data.sessions import Sessions
from photovision.data.split import Splits


def examine(sessions: Sessions, drawn: Splits, ids: Sequence[str]) -> Finding:
    """What is known of the capture sessions of N pictures.

    Args:
        sessions: of the pictures.
        drawn: splits that were drawn without a look at sessions.
        ids: of the pictures.

    Returns:
        nothing but a count of 0 in `data["sessions"]` where there are fewer than two; `data["found_sessions"]` holds
        the ids of each that was found, before people corrected it.

    Example:
        >>> parts = [np.array(rows) for rows in ([0, 2], [1], [3], [])]
        >>> number = np.array([0, 0, 1, 1])
        >>> examine(Sessions(number, "capture time and camera", number), Splits(*parts, False), list("abcd")).summary[0]
        'A random split would put 100.0% of the val pictures beside a training picture of the same capture session.'
    """
    numbers = np.unique(sessions.found[sessions.found >= 0])
    found = [[ids[row] for row in np.flatnonzero(sessions.found == number).tolist()] for number in numbers]
    if not sessions.known:
        return Finding(data={"sessions": {"count": 0}, "found_sessions": found})
    held = drawn.val[sessions.number[drawn.val] >= 0]
    beside = np.isin(sessions.number[held], sessions.number[drawn.train])
    rows = sessions.number[sessions.number >= 0]
    facts = {"count": len(np.unique(rows)), "pictures": len(rows), "by": sessions.by}
    if not len(held):
        return Finding(data={"sessions": facts, "found_sessions": found})
    share = float(beside.sum() / len(drawn.val))
    line = (
        f"A random split would put {percent(share)} of the val pictures beside a training picture of the same capture"
        " session."
    )
    return Finding(summary=(line,), data={"sessions": {**facts, "beside": share}, "found_sessions": found})
