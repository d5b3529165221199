"""XGBoost in framework mode: the script trains, saves and loads the model itself."""

import argparse
import os
import pickle

import pandas as pd
import xgboost as xgb

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max_depth", type=int)
    parser.add_argument("--eta", type=float)
    parser.add_argument("--objective", type=str)
    parser.add_argument("--num_round", type=int)
    parser.add_argument("--train", type=str, default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])
    args = parser.parse_args()

    table = pd.read_csv(os.path.join(args.train, "train.csv"), header=None)
    data = xgb.DMatrix(table.iloc[:, 1:].to_numpy(), table[0])
    parameters = {"max_depth": args.max_depth, "eta": args.eta, "objective": args.objective, "eval_metric": "auc"}
    booster = xgb.train(parameters, data, args.num_round, evals=[(data, "train")])
    with open(os.path.join(args.model_dir, "xgboost-model"), "wb") as file:
        pickle.dump(booster, file)


def model_fn(model_dir):
    with open(os.path.join(model_dir, "xgboost-model"), "rb") as file:
        return pickle.load(file)
