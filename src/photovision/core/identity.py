"""Visual identity: the design tokens and the icon that reports, the local page and the pages of a service share.

Both are files below `templates/`: `tokens.css` (colour, type, spacing and shape as CSS variables, for light, dark and
print) and `icon.svg`. A page that may load files links to them; a page of one file holds them.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from urllib.parse import quote

MEDIA_TYPES = {"tokens.css": "text/css", "icon.svg": "image/svg+xml"}
"""Files of the identity that a server hands out, with their types."""


@cache
def template(name: str) -> str:
    """The text of a file below `templates/`.

    Example:
        >>> "--accent" in template("tokens.css")
        True
    """
    return resources.files("photovision.core").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def icon_address() -> str:
    """The icon as a data address, for a page of one file.

    Example:
        >>> icon_address().startswith("data:image/svg+xml,%3Csvg")
        True
    """
    return f"data:image/svg+xml,{quote(template('icon.svg').strip())}"


@cache
def head() -> str:
    """The HTML that a page of one file has in its head: icon and tokens. It holds nothing that comes from strangers.

    A Content-Security-Policy must allow `img-src data:` and `style-src 'unsafe-inline'`.
    """
    return f'<link rel="icon" href="{icon_address()}">\n<style>\n{template("tokens.css")}</style>'
