"""Bodies and requests that no client sends: refused with a code and a message, never a 5xx."""

from __future__ import annotations

import gzip
import http.client
import socket

import pytest
from botocore.exceptions import ClientError
from tests.gateway.auth.raw import send, signed

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b"\xff\xfe", "SerializationException"),
        (b'{"MaxResults": "many"}', "SerializationException"),
        (b'{"MaxResults": 0}', "ValidationException"),
        (b'{"SortBy": "Colour"}', "ValidationException"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "SerializationException"),
    ],
)
def test_malformed_json(server, body, code):
    headers = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    headers = signed(server, "POST", "/", body, service="sagemaker", headers=headers)
    status, found, message = send(server, "POST", "/", headers, body)
    assert (status, found) == (400, code)
    assert message


def test_malformed_xml(server):
    server.client("s3").create_bucket(Bucket="bad-input")
    for body in (b"<Delete>", b"nonsense", b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>'):
        headers = signed(server, "POST", "/bad-input?delete", body)
        assert send(server, "POST", "/bad-input?delete", headers, body)[:2] == (400, "MalformedXML")


def test_malformed_forms(server):
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, code in (
        (b"Action=CreateUser&Version=2010-05-08", "ValidationError"),
        (b"Action=DoNothing&Version=2010-05-08", "InvalidAction"),
        (b"Action=ListUsers&Version=2010-05-08&MaxItems=many", "MalformedInput"),
        (b"%%%", "InvalidAction"),
    ):
        headers = signed(server, "POST", "/", body, service="iam", headers=content)
        assert send(server, "POST", "/", headers, body)[:2] == (400, code), body


def test_bodies_beyond_the_limit_are_refused_announced_or_not(server):
    headers = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    headers = signed(server, "POST", "/", b"{}", service="sagemaker", headers=headers)
    assert send(server, "POST", "/", headers | {"Content-Length": str(17 * MIB)}, b"")[:2] == (413, "RequestEntityTooLarge")
    pieces = (b" " * MIB for _ in range(17))
    chunked = headers | {"Transfer-Encoding": "chunked"}
    assert send(server, "POST", "/", chunked, pieces)[:2] == (413, "RequestEntityTooLarge")


def test_an_invocation_beyond_the_limit_is_the_model_s_validation_error(server):
    runtime = server.client("sagemaker-runtime")
    with pytest.raises(ClientError) as error:
        runtime.invoke_endpoint(EndpointName="e", Body=b"x" * 6_291_457)
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert "6291456" in error.value.response["Error"]["Message"]


def test_a_compressed_body_is_unpacked_but_not_without_end(server):
    def put(body):
        headers = {
            "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
            "Content-Type": "application/x-amz-json-1.0",
            "Content-Encoding": "gzip",
        }
        headers = signed(server, "POST", "/", body, service="monitoring", headers=headers)
        return send(server, "POST", "/", headers, body)[:2]

    content = b'{"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1}]}'
    assert put(gzip.compress(content))[0] == 200
    assert put(content) == (400, "SerializationException")
    assert put(gzip.compress(content)[:-12]) == (400, "SerializationException")
    assert put(gzip.compress(b" " * 40 * MIB)) == (413, "RequestEntityTooLarge")


def test_large_metric_posts_of_boto3_are_compressed(server):
    cloudwatch = server.client("cloudwatch", account="777788889999")
    data = [{"MetricName": f"metric-{number:04}", "Value": number} for number in range(900)]
    cloudwatch.put_metric_data(Namespace="compressed", MetricData=data)
    found = cloudwatch.get_paginator("list_metrics").paginate(Namespace="compressed")
    assert sum(len(page["Metrics"]) for page in found) == 900


def test_what_is_not_http_is_refused(server):
    for nonsense in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(nonsense + b"\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_the_body_of_a_refused_upload_is_not_asked_for(server):
    """The client waits for "100 Continue" and gets the refusal instead."""
    head = (
        f"PUT /nowhere/key HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 403")


def test_an_upload_is_told_to_continue(server):
    server.client("s3").create_bucket(Bucket="expecting")
    headers = signed(server, "PUT", "/expecting/key", b"data")
    lines = [f"{name}: {value}" for name, value in headers.items()] + ["Content-Length: 4", "Expect: 100-continue"]
    lines += [] if "Host" in headers else [f"Host: 127.0.0.1:{server.port}"]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall("\r\n".join(["PUT /expecting/key HTTP/1.1", *lines, "", ""]).encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"data")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(server):
    server.client("s3").create_bucket(Bucket="leaving")
    headers = signed(server, "PUT", "/leaving/key", b"x" * 1000)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("PUT", "/leaving/key")
    for name, value in (headers | {"Content-Length": "1000"}).items():
        connection.putheader(name, value)
    connection.endheaders(b"x" * 500)
    connection.close()
    assert "Contents" not in server.client("s3").list_objects_v2(Bucket="leaving")
    assert server.get("/_clary/health")[0] == 200
