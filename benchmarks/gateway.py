"""Gateway calls, DescribeTrainingJob and ListBuckets, against moto's server.

Both servers get the bytes that boto3 sends, signed, over kept-alive connections, the next request as soon as the answer is
there; the answers are read by boto3 before and compared with what was created. One line per measurement: requests per second
of wall time and of the server's CPU time, in `open` mode and, for Clary, also in `strict` mode, where every signature is
verified and the caller's policies are asked.

    python -m benchmarks.gateway [--seconds 4] [--only clary strict moto]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.s3 import Result, _drive, clary_server, moto_server

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKETS = [f"bench-{number}" for number in range(10)]
ROWS = "\n".join(f"{number % 2},{number},{number * 7 % 13}" for number in range(100))
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", '
    '"Action": ["s3:ListAllMyBuckets", "sagemaker:DescribeTrainingJob"]}]}'
)
CLIENTS = (1, 16)


def main() -> None:
    options = _options()
    results = {name: _measure(name, options.seconds) for name in options.only}
    for ours in results.keys() - {"moto"}:
        if "moto" in results:
            _compare(ours, results[ours], results["moto"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS))
    return parser.parse_args()


def _measure(name: str, seconds: float) -> dict[tuple[str, int], Result]:
    results = {}
    with tempfile.TemporaryDirectory() as directory, SERVERS[name](Path(directory)) as (port, pid, key):
        for call, request in _prepare(port, key).items():
            for clients in CLIENTS:
                results[call, clients] = result = _drive(port, pid, [request] * clients, clients, seconds)
                print(
                    f"{name:7} {call:20} {clients:3} clients: {result.per_second:7.0f} req/s "
                    f"{result.per_cpu_second:7.0f} req per server CPU second",
                    flush=True,
                )
    return results


def _compare(name: str, ours: dict[tuple[str, int], Result], theirs: dict[tuple[str, int], Result]) -> None:
    for (call, clients), result in ours.items():
        other = theirs[call, clients]
        print(
            f"ratio {name} to moto, {call:20} {clients:3} clients: {result.per_second / other.per_second:6.1f} x wall "
            f"{result.per_cpu_second / other.per_cpu_second:6.1f} x CPU"
        )


def _prepare(port: int, key: tuple[str, str]) -> dict[str, bytes]:
    """Create what is asked for, check that the answers are right, and return the requests as boto3 sends them."""
    s3, sagemaker = _client("s3", port, key), _client("sagemaker", port, key)
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=BUCKETS[0], Key="train/data.csv", Body=ROWS.encode())
    job = _train(sagemaker)
    reader = _client("s3", port, _reader(port, key)), _client("sagemaker", port, _reader(port, key))
    sent: list[bytes] = []
    for client in reader:
        client.meta.events.register("before-send.*", lambda request, **_: sent.append(_as_bytes(request)))
    assert [bucket["Name"] for bucket in reader[0].list_buckets()["Buckets"]] == BUCKETS
    answer = reader[1].describe_training_job(TrainingJobName="bench")
    assert answer["TrainingJobStatus"] == "Completed"
    assert {name: answer[name] for name in job} == job
    return {"ListBuckets": sent[0], "DescribeTrainingJob": sent[1]}


def _reader(port: int, key: tuple[str, str]) -> tuple[str, str]:
    """Whose requests are measured: in strict mode a user whose policies have to be asked, not root."""
    if key == OPEN_KEY:
        return key
    iam = _client("iam", port, key)
    if not iam.list_users()["Users"]:
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=POLICY)
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def _train(sagemaker: Any) -> dict[str, Any]:
    """A finished job; returns the request."""
    data = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKETS[0]}/train", "S3DataDistributionType": "FullyReplicated"}
    job = {
        "TrainingJobName": "bench",
        "RoleArn": "arn:aws:iam::000000000000:role/ClaryExecutionRole",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"num_round": "2", "objective": "binary:logistic"},
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": data}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKETS[0]}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    sagemaker.create_training_job(**job)
    while (status := sagemaker.describe_training_job(TrainingJobName="bench")["TrainingJobStatus"]) == "InProgress":
        time.sleep(0.1)
    assert status == "Completed", status
    return {name: job[name] for name in ("TrainingJobName", "RoleArn", "HyperParameters", "ResourceConfig")}


def _client(service: str, port: int, key: tuple[str, str]) -> Any:
    import boto3

    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
    )


def _as_bytes(request: Any) -> bytes:
    """A prepared request of botocore as it goes over the wire."""
    url = urlsplit(request.url)
    body = request.body or b""
    body = body if isinstance(body, bytes) else body.encode()
    headers = {n.lower(): value.decode() if isinstance(value, bytes) else value for n, value in request.headers.items()}
    headers |= {"host": url.netloc, "content-length": str(len(body))}
    target = url.path + (f"?{url.query}" if url.query else "")
    head = f"{request.method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + body


# --- the servers: (port, process id, key)

OPEN_KEY = ("test", "test")


@contextmanager
def _clary(directory: Path) -> Iterator[tuple[int, int, tuple[str, str]]]:
    with clary_server(directory) as (port, pid):
        yield port, pid, OPEN_KEY


@contextmanager
def _strict(directory: Path) -> Iterator[tuple[int, int, tuple[str, str]]]:
    (directory / "data").mkdir()
    (directory / "data" / "clary.toml").write_text('auth = "strict"\n')
    with clary_server(directory) as (port, pid):
        found = dict(re.findall(r"^(AWS_\w+)=(.+)$", (directory / "log").read_text(), re.MULTILINE))
        yield port, pid, (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"])


@contextmanager
def _moto(directory: Path) -> Iterator[tuple[int, int, tuple[str, str]]]:
    with moto_server(directory) as (port, pid):
        yield port, pid, OPEN_KEY


SERVERS = {"clary": _clary, "strict": _strict, "moto": _moto}


if __name__ == "__main__":
    main()
