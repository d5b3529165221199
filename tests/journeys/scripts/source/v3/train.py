"""A script for the SDK v3: its data and its model lie below /opt/ml, which the variables say."""

import argparse
import json
import os

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("--C", type=float)
parser.add_argument("--layers", type=json.loads)
args = parser.parse_args()
assert args.layers == [1, 2], args.layers
assert json.loads(os.environ["SM_HPS"])["C"] == 0.5

table = pd.read_csv(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), header=None)
model = make_pipeline(StandardScaler(), LogisticRegression(C=args.C)).fit(table.iloc[:, 1:].to_numpy(), table[0])
print("accuracy", model.score(table.iloc[:, 1:].to_numpy(), table[0]))
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
