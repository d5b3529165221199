"""`clary backup` and `clary bucket mount`."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest


def s3(data):
    port = json.loads((data / "server.json").read_text())["port"]
    session = boto3.Session("test", "test", region_name="us-east-1")
    return session.client("s3", endpoint_url=f"http://127.0.0.1:{port}")


def test_a_backup_taken_under_load_starts_and_has_every_object(clary, data, up, tmp_path):
    up()
    client = s3(data)
    client.create_bucket(Bucket="busy")
    client.put_object(Bucket="busy", Key="kept", Body=b"kept")

    def overwrite(number):
        client.put_object(Bucket="busy", Key=f"key-{number % 5}", Body=str(number).encode() * 1000)

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(overwrite, number) for number in range(200)]
        copied = clary("backup", tmp_path / "copy", "--data", data)
        for task in work:
            task.result()
    assert copied.returncode == 0, copied.stderr

    assert clary("up", "-d", "--data", tmp_path / "copy", "--port", "0").returncode == 0
    copy = s3(tmp_path / "copy")
    assert copy.get_object(Bucket="busy", Key="kept")["Body"].read() == b"kept"
    for item in copy.list_objects_v2(Bucket="busy")["Contents"]:
        assert len(copy.get_object(Bucket="busy", Key=item["Key"])["Body"].read()) == item["Size"]


def test_a_stopped_server_can_be_backed_up(clary, data, up, tmp_path):
    up()
    s3(data).create_bucket(Bucket="resting")
    clary("down", "--data", data)
    assert clary("backup", tmp_path / "copy", "--data", data).returncode == 0
    clary("up", "-d", "--data", tmp_path / "copy", "--port", "0")
    assert [bucket["Name"] for bucket in s3(tmp_path / "copy").list_buckets()["Buckets"]] == ["resting"]


@pytest.mark.parametrize("running", [True, False])
def test_a_backup_overwrites_nothing(clary, data, up, tmp_path, running):
    up()
    if not running:
        clary("down", "--data", data)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    for target, reason in ((tmp_path / "mine", "not empty"), (data / "inside", "inside the data directory")):
        refused = clary("backup", target, "--data", data)
        assert refused.returncode == 2
        assert reason in refused.stderr


def test_a_directory_that_is_none_of_ours_is_not_backed_up(clary, tmp_path):
    refused = clary("backup", tmp_path / "copy", "--data", tmp_path / "nothing")
    assert refused.returncode == 2
    assert "not a data directory" in refused.stderr


def test_a_mounted_folder_is_a_public_bucket(clary, data, up, tmp_path):
    up()
    (tmp_path / "samples" / "iris").mkdir(parents=True)
    (tmp_path / "samples" / "iris" / "iris.csv").write_text("5.1,3.5\n")
    mounted = clary("bucket", "mount", "sagemaker-sample-files", tmp_path / "samples", "--data", data)
    assert mounted.returncode == 0, mounted.stderr
    port = json.loads((data / "server.json").read_text())["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sagemaker-sample-files/iris/iris.csv") as answer:
        assert answer.read() == b"5.1,3.5\n"

    refused = clary("bucket", "mount", "other-files", tmp_path / "nowhere", "--data", data)
    assert refused.returncode == 2
    assert "nowhere" in refused.stderr


def test_mounting_needs_the_token_of_the_data_directory(server, tmp_path):
    request = json.dumps({"Bucket": "stolen", "Directory": str(tmp_path)}).encode()
    for headers in ({}, {"x_clary_token": "0" * 32}):
        status, body = server.get("/_clary/mounts", "POST", request, **headers)
        assert status == 400
        assert b"AccessDenied" in body
