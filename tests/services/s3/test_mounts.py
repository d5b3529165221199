"""Folders mounted as buckets: anybody reads, nobody writes, nothing outside the folder is reached."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.services.s3.mounts import Folders


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("mounted")
    (root / "secret.txt").write_text("secret")
    inside = root / "inside"
    for name, content in (("top.csv", "1,2\n"), ("dir/a.json", "{}"), ("dir/sub/deep.bin", "x" * 300_000), ("ä ö/ü.txt", "u")):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_text(content)
    (inside / "link-out").symlink_to(root / "secret.txt")
    (inside / "dir-out").symlink_to(root)
    (inside / "link-in").symlink_to(inside / "top.csv")
    (inside / "loop").symlink_to(inside / "dir")
    (inside / "dir" / "circle").symlink_to(inside)
    return inside


def mount(server, name: str, folder) -> tuple[int, dict]:
    token = json.loads((server.data / "server.json").read_text())["token"]
    body = json.dumps({"Bucket": name, "Directory": str(folder)}).encode()
    status, answer = server.get("/_clary/mounts", method="POST", body=body, x_clary_token=token)
    return status, json.loads(answer)


@pytest.fixture(scope="module")
def mounted(server, folder) -> str:
    name = f"mount-{uuid.uuid4().hex}"
    assert mount(server, name, folder) == (200, {"Bucket": name, "Directory": str(folder.resolve())})
    return name


@pytest.fixture(scope="module")
def anybody(server):
    import boto3

    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED))


def test_anybody_reads(anybody, mounted, folder):
    got = anybody.get_object(Bucket=mounted, Key="top.csv")
    assert (got["Body"].read(), got["ContentType"], got["ContentLength"]) == (b"1,2\n", "text/csv", 4)
    head = anybody.head_object(Bucket=mounted, Key="dir/a.json")
    assert (head["ContentType"], "ServerSideEncryption" in head) == ("application/json", False)
    part = anybody.get_object(Bucket=mounted, Key="dir/sub/deep.bin", Range="bytes=299990-")
    assert (part["Body"].read(), part["ContentRange"]) == (b"x" * 10, "bytes 299990-299999/300000")
    anybody.head_bucket(Bucket=mounted)


def test_anybody_lists(anybody, mounted):
    keys = [entry["Key"] for entry in anybody.list_objects_v2(Bucket=mounted)["Contents"]]
    assert keys == ["dir/a.json", "dir/sub/deep.bin", "link-in", "top.csv", "ä ö/ü.txt"]
    top = anybody.list_objects_v2(Bucket=mounted, Delimiter="/")
    assert [entry["Prefix"] for entry in top["CommonPrefixes"]] == ["dir/", "ä ö/"]
    assert [entry["Key"] for entry in anybody.list_objects(Bucket=mounted, Prefix="dir/s")["Contents"]] == ["dir/sub/deep.bin"]
    pages = anybody.get_paginator("list_objects_v2").paginate(Bucket=mounted, PaginationConfig={"PageSize": 2})
    assert [len(page["Contents"]) for page in pages] == [2, 2, 1]
    assert "Contents" not in anybody.list_objects_v2(Bucket=mounted, Prefix="../")


def test_nothing_else_is_open_to_anybody(anybody, bucket, refused, s3):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refused(anybody.get_object, Bucket=bucket, Key="k")["Code"] == "AccessDenied"
    assert refused(anybody.list_objects_v2, Bucket=bucket)["Code"] == "AccessDenied"
    assert refused(anybody.head_bucket, Bucket=bucket)["status"] == 403
    assert refused(anybody.list_buckets)["status"] == 403


OUTSIDE = [
    "../secret.txt",
    "dir/../../secret.txt",
    "link-out",
    "dir-out/secret.txt",
    "loop/../../secret.txt",
    "/etc/passwd",
    "dir/",
    "dir",
    "dir//a.json",
    "./top.csv",
    "dir/./a.json",
    "dir/a.json/",
    "x" * 300,
    "nul\0byte",
]


@pytest.mark.parametrize("key", OUTSIDE)
def test_nothing_outside_is_reached(folder, key):
    assert Folders.find(str(folder.resolve()), key) is None


@pytest.mark.parametrize("key", ["../secret.txt", "link-out", "dir-out/secret.txt", "%2e%2e/secret.txt"])
def test_nothing_outside_is_reached_over_http(server, mounted, key):
    assert server.get(f"/{mounted}/{key}")[0] in (403, 404)


@given(st.lists(st.sampled_from(["..", ".", "", "dir", "sub", "dir-out", "link-out", "secret.txt", "top.csv"]), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_leads_to_the_secret(folder, parts):
    path = Folders.path(str(folder.resolve()), "/".join(parts))
    assert path is None or path.is_relative_to(folder.resolve())


def test_nobody_writes(s3, mounted, refused, folder):
    for call, arguments in (
        (s3.put_object, {"Key": "new", "Body": b""}),
        (s3.delete_object, {"Key": "top.csv"}),
        (s3.create_multipart_upload, {"Key": "new"}),
        (s3.put_object_tagging, {"Key": "top.csv", "Tagging": {"TagSet": []}}),
        (s3.copy_object, {"Key": "new", "CopySource": {"Bucket": mounted, "Key": "top.csv"}}),
        (s3.delete_objects, {"Delete": {"Objects": [{"Key": "top.csv"}]}}),
    ):
        error = refused(call, Bucket=mounted, **arguments)
        assert (error["Code"], error["status"]) == ("MethodNotAllowed", 405)
    assert (folder / "top.csv").exists()


def test_its_objects_can_be_copied_into_a_bucket(s3, mounted, bucket):
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": mounted, "Key": "dir/sub/deep.bin"})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"x" * 300_000


def test_the_entity_tag_changes_with_the_file(anybody, server, tmp_path):
    name = f"mount-{uuid.uuid4().hex}"
    (tmp_path / "f").write_text("one")
    mount(server, name, tmp_path)
    before = anybody.head_object(Bucket=name, Key="f")["ETag"]
    assert anybody.head_object(Bucket=name, Key="f")["ETag"] == before
    (tmp_path / "f").write_text("two, longer")
    assert anybody.head_object(Bucket=name, Key="f")["ETag"] != before


def test_mounting(server, s3, bucket, folder, tmp_path):
    name = f"mount-{uuid.uuid4().hex}"
    assert mount(server, name, folder)[0] == mount(server, name, folder)[0] == 200
    assert mount(server, name, tmp_path)[0] == 409
    assert mount(server, bucket, folder)[0] == 409
    assert mount(server, "No_Bucket", folder)[0] == 400
    assert mount(server, f"{name}-2", folder / "missing")[0] == 400
    s3.delete_bucket(Bucket=name)
    assert (folder / "top.csv").exists()
