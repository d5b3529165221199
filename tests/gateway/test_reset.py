"""The wipe: off by default; when it is on, nothing that a client made is left, and the server goes on."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from tests.gateway.auth.raw import send, signed
from tests.gateway.auth.test_strict import root_key


def test_there_is_no_reset_by_default(server):
    assert server.get("/_clary/reset", "POST")[0] == 404


def test_everything_is_gone_and_the_server_goes_on(start_server):
    server = start_server(allow_reset=True)
    s3, iam, logs = server.client("s3"), server.client("iam"), server.client("logs")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 100_000)
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    logs.create_log_group(logGroupName="group")
    logs.create_log_stream(logGroupName="group", logStreamName="stream")
    events = [{"timestamp": 1767225600000, "message": "m"}]
    logs.put_log_events(logGroupName="group", logStreamName="stream", logEvents=events)

    assert server.get("/_clary/reset", "GET")[0] == 404
    assert server.get("/_clary/reset", "POST", origin="https://evil.example")[0] == 403
    assert server.get("/_clary/reset", "POST")[0] == 400
    assert server.get("/_clary/reset", "POST", authorization="Basic eDp5")[0] == 400
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["bucket"]
    headers = signed(server, "POST", "/_clary/reset", service="clary")
    assert send(server, "POST", "/_clary/reset", headers)[0] == 200

    assert s3.list_buckets()["Buckets"] == []
    assert iam.list_users()["Users"] == []
    assert logs.describe_log_groups()["logGroups"] == []
    signer = server.client("sts", access_key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert "ClaryExecutionRole" in signer.get_caller_identity()["Arn"]
    s3.create_bucket(Bucket="bucket")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="bucket", Key="k")
    s3.put_object(Bucket="bucket", Key="k", Body=b"again")
    server.restart()
    assert server.client("s3").get_object(Bucket="bucket", Key="k")["Body"].read() == b"again"
    assert sum(file.stat().st_size for file in (server.data / "blobs").rglob("*") if file.is_file()) < 1000


def test_the_owner_of_the_data_directory_may_reset_with_its_token(start_server):
    server = start_server(allow_reset=True)
    token = json.loads((server.data / "server.json").read_text())["token"]
    assert server.get("/_clary/reset", "POST", x_clary_token=token)[0] == 200
    assert server.get("/_clary/reset", "POST", x_clary_token=token[:-1])[0] == 400


def test_in_strict_mode_it_asks_for_the_token_and_keeps_the_root_key(start_server):
    server = start_server(allow_reset=True, auth="strict")
    access_key, secret = root_key(server)
    iam = server.client("iam", access_key=access_key, secret=secret)
    iam.create_user(UserName="u")
    assert server.get("/_clary/reset", "POST")[0] == 400
    token = json.loads((server.data / "server.json").read_text())["token"]
    assert server.get("/_clary/reset", "POST", x_clary_token=token)[0] == 200
    assert iam.list_users()["Users"] == []
    server.restart()
    assert iam.list_users()["Users"] == []
