"""XGBoost as the hosted service runs it: names, formats, defaults and log lines of each image version.

training
- training          reads the channels, trains, saves
- data              channels -> checked batches -> matrices
- parameters, gpu   hyperparameters of a version -> parameters of the installed library
- run               one run of boosting: callbacks, metrics, what errors mean (`library_errors`)
- evaluation        metrics per round, their log lines, what stops training
- checkpoints       models of earlier rounds, written and gone on from
- cross_validation  a model per fold (`folds`)
- team, loopback    several hosts over the library's collective
- artifact          the file `xgboost-model`, also as the hosted service wrote it

serving
- serving           requests -> one prediction -> responses
- payloads          bodies -> rows
- replies           predictions -> bodies, per version (`selection`: chosen content)
"""

from __future__ import annotations

from clary.algorithms.hosted.xgboost.serving import load
from clary.algorithms.hosted.xgboost.training import train

__all__ = ["load", "train"]
