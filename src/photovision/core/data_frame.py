"""Data frames: what was measured or predicted as a table of pandas, which is loaded when somebody asks for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from photovision.core.errors import MissingExtra


def data_frame(columns: Mapping[str, Sequence[Any]]) -> Any:
    """A `pandas.DataFrame` of columns of equal length.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("pandas", "a data frame") from None
    return pd.DataFrame(dict(columns))


def rows_frame(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """The same of rows of cells; raises as `data_frame`."""
    return data_frame({name: [row[place] for row in rows] for place, name in enumerate(columns)})
