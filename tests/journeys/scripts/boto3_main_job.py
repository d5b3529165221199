"""Train, deploy, predict, transform and clean up with boto3, as a tutorial would. Usage: boto3_main_job.py DATA_DIR"""

import csv
import io
import json
import sys
import tarfile
import time
from pathlib import Path

import boto3
import xgboost

data = Path(sys.argv[1])
s3 = boto3.client("s3")
iam = boto3.client("iam")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")
logs = boto3.client("logs")

# A role for the job
trust = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
role = iam.create_role(RoleName="TrainingRole", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

for policy in ("AmazonSageMakerFullAccess", "AmazonS3FullAccess"):
    iam.attach_role_policy(RoleName="TrainingRole", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")

# Data
bucket = "boto3-journey"
s3.create_bucket(Bucket=bucket)
for name in ("train", "validation"):
    s3.upload_file(str(data / f"{name}.csv"), bucket, f"cancer/{name}/{name}.csv")
listed = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="cancer/")["Contents"]]
assert listed == ["cancer/train/train.csv", "cancer/validation/validation.csv"], listed


def channel(name):
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"s3://{bucket}/cancer/{name}/",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


# Train
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
job_name = "cancer-xgboost"
sagemaker.create_training_job(
    TrainingJobName=job_name,
    AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
    RoleArn=role,
    HyperParameters={"objective": "binary:logistic", "num_round": "50", "max_depth": "4", "eta": "0.2", "eval_metric": "auc"},
    InputDataConfig=[channel("train"), channel("validation")],
    OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
    ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
    StoppingCondition={"MaxRuntimeInSeconds": 600},
    Tags=[{"Key": "team", "Value": "demo"}],
)
sagemaker.get_waiter("training_job_completed_or_stopped").wait(
    TrainingJobName=job_name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
)
job = sagemaker.describe_training_job(TrainingJobName=job_name)
assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
print("seconds of training:", job["TrainingTimeInSeconds"])
print("transitions:", [step["Status"] for step in job["SecondaryStatusTransitions"]])
metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
assert metrics["validation:auc"] > 0.97, metrics
assert job_name in [
    j["TrainingJobName"] for j in sagemaker.list_training_jobs(StatusEquals="Completed")["TrainingJobSummaries"]
]
assert sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "team", "Value": "demo"}]

# Its log
streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job_name}/")[
    "logStreams"
]
events = logs.get_log_events(
    logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=streams[0]["logStreamName"], startFromHead=True
)["events"]
assert any("validation-auc" in event["message"] for event in events), events

# The artifact is a model that plain xgboost opens
artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
assert artifact == f"s3://{bucket}/models/{job_name}/output/model.tar.gz"
body = s3.get_object(Bucket=bucket, Key=artifact.removeprefix(f"s3://{bucket}/"))["Body"].read()
with tarfile.open(fileobj=io.BytesIO(body)) as archive:
    archive.extract("xgboost-model", data / "boto3", filter="data")
booster = xgboost.Booster()
booster.load_model(data / "boto3" / "xgboost-model")

# Deploy
sagemaker.create_model(ModelName="cancer", ExecutionRoleArn=role, PrimaryContainer={"Image": image, "ModelDataUrl": artifact})
sagemaker.create_endpoint_config(
    EndpointConfigName="cancer",
    ProductionVariants=[
        {"VariantName": "AllTraffic", "ModelName": "cancer", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    ],
)
sagemaker.create_endpoint(EndpointName="cancer", EndpointConfigName="cancer")
sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="cancer", WaiterConfig={"Delay": 1, "MaxAttempts": 60})

# Predict
rows = (data / "features.csv").read_text().splitlines()
labels = [int(line) for line in (data / "labels.csv").read_text().split()]
answer = runtime.invoke_endpoint(EndpointName="cancer", ContentType="text/csv", Body="\n".join(rows))
assert answer["InvokedProductionVariant"] == "AllTraffic"
scores = [float(line) for line in answer["Body"].read().decode().split()]
accuracy = sum((score > 0.5) == bool(label) for score, label in zip(scores, labels, strict=True)) / len(labels)
print("accuracy:", accuracy)
assert accuracy > 0.93
features = xgboost.DMatrix([[float(value) for value in row] for row in csv.reader(rows)])
assert max(abs(a - b) for a, b in zip(scores, booster.predict(features), strict=True)) < 1e-5

# Transform a folder
s3.upload_file(str(data / "features.csv"), bucket, "cancer/batch/features.csv")
sagemaker.create_transform_job(
    TransformJobName="cancer-batch",
    ModelName="cancer",
    TransformInput={
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/cancer/batch/"}},
        "ContentType": "text/csv",
        "SplitType": "Line",
    },
    TransformOutput={"S3OutputPath": f"s3://{bucket}/transformed", "AssembleWith": "Line"},
    TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
)
sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
    TransformJobName="cancer-batch", WaiterConfig={"Delay": 1, "MaxAttempts": 120}
)
transformed = s3.get_object(Bucket=bucket, Key="transformed/features.csv.out")["Body"].read().decode().split()
assert [float(line) for line in transformed] == scores

# Mistakes are answered as AWS answers them
for call, code in (
    (lambda: sagemaker.describe_endpoint(EndpointName="nobody"), "ValidationException"),
    (lambda: s3.get_object(Bucket=bucket, Key="nothing"), "NoSuchKey"),
    (lambda: runtime.invoke_endpoint(EndpointName="nobody", Body="1"), "ValidationError"),
):
    try:
        call()
    except sagemaker.exceptions.ClientError as error:
        answered = error.response["Error"]["Code"]
    else:
        answered = "no error"
    assert answered == code, answered

# Clean up
sagemaker.delete_endpoint(EndpointName="cancer")
sagemaker.delete_endpoint_config(EndpointConfigName="cancer")
sagemaker.delete_model(ModelName="cancer")
deadline = time.monotonic() + 60
while any(endpoint["EndpointName"] == "cancer" for endpoint in sagemaker.list_endpoints()["Endpoints"]):
    assert time.monotonic() < deadline, "the endpoint is not gone"
    time.sleep(0.5)
boto3.resource("s3").Bucket(bucket).objects.delete()
s3.delete_bucket(Bucket=bucket)
for policy in iam.list_attached_role_policies(RoleName="TrainingRole")["AttachedPolicies"]:
    iam.detach_role_policy(RoleName="TrainingRole", PolicyArn=policy["PolicyArn"])
iam.delete_role(RoleName="TrainingRole")
print("done")
