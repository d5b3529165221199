"""A script of one's own with the SageMaker Python SDK v3: train, deploy, invoke. Usage: sagemaker_v3_script.py DATA_DIR"""

import json
import sys
from pathlib import Path

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TrainingJob
from sagemaker.core.shapes import ContainerDefinition, OutputDataConfig, ProductionVariant
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

data, source = Path(sys.argv[1]), Path(__file__).parent / "source" / "v3"
session = Session()
role = get_execution_role()
bucket = session.default_bucket()
image = image_uris.retrieve("sklearn", session.boto_region_name, "1.2-1", instance_type="ml.m5.large")


def trainer(code, **more):
    return ModelTrainer(
        training_image=image,
        role=role,
        sagemaker_session=session,
        base_job_name="script",
        source_code=code,
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/output"),
        **more,
    )


first = trainer(
    SourceCode(source_dir=str(source), entry_script="train.py", requirements="requirements.txt"),
    hyperparameters={"C": 0.5, "layers": [1, 2]},
)
first.train(input_data_config=[InputData(channel_name="train", data_source=str(data / "train.csv"))])
job = TrainingJob.get(first._latest_training_job.training_job_name)
assert job.training_job_status == "Completed", job.failure_reason

second = trainer(SourceCode(source_dir=str(source), command="ls $SM_CHANNEL_TRAIN/nothing-of-this-name"))
try:
    second.train(input_data_config=[InputData(channel_name="train", data_source=str(data / "train.csv"))])
except Exception as error:
    print(type(error).__name__, error)
failed = TrainingJob.get(second._latest_training_job.training_job_name)
assert failed.training_job_status == "Failed", failed.training_job_status
assert failed.failure_reason.startswith("AlgorithmError: Training Execution failed."), failed.failure_reason

code = session.upload_data(str(data / "serving.tar.gz"), key_prefix="code")
environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
container = ContainerDefinition(image=image, model_data_url=job.model_artifacts.s3_model_artifacts, environment=environment)
Model.create(model_name="script-v3", primary_container=container, execution_role_arn=role)
variant = ProductionVariant(
    variant_name="AllTraffic", model_name="script-v3", initial_instance_count=1, instance_type="ml.m5.large"
)
EndpointConfig.create(endpoint_config_name="script-v3", production_variants=[variant])
endpoint = Endpoint.create(endpoint_name="script-v3", endpoint_config_name="script-v3")
endpoint.wait_for_status("InService")
labels = [int(line) for line in (data / "labels.csv").read_text().split()]
answer = endpoint.invoke(body=(data / "features.csv").read_text(), content_type="text/csv", accept="application/json")
body = answer.body.read() if hasattr(answer.body, "read") else answer.body
predicted = json.loads(body)
accuracy = sum(int(p) == label for p, label in zip(predicted, labels, strict=True)) / len(labels)
print("accuracy", accuracy)
assert accuracy > 0.93
endpoint.delete()
print("done")
