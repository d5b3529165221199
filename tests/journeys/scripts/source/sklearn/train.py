"""A scikit-learn training script as the public examples have them: arguments from hyperparameters, paths from SM_*."""

import argparse
import os

import joblib
import pandas as pd
from features import select
from sklearn.ensemble import RandomForestClassifier


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-estimators", type=int, default=10)
    parser.add_argument("--min-samples-leaf", type=int, default=3)
    parser.add_argument("--columns", type=str, default="")
    parser.add_argument("--model-dir", type=str, default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--train", type=str, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", type=str, default=os.environ.get("SM_CHANNEL_VALIDATION"))
    args, _ = parser.parse_known_args()

    print("reading data")
    train = pd.read_csv(os.path.join(args.train, "train.csv"), header=None)
    validation = pd.read_csv(os.path.join(args.validation, "validation.csv"), header=None)

    model = RandomForestClassifier(args.n_estimators, min_samples_leaf=args.min_samples_leaf, random_state=0)
    model.fit(select(train, args.columns), train[0])
    print(f"validation accuracy: {model.score(select(validation, args.columns), validation[0]):.4f};")

    joblib.dump(model, os.path.join(args.model_dir, "model.joblib"))
