"""The wire alone: microseconds of detect, parse, validate and serialize for a call, against botocore's side of the same call.

botocore's serializer and parser do the mirror image of the same work from the same models (no HTTP, no signing, no
retries), so the ratio says how much the model-driven gateway costs beside the model-driven client.

    python -m benchmarks.wire [--seconds 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from clary.gateway.wire import RequestParts, detect, load_operation, parse, parse_query, serialize, validate

NOW = datetime.now(UTC)
TRAINING_JOB = {
    "TrainingJobName": "xgboost-2026-01-01-00-00-00-000",
    "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/xgboost-2026-01-01-00-00-00-000",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/out/model.tar.gz"},
    "HyperParameters": {f"parameter_{n}": str(n) for n in range(10)},
    "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
    "InputDataConfig": [
        {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data"}}}
        for name in ("train", "validation")
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "KmsKeyId": ""},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "SecondaryStatusTransitions": [
        {"Status": status, "StartTime": NOW, "EndTime": NOW, "StatusMessage": "a message"}
        for status in ("Starting", "Downloading", "Training", "Uploading", "Completed")
    ],
    "FinalMetricDataList": [{"MetricName": "train:rmse", "Value": 0.5, "Timestamp": NOW}],
    "CreationTime": NOW,
    "LastModifiedTime": NOW,
}
OBJECTS = [
    {
        "Key": f"a/key/{n}",
        "LastModified": NOW,
        "ETag": '"0123456789abcdef0123456789abcdef"',
        "Size": n,
        "StorageClass": "STANDARD",
    }
    for n in range(1000)
]
SCOPE = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature="


def request(
    service: str, method: str = "GET", query: str = "", body: bytes = b"", path: str = "/", **headers: str
) -> RequestParts:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestParts(method, path, parse_query(query), headers | {"authorization": SCOPE.format(service)}, body)


CALLS: dict[str, tuple[RequestParts, dict[str, Any]]] = {
    "DescribeTrainingJob": (
        request("sagemaker", "POST", body=b'{"TrainingJobName": "xgboost-1"}', x_amz_target="SageMaker.DescribeTrainingJob"),
        TRAINING_JOB,
    ),
    "ListBuckets": (request("s3"), {"Buckets": [{"Name": f"bucket-{n}", "CreationDate": NOW} for n in range(10)]}),
    "ListObjectsV2 of 1000": (request("s3", query="list-type=2", path="/bucket"), {"Name": "bucket", "Contents": OBJECTS}),
    "PutObject": (request("s3", "PUT", path="/bucket/key", body=b"x", content_type="text/csv"), {"ETag": '"0"'}),
}


def ours(parts: RequestParts, result: dict[str, Any]) -> Any:
    route = detect(parts)
    operation = load_operation(route)
    parameters = parse(operation, route, parts)
    validate(operation, parameters)
    return serialize(operation, route, result, "the-request-id")


def botocores(parts: RequestParts, result: dict[str, Any]) -> Callable[[], None]:
    """The client's work for the same call: the parameters to a request, and the response to a result."""
    route = detect(parts)
    operation = load_operation(route)
    parameters = parse(operation, route, parts)
    response = serialize(operation, route, result, "the-request-id")
    document = {"status_code": response.status, "headers": response.headers, "body": response.body}
    serializer, parser = create_serializer(route.protocol), create_parser(route.protocol)

    def work() -> None:
        serializer.serialize_to_request(parameters, operation)
        parser.parse(document, operation.output_shape)

    return work


def microseconds(work: Callable[[], Any], seconds: float) -> float:
    """CPU time of one call, the best of five rounds."""
    work()
    started = time.process_time()
    work()
    rounds = max(1, int(seconds / 5 / max(time.process_time() - started, 1e-6)))
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time() - started) / rounds)
    return best * 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=1.0, help="CPU time per measurement")
    seconds = options.parse_args().seconds
    print(f"{'':24}{'ours':>10}{'botocore':>12}{'ratio':>8}   microseconds of CPU per call")
    for name, (parts, result) in CALLS.items():
        mine = microseconds(lambda parts=parts, result=result: ours(parts, result), seconds)
        peer = microseconds(botocores(parts, result), seconds)
        print(f"{name:24}{mine:10.1f}{peer:12.1f}{peer / mine:7.1f}x")


if __name__ == "__main__":
    main()
