"""How a train program tells the user's mistake from ours."""

from __future__ import annotations


class CustomerError(Exception):
    """The user's mistake: bad data, bad hyperparameters. The job fails with `ClientError: ` and this message."""
