"""What is done about a transform job, over statuses and what is observed, crashes at the worst moment included."""

from __future__ import annotations

import pytest

from clary.compute.control.transform import Action, decide


@pytest.mark.parametrize(
    ("status", "attempt", "state", "action"),
    [
        ("InProgress", 1, "ABSENT", Action.START),
        ("InProgress", 1, "RUNNING", Action.WAIT),
        ("InProgress", 1, "EXITED", Action.FINISH),
        ("InProgress", 1, "LOST", Action.RETRY),
        ("InProgress", 2, "LOST", Action.FINISH_LOST),
        ("Stopping", 1, "ABSENT", Action.FINISH_STOPPED),
        ("Stopping", 1, "RUNNING", Action.STOP),
        ("Stopping", 1, "EXITED", Action.FINISH),  # it may have been done before it was asked
        ("Stopping", 1, "LOST", Action.FINISH_STOPPED),
    ],
)
def test_decision(status, attempt, state, action):
    assert decide(status, attempt, state) is action
