"""How a command ends that does not succeed."""

from __future__ import annotations

FAILED = 1
MISUSED = 2
"""What was asked for cannot be meant: an option's value, a setting of the file. The command line's parser uses the same."""
NOT_RUNNING = 3


class CommandError(Exception):
    """Ends the command with one line and an exit status."""

    def __init__(self, message: str, status: int = FAILED):
        super().__init__(message)
        self.status = status
