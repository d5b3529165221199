"""XGBoost as the hosted service runs it: names, formats, defaults and log lines of each image version.

- training        reads the channels, trains, saves
- parameters      hyperparameters of a version -> parameters of the installed library
- evaluation      metrics per round, their log lines, early stopping
- library_errors  what the library's errors mean
- artifact        the file `xgboost-model`, also as the hosted service wrote it
- serving         requests -> one prediction -> responses
- payloads        bodies -> rows
- replies         predictions -> bodies, per version
"""

from __future__ import annotations

from clary.algorithms.hosted.xgboost.serving import load
from clary.algorithms.hosted.xgboost.training import train

__all__ = ["load", "train"]
