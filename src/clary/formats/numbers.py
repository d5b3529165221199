"""What counts as a number in a text file."""

from __future__ import annotations


def is_number(text: str) -> bool:
    """Whether the readers take `text`: decimal or scientific, `nan` and `inf`; not `1_000`, which Python would."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
