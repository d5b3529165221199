"""What a reader says about malformed bytes."""

from __future__ import annotations


class FormatError(ValueError):
    """Bytes that are not what their content type says. The message names source, place and fix."""
