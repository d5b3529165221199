"""Linear learner as the hosted service runs it.

- training    the channels, the epochs, hosts merged after each
- sampling    what is counted before training, and the training rows that stand in for a validation channel
- effects     hyperparameters that do nothing beside the others
- reporting   log lines of epochs and of the final model
- artifact    the zip of an MXNet module, which is the model
- serving     rows -> scores and labels
"""

from __future__ import annotations

from clary.algorithms.hosted.linear_learner.serving import load
from clary.algorithms.hosted.linear_learner.training import train

__all__ = ["load", "train"]
