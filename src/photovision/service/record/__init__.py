"""The record: the predictions of a service with their pictures, kept in a database of the user's, if the user asks for
it.

It holds no address, no file name and, unless asked, no picture.
"""

from photovision.service.record.row import Row
from photovision.service.record.store import Record, Stats

__all__ = ["Record", "Row", "Stats"]
