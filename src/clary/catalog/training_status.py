"""The secondary statuses of a training job: what each tells a client, and how the list of transitions grows."""

from __future__ import annotations

from typing import Any

MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Pending": "Waiting for capacity: other jobs of this server run first",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Restarting": "The host of this training job was lost; starting again",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}


def enter(state: dict[str, Any], secondary: str, now: float, message: str = "") -> dict[str, Any]:
    """`state` after one more secondary status, which begins at `now` and ends the one before it.

    Nothing changes when the job is in it already. Clients read every StatusMessage unguarded, so each transition has one.
    """
    transitions = list(state.get("SecondaryStatusTransitions", []))
    if transitions and transitions[-1]["Status"] == secondary:
        return state
    if transitions:
        transitions[-1] = {"EndTime": now} | transitions[-1]
    transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message or MESSAGES[secondary]})
    return state | {"SecondaryStatus": secondary, "SecondaryStatusTransitions": transitions}


def close(state: dict[str, Any], now: float) -> dict[str, Any]:
    """`state` with its last transition ended: the job is over."""
    *earlier, last = state["SecondaryStatusTransitions"]
    return state | {"SecondaryStatusTransitions": [*earlier, {"EndTime": now} | last]}
