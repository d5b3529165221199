"""Tune with the SageMaker Python SDK v3, deploy the best model, predict. Usage: sagemaker_v3_tuner.py DATA_DIR"""

import sys
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.parameter import ContinuousParameter, IntegerParameter
from sagemaker.core.resources import EndpointConfig, HyperParameterTuningJob, Model, TrainingJob
from sagemaker.core.shapes import (
    HyperParameterTuningJobWarmStartConfig,
    OutputDataConfig,
    ParentHyperParameterTuningJob,
)
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, StoppingCondition
from sagemaker.train.tuner import HyperparameterTuner

data = Path(sys.argv[1])
session = Session()
role = get_execution_role()
bucket = session.default_bucket()
inputs = [
    InputData(
        channel_name=name,
        data_source=session.upload_data(str(data / f"{name}.csv"), key_prefix="tuned"),
        content_type="text/csv",
    )
    for name in ("train", "validation")
]

image = image_uris.retrieve("xgboost", session.boto_region_name, "3.0-5")
trainer = ModelTrainer(
    training_image=image,
    role=role,
    sagemaker_session=session,
    base_job_name="tuned",
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
    hyperparameters={"objective": "binary:logistic", "num_round": 10, "eval_metric": "auc"},
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/output"),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
)
ranges = {"eta": ContinuousParameter(0.01, 0.5, scaling_type="Logarithmic"), "max_depth": IntegerParameter(2, 6)}
tuner = HyperparameterTuner(
    trainer,
    "validation:auc",
    ranges,
    max_jobs=3,
    max_parallel_jobs=2,
    early_stopping_type="Auto",
    random_seed=7,
    base_tuning_job_name="tuned",
)
tuner.tune(inputs, wait=False)
tuner.wait()
job = tuner.describe()
assert job.hyper_parameter_tuning_job_status == "Completed"
counters = job.training_job_status_counters
assert counters.completed + counters.stopped == 3, counters
best = tuner.best_training_job()
frame = tuner.analytics().dataframe()
print(frame.to_string())
assert best == frame.loc[frame["FinalObjectiveValue"].idxmax(), "TrainingJobName"]
assert HyperParameterTuningJob.get(job.hyper_parameter_tuning_job_name).best_training_job.training_job_name == best
names = [found.hyper_parameter_tuning_job_name for found in HyperParameterTuningJob.get_all(name_contains="tuned")]
assert job.hyper_parameter_tuning_job_name in names

parent = ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=job.hyper_parameter_tuning_job_name)
again = HyperparameterTuner(
    trainer,
    "validation:auc",
    ranges,
    max_jobs=1,
    warm_start_config=HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[parent], warm_start_type="IdenticalDataAndAlgorithm"
    ),
    base_tuning_job_name="again",
)
again.tune(inputs)
overall = again.describe().overall_best_training_job.final_hyper_parameter_tuning_job_objective_metric.value
assert overall >= frame["FinalObjectiveValue"].max()

trained = TrainingJob.get(best)
assert trained.tuning_job_arn == job.hyper_parameter_tuning_job_arn
builder = ModelBuilder(
    image_uri=image,
    s3_model_data_url=trained.model_artifacts.s3_model_artifacts,
    role_arn=role,
    sagemaker_session=session,
    instance_type="ml.m5.large",
)
builder.build(model_name="tuned-v3")
endpoint = builder.deploy(endpoint_name="tuned-v3", initial_instance_count=1, instance_type="ml.m5.large")
labels = [int(line) for line in (data / "labels.csv").read_text().split()]
answer = endpoint.invoke(body=(data / "features.csv").read_text(), content_type="text/csv", accept="text/csv")
body = answer.body.read() if hasattr(answer.body, "read") else answer.body
scores = [float(line) for line in (body.decode() if isinstance(body, bytes) else body).split()]
accuracy = sum((score > 0.5) == bool(label) for score, label in zip(scores, labels, strict=True)) / len(labels)
print("accuracy", accuracy)
assert accuracy > 0.9

config = EndpointConfig.get("tuned-v3")
endpoint.delete()
endpoint.wait_for_delete()
config.delete()
Model.get("tuned-v3").delete()
print("done")
