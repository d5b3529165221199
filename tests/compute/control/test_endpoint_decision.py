"""What is done about an endpoint, over statuses and what serves, crashes at the worst moment included."""

from __future__ import annotations

import pytest

from clary.compute.control.endpoints import Action, Wanted, decide


@pytest.mark.parametrize(
    ("status", "pending", "serving", "action"),
    [
        ("Creating", None, None, Action.START),
        ("Creating", None, 1, Action.START),  # up, but the server died before it said so
        ("InService", None, 1, None),
        ("InService", None, None, Action.RESUME),  # a new server
        ("OutOfService", None, None, Action.RESUME),
        ("Updating", 2, 1, Action.REPLACE),
        ("Updating", 1, 1, Action.RESCALE),
        ("Updating", 2, None, Action.RESUME),  # a new server: first what served, then the update
        ("Updating", 2, 2, Action.RESCALE),  # switched, but the commit failed
        ("Failed", None, None, None),
        ("Deleting", None, 1, Action.REMOVE),
        ("Deleting", 2, None, Action.REMOVE),
    ],
)
def test_decision(status, pending, serving, action):
    assert decide(Wanted(status, pending), serving) is action
