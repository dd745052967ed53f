"""Notebook: pieces of HTML that Jupyter, Colab and VS Code show, readable on light and dark pages, without scripts.

Every text passes through `escape`: names of files and classes come from strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from photovision.core.page_layers import as_url
from photovision.core.text import printable
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image

_CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top"
_NUMBER = "padding:2px 0 2px 10px;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Html:
    """A piece of HTML, which notebooks show.

    Attributes:
        html: trusted: every text in it is escaped.
    """

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.html


def text(value: object) -> str:
    """A text from outside, harmless in HTML and without control characters.

    Example:
        >>> text("<b>")
        '&lt;b&gt;'
    """
    return escape(printable(str(value)))


def picture(image: Image | bytes, label: str, side: int | None = None) -> str:
    """An `<img>` that holds its picture.

    Args:
        image: uint8 RGB (H, W, 3), or a JPEG file.
        label: for those who cannot see it.
        side: of the square that it is cut to, in pixels; None shows it whole.
    """
    url = as_url(image if isinstance(image, bytes) else jpeg(image, 85), "jpeg")
    shape = f"width:{side}px;height:{side}px;object-fit:cover" if side else "max-width:100%"
    return f'<img src="{url}" alt="{text(label)}" style="{shape};border-radius:4px">'


def beside(left: str, right: str) -> str:
    """Two pieces side by side, below each other where there is no room."""
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">'
        f"<div>{left}</div><div>{right}</div></div>"
    )


def grid(cells: Iterable[tuple[str, str]]) -> str:
    """Pieces in rows, each above its caption; both are HTML."""
    shown = "".join(
        f'<figure style="margin:0;width:132px">{piece}<figcaption style="font-size:12px;line-height:1.35;'
        f'overflow-wrap:anywhere">{caption}</figcaption></figure>'
        for piece, caption in cells
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:10px">{shown}</div>'


def bar(share: float) -> str:
    """A bar as long as a share from 0 to 1."""
    shape = "height:8px;border-radius:4px;background:"
    inner = f'<div style="width:{100 * min(max(share, 0), 1):.1f}%;{shape}#2a6fdb"></div>'
    return f'<div style="width:160px;margin-top:6px;{shape}rgba(128,128,128,.25)">{inner}</div>'


def bars(shares: Sequence[tuple[str, float]]) -> str:
    """Names with shares from 0 to 1, as bars and in percent."""
    rows = "".join(
        f'<tr><td style="{_CELL}">{text(name)}</td><td style="{_CELL}">{bar(share)}</td>'
        f'<td style="{_NUMBER}">{share:.1%}</td></tr>'
        for name, share in shares
    )
    return f'<table style="border-collapse:collapse;background:none">{rows}</table>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: bool = True) -> str:
    """A table whose cells are texts; the first column is aligned left, the others right where they are numbers."""

    def line(values: Sequence[object], tag: str) -> str:
        styles = [_CELL, *[_NUMBER if numbers else _CELL] * (len(values) - 1)]
        cells = (f'<{tag} style="{style}">{text(v)}</{tag}>' for v, style in zip(values, styles, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    head = f"<thead>{line(columns, 'th')}</thead>" if columns else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<table style="border-collapse:collapse">{head}<tbody>{body}</tbody></table>'


def paragraph(sentence: object, strong: bool = False) -> str:
    """A sentence of its own."""
    inner = f"<b>{text(sentence)}</b>" if strong else text(sentence)
    return f'<p style="margin:0 0 6px">{inner}</p>'


def display(piece: Html) -> Any:
    """Show HTML in the running notebook; gives the handle that `update` changes it by.

    Raises ImportError outside of IPython.
    """
    from importlib import import_module

    return import_module("IPython.display").display(piece, display_id=True)


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows HTML."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return bool(shell) and hasattr(shell, "kernel")
