"""Scripts of one's own with the SageMaker Python SDK v2: fit, deploy, predict. Usage: sagemaker_v2_scripts.py DATA_DIR"""

import sys
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.pytorch import PyTorch
from sagemaker.sklearn import SKLearn
from sagemaker.xgboost import XGBoost

data, source = Path(sys.argv[1]), Path(__file__).parent / "source"
session = sagemaker.Session()
role = sagemaker.get_execution_role()
train = session.upload_data(str(data / "train.csv"), key_prefix="cancer/train")
validation = session.upload_data(str(data / "validation.csv"), key_prefix="cancer/validation")
digits = session.upload_data(str(data / "digits.csv"), key_prefix="digits")
features = np.loadtxt(data / "features.csv", delimiter=",")
labels = np.loadtxt(data / "labels.csv", delimiter=",")
on_one = {"role": role, "instance_count": 1, "instance_type": "ml.m5.large", "sagemaker_session": session}
served = {"initial_instance_count": 1, "instance_type": "ml.m5.large"}


def accuracy(predicted, actual):
    return float((np.asarray(predicted).reshape(-1) == actual).mean())


sklearn = SKLearn(
    entry_point="train.py",
    source_dir=str(source / "sklearn"),
    framework_version="1.2-1",
    hyperparameters={"n-estimators": 50, "columns": "all but the first"},
    metric_definitions=[{"Name": "validation:accuracy", "Regex": "validation accuracy: ([0-9.]+);"}],
    **on_one,
)
sklearn.fit({"train": train, "validation": validation})
described = session.describe_training_job(sklearn.latest_training_job.name)
assert described["FinalMetricDataList"][0]["Value"] > 0.9, described["FinalMetricDataList"]
predictor = sklearn.deploy(**served)
print("sklearn", accuracy(predictor.predict(features), labels))
assert accuracy(predictor.predict(features), labels) > 0.9
predictor.delete_model()
predictor.delete_endpoint()

xgboost = XGBoost(
    entry_point=str(source / "xgboost" / "abalone.py"),
    framework_version="1.7-1",
    hyperparameters={"max_depth": 4, "eta": 0.2, "objective": "binary:logistic", "num_round": 30},
    **on_one,
)
xgboost.fit({"train": train})
predictor = xgboost.deploy(**served, serializer=sagemaker.serializers.CSVSerializer())
scores = np.array([float(cell) for row in predictor.predict(features) for cell in row])
print("xgboost", accuracy(scores > 0.5, labels))
assert accuracy(scores > 0.5, labels) > 0.93
predictor.delete_endpoint()

if (data / "with-pytorch").exists():
    pytorch = PyTorch(
        entry_point="mnist.py",
        source_dir=str(source / "pytorch"),
        framework_version="2.6.0",
        py_version="py312",
        hyperparameters={"epochs": 4, "batch-size": 32},
        **on_one,
    )
    pytorch.fit({"training": digits})
    predictor = pytorch.deploy(**served)
    table = np.loadtxt(data / "digits.csv", delimiter=",", dtype=np.float32)[:200]
    answer = predictor.predict(table[:, 1:].reshape(-1, 1, 8, 8) / 16)
    print("pytorch", accuracy(answer.argmax(1), table[:, 0]))
    assert accuracy(answer.argmax(1), table[:, 0]) > 0.9
    predictor.delete_endpoint()

broken = SKLearn(
    entry_point=str(source / "sklearn" / "train.py"), framework_version="1.2-1", **on_one
)  # features.py is missing
try:
    broken.fit({"train": train, "validation": validation}, logs=False)
except UnexpectedStatusException as error:
    told = str(error)
assert "ModuleNotFoundError: No module named 'features'" in told, told
print("done")
