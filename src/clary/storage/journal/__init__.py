"""Records: append-only streams with offsets, times, cursors and retention."""

from clary.storage.journal.frames import Record
from clary.storage.journal.journal import Journal

__all__ = ["Journal", "Record"]
