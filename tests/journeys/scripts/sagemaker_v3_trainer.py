"""Train, deploy and predict with the SageMaker Python SDK v3. Usage: sagemaker_v3_trainer.py DATA_DIR"""

import sys
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.iam_role_resolver import resolve_and_validate_role
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import OutputDataConfig
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, StoppingCondition

data = Path(sys.argv[1])
session = Session()
role = get_execution_role()
bucket = session.default_bucket()
invented = "arn:aws:iam::123456789012:role/service-role/SomebodyElses"
assert resolve_and_validate_role(invented, "training", session) == invented
print("role", role, "bucket", bucket)
train = session.upload_data(str(data / "train.csv"), key_prefix="cancer/train")
validation = session.upload_data(str(data / "validation.csv"), key_prefix="cancer/validation")

image = image_uris.retrieve("xgboost", session.boto_region_name, "3.0-5")
trainer = ModelTrainer(
    training_image=image,
    role=role,
    sagemaker_session=session,
    base_job_name="cancer",
    compute=Compute(instance_type="ml.m5.xlarge", instance_count=1),
    hyperparameters={"objective": "binary:logistic", "num_round": 50, "max_depth": 4, "eta": 0.2, "eval_metric": "auc"},
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/output"),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
)
trainer.train(
    input_data_config=[
        InputData(channel_name="train", data_source=train, content_type="text/csv"),
        InputData(channel_name="validation", data_source=validation, content_type="text/csv"),
    ]
)
name = trainer._latest_training_job.training_job_name

job = TrainingJob.get(name)
assert job.training_job_status == "Completed"
assert name in [found.training_job_name for found in TrainingJob.get_all(name_contains="cancer")]
metrics = {metric.metric_name: metric.value for metric in job.final_metric_data_list}
print("metrics", metrics)
assert metrics["validation:auc"] > 0.97

trainer.hyperparameters["num_round"] = 1_000_000
trainer.train(wait=False)
unfinished = TrainingJob.get(trainer._latest_training_job.training_job_name)
assert unfinished.training_job_status == "InProgress"
assert not hasattr(unfinished.model_artifacts, "s3_model_artifacts"), "there is no model yet"
unfinished.stop()

builder = ModelBuilder(
    image_uri=image,
    s3_model_data_url=job.model_artifacts.s3_model_artifacts,
    role_arn=role,
    sagemaker_session=session,
    instance_type="ml.m5.large",
)
model = builder.build(model_name="cancer-v3")
endpoint = builder.deploy(endpoint_name="cancer-v3", initial_instance_count=1, instance_type="ml.m5.large")
assert Endpoint.get("cancer-v3").endpoint_status == "InService"

labels = [int(line) for line in (data / "labels.csv").read_text().split()]
answer = endpoint.invoke(body=(data / "features.csv").read_text(), content_type="text/csv", accept="text/csv")
body = answer.body.read() if hasattr(answer.body, "read") else answer.body
scores = [float(line) for line in (body.decode() if isinstance(body, bytes) else body).split()]
accuracy = sum((score > 0.5) == bool(label) for score, label in zip(scores, labels, strict=True)) / len(labels)
print("accuracy", accuracy)
assert accuracy > 0.93

config = EndpointConfig.get(Endpoint.get("cancer-v3").endpoint_config_name)
endpoint.delete()
endpoint.wait_for_delete()
config.delete()
Model.get("cancer-v3").delete()
print("done")
