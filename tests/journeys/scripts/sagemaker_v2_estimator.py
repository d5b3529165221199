"""The classic notebook with the SageMaker Python SDK v2. Usage: sagemaker_v2_estimator.py DATA_DIR"""

import sys
from pathlib import Path

import boto3
import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

data = Path(sys.argv[1])
session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket = session.default_bucket()
print("role", role, "bucket", bucket)
train = session.upload_data(str(data / "train.csv"), key_prefix="cancer/train")
validation = session.upload_data(str(data / "validation.csv"), key_prefix="cancer/validation")

image = sagemaker.image_uris.retrieve("xgboost", boto3.Session().region_name, "1.7-1")
estimator = Estimator(
    image_uri=image,
    role=role,
    instance_count=1,
    instance_type="ml.m5.xlarge",
    output_path=f"s3://{bucket}/output",
    base_job_name="cancer",
    sagemaker_session=session,
)
estimator.set_hyperparameters(objective="binary:logistic", num_round=50, max_depth=4, eta=0.2, eval_metric="auc")
estimator.fit(
    {"train": TrainingInput(train, content_type="text/csv"), "validation": TrainingInput(validation, content_type="text/csv")},
    logs="All",
)
assert estimator.model_data == f"s3://{bucket}/output/{estimator.latest_training_job.name}/output/model.tar.gz"

predictor = estimator.deploy(
    initial_instance_count=1, instance_type="ml.m5.large", serializer=CSVSerializer(), deserializer=CSVDeserializer()
)
rows = [[float(value) for value in line.split(",")] for line in (data / "features.csv").read_text().splitlines()]
labels = [int(line) for line in (data / "labels.csv").read_text().split()]
scores = [float(row[0]) for row in predictor.predict(rows)]
accuracy = sum((score > 0.5) == bool(label) for score, label in zip(scores, labels, strict=True)) / len(labels)
print("accuracy", accuracy)
assert accuracy > 0.93

as_json = Predictor(predictor.endpoint_name, session, serializer=CSVSerializer(), deserializer=JSONDeserializer())
assert abs(as_json.predict(rows[0])["predictions"][0]["score"] - scores[0]) < 1e-6

attached = Estimator.attach(estimator.latest_training_job.name, session)
assert attached.hyperparameters()["num_round"] == "50"
assert attached.model_data == estimator.model_data

batch = session.upload_data(str(data / "features.csv"), key_prefix="cancer/batch")
transformer = attached.transformer(1, "ml.m5.large", assemble_with="Line", accept="text/csv")
transformer.transform(batch, content_type="text/csv", split_type="Line")
transformer.wait()
transformed = sagemaker.s3.S3Downloader.read_file(f"{transformer.output_path}/features.csv.out", session)
assert [round(float(line), 5) for line in transformed.split()] == [round(score, 5) for score in scores]

analytics = sagemaker.analytics.TrainingJobAnalytics(estimator.latest_training_job.name, sagemaker_session=session)
print(analytics.dataframe().tail(3))

predictor.delete_model()
predictor.delete_endpoint()
print("done")
