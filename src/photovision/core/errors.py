"""Every error that Photovision raises on purpose, in one tree.

    PhotovisionError
    ├── UsageError          an argument or a combination of arguments makes no sense
    ├── DataError           the pictures or their labels cannot be used as they are
    │   └── UnreadableImage one picture cannot be decoded; it is quarantined or reported, never guessed
    ├── ModelError          a bundle is missing, foreign, corrupt or too new
    ├── ExportError         the exported graph does not decide like the trained network
    ├── LicenceError        a part may not be used for the stated purpose
    ├── RecordError         the record of predictions cannot be opened, written or read
    └── MissingExtra        an optional library is not installed

A message says what was expected, what was got and what to do, in one line. The command line prints it and exits with
code 2; Python users catch `PhotovisionError` or the branch they can act on.
"""

from __future__ import annotations


class PhotovisionError(Exception):
    """Root of all errors that Photovision raises on purpose."""


class UsageError(PhotovisionError):
    """An argument, or a combination of arguments, makes no sense."""


class DataError(PhotovisionError):
    """The pictures or their labels cannot be used as they are."""


class UnreadableImage(DataError):
    """One picture cannot be decoded."""


class ModelError(PhotovisionError):
    """A bundle is missing, foreign, corrupt or from a newer version."""


class ExportError(PhotovisionError):
    """The exported graph does not decide like the trained network."""


class LicenceError(PhotovisionError):
    """A part may not be used for the stated purpose."""


class RecordError(PhotovisionError):
    """The record of predictions cannot be opened, written or read."""


class MissingExtra(PhotovisionError):
    """A library that only some work needs is not installed; the message says how to install it.

    Args:
        library: its package, or the name of a module of it.
        purpose: what needs it, in the message's first words.
    """

    def __init__(self, library: str, purpose: str) -> None:
        from photovision.core.installing import pip_install

        super().__init__(f"{purpose} needs the library '{library}', which is not installed: {pip_install(library)}")
