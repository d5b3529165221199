"""Tuning with the SageMaker Python SDK v2, as its manual does: one algorithm and a warm start, several, a first-party one.

Usage: sagemaker_v2_tuner.py DATA_DIR
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker import LinearLearner
from sagemaker.analytics import HyperparameterTuningJobAnalytics
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import CSVSerializer
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperparameterTuner,
    IntegerParameter,
    WarmStartConfig,
    WarmStartTypes,
)

FOLDER = Path(sys.argv[1])
ROWS = [[float(value) for value in line.split(",")] for line in (FOLDER / "features.csv").read_text().splitlines()]
LABELS = np.array([int(line) for line in (FOLDER / "labels.csv").read_text().split()])


def new_session():
    return sagemaker.Session(boto3.Session())


def channels(session, folder):
    uploaded = {name: session.upload_data(str(FOLDER / f"{name}.csv"), key_prefix=folder) for name in ("train", "validation")}
    return {name: TrainingInput(uri, content_type="text/csv") for name, uri in uploaded.items()}


def booster(session, role, name="trees", **hyperparameters):
    estimator = Estimator(
        image_uri=sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1"),
        role=role,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        output_path=f"s3://{session.default_bucket()}/{name}",
        base_job_name=name,
        sagemaker_session=session,
    )
    estimator.set_hyperparameters(objective="binary:logistic", eval_metric="auc", num_round=10, **hyperparameters)
    return estimator


def deployed(tuner, rows, serializer=None, deserializer=None):
    """What the best model answers."""
    predictor = tuner.deploy(1, "ml.m5.large", serializer=serializer, deserializer=deserializer)
    try:
        assert predictor.endpoint_name == tuner.best_training_job()
        return predictor.predict(rows)
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()


def one_algorithm_then_a_warm_start(role):
    session = new_session()
    data = channels(session, "one")
    ranges = {
        "eta": ContinuousParameter(0.01, 0.5, scaling_type="Logarithmic"),
        "max_depth": IntegerParameter(2, 6),
        "booster": CategoricalParameter(["gbtree", "dart"]),
    }
    tuner = HyperparameterTuner(
        booster(session, role),
        "validation:auc",
        ranges,
        objective_type="Maximize",
        max_jobs=3,
        max_parallel_jobs=2,
        early_stopping_type="Auto",
        random_seed=7,
        base_tuning_job_name="trees",
        tags=[{"Key": "team", "Value": "journeys"}],
    )
    tuner.fit(data)
    name = tuner.latest_tuning_job.name
    assert tuner.describe()["HyperParameterTuningJobStatus"] == "Completed"
    frame = tuner.analytics().dataframe().sort_values("FinalObjectiveValue", ascending=False)
    print(frame.to_string())
    assert len(frame) == 3
    assert set(frame["TrainingJobStatus"]) <= {"Completed", "Stopped"}
    assert tuner.best_training_job() == frame.iloc[0]["TrainingJobName"]
    assert frame["eta"].between(0.01, 0.5).all()
    assert set(frame["booster"].str.strip('"')) <= {"gbtree", "dart"}
    assert (frame["TrainingElapsedTimeSeconds"] >= 0).all()

    scores = np.array(deployed(tuner, ROWS, CSVSerializer(), CSVDeserializer()), dtype=float)[:, 0]
    assert ((scores > 0.5) == LABELS).mean() > 0.9

    attached = HyperparameterTuner.attach(name, sagemaker_session=session)
    assert attached.best_training_job() == tuner.best_training_job()
    assert attached.best_estimator().hyperparameters()["_tuning_objective_metric"].strip('"') == "validation:auc"
    assert HyperparameterTuningJobAnalytics(name, sagemaker_session=session).dataframe().shape == frame.shape

    again = attached.identical_dataset_and_algorithm_tuner()
    again.fit(data, job_name="again", wait=False)
    transfer = HyperparameterTuner(
        booster(session, role, subsample=0.8),
        "validation:auc",
        {"eta": ContinuousParameter(0.05, 0.5)},
        max_jobs=1,
        warm_start_config=WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, parents={name}),
    )
    transfer.fit(data, job_name="transfer")
    assert len(transfer.analytics().dataframe()) == 1
    again.wait()
    described = again.describe()
    assert described["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm"
    overall = described["OverallBestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    own = again.analytics().dataframe()["FinalObjectiveValue"].max()
    assert overall == max(own, frame["FinalObjectiveValue"].max())


def several_algorithms(role):
    session = new_session()
    data = channels(session, "several")
    tuner = HyperparameterTuner.create(
        estimator_dict={"deep": booster(session, role, "deep"), "shallow": booster(session, role, "shallow", max_depth=2)},
        objective_metric_name_dict={"deep": "validation:auc", "shallow": "validation:auc"},
        hyperparameter_ranges_dict={
            "deep": {"max_depth": IntegerParameter(4, 8), "eta": ContinuousParameter(0.05, 0.5)},
            "shallow": {"eta": ContinuousParameter(0.05, 0.5)},
        },
        strategy="Random",
        max_jobs=2,
        max_parallel_jobs=2,
        base_tuning_job_name="several",
    )
    tuner.fit(inputs={"deep": data, "shallow": data}, include_cls_metadata={})
    frames = tuner.analytics().dataframe()
    print(frames.to_string())
    assert sorted(frames["TrainingJobDefinitionName"]) == ["deep", "shallow"]
    best = tuner.describe()["BestTrainingJob"]
    attached = HyperparameterTuner.attach(tuner.latest_tuning_job.name, sagemaker_session=session)
    assert attached.best_estimator().latest_training_job.name == best["TrainingJobName"]
    scores = np.array(deployed(tuner, ROWS, CSVSerializer(), CSVDeserializer()), dtype=float)[:, 0]
    assert ((scores > 0.5) == LABELS).mean() > 0.9


def a_first_party_algorithm(role):
    session = new_session()
    digits = np.loadtxt(FOLDER / "digits.csv", delimiter=",", dtype=np.float32)
    labels, images = (digits[:, 0] == 0).astype(np.float32), digits[:, 1:]
    estimator = LinearLearner(role, 1, "ml.c5.xlarge", predictor_type="binary_classifier", epochs=3, sagemaker_session=session)
    records = [
        estimator.record_set(images[:1500], labels[:1500]),
        estimator.record_set(images[1500:], labels[1500:], channel="validation"),
    ]
    tuner = HyperparameterTuner(
        estimator,
        "validation:objective_loss",
        {"learning_rate": ContinuousParameter(0.001, 0.1), "mini_batch_size": IntegerParameter(50, 200)},
        objective_type="Minimize",
        max_jobs=2,
        max_parallel_jobs=2,
    )
    tuner.fit(records, mini_batch_size=100)
    frame = tuner.analytics().dataframe()
    assert tuner.best_training_job() == frame.loc[frame["FinalObjectiveValue"].idxmin(), "TrainingJobName"]
    answers = deployed(tuner, images[1500:])
    predicted = np.array([record.label["predicted_label"].float32_tensor.values[0] for record in answers])
    assert (predicted == labels[1500:]).mean() > 0.95


def main():
    role = sagemaker.get_execution_role()
    new_session().default_bucket()
    parts = [one_algorithm_then_a_warm_start, several_algorithms, a_first_party_algorithm]
    with ThreadPoolExecutor(len(parts)) as pool:
        for name, done in [(part.__name__, pool.submit(part, role)) for part in parts]:
            done.result()
            print(name, "tuned, deployed and answered", flush=True)


if __name__ == "__main__":
    main()
