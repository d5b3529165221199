"""What a reader learns when the bytes on disk are not the bytes that were written."""

from __future__ import annotations


class DamagedBlob(Exception):
    """A blob is missing, cut short, altered, or was written with another key."""
