"""Malformed requests: the error that each protocol has for them, naming the place; and the oddities that are well-formed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.core.errors import ServiceError
from clary.gateway.wire import RequestParts, Route, load_operation, parse, parse_query

JSON_TYPE = {"content-type": "application/x-amz-json-1.1"}


def read(service: str, operation: str, protocol: str, body: bytes = b"", **request: Any) -> dict[str, Any]:
    route = Route(service, operation, protocol, path=request.get("path", "/"))
    return parse(load_operation(route), route, RequestParts("POST", body=body, **{"path": "/"} | request))


def training_job(body: bytes) -> dict[str, Any]:
    return read("sagemaker", "CreateTrainingJob", "json", body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "unexpected end"),
        (b"[]", "Start of list found where not expected"),
        (b'"text"', "Expected structure or map"),
        (b'{"TrainingJobName": 1}', "NUMBER_VALUE can not be converted to a String at TrainingJobName"),
        (b'{"TrainingJobName": ["a"]}', "Start of list found where not expected at TrainingJobName"),
        (b'{"Tags": {}}', "Start of structure or map found where not expected at Tags"),
        (b'{"Tags": "a"}', "Expected list or null at Tags"),
        (b'{"Tags": [null]}', "NULL_VALUE|Expected structure"),
        (
            b'{"ResourceConfig": {"InstanceCount": "two"}}',
            "STRING_VALUE can not be converted to an Integer at ResourceConfig.InstanceCount",
        ),
        (b'{"ResourceConfig": {"InstanceCount": 1.5}}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"ResourceConfig": {"InstanceCount": true}}', "BOOLEAN_VALUE can not be converted to an Integer"),
        (b'{"ResourceConfig": {"InstanceCount": 3000000000}}', "out of range for a Integer|out of range for an Integer"),
        (b'{"EnableNetworkIsolation": "true"}', "STRING_VALUE can not be converted to a Boolean"),
        (b'{"HyperParameters": {"a": 1}}', "NUMBER_VALUE can not be converted to a String at HyperParameters"),
        (b'{"TrainingJobName": "\xff"}', "UTF-8|utf-8|surrogate"),
    ],
)
def test_json_of_the_wrong_type_is_a_serialization_error_that_names_the_place(body, message):
    with pytest.raises(ServiceError, match=message) as error:
        training_job(body)

    assert (error.value.code, error.value.status) == ("SerializationException", 400)


def test_json_nested_without_end_is_a_serialization_error():
    with pytest.raises(ServiceError) as error:
        read("sagemaker", "Search", "json", b'{"SearchExpression":{"SubExpressions":[' * 400)

    assert error.value.code == "SerializationException"


def test_unknown_and_null_members_are_dropped():
    assert training_job(b'{"TrainingJobName": "a", "Nonsense": 1, "RoleArn": null}') == {"TrainingJobName": "a"}


def test_an_empty_body_is_an_empty_request():
    assert read("sagemaker", "ListModels", "json", b"") == {}


@pytest.mark.parametrize("value", [b"1704067200", b"1704067200.0", b'"2024-01-01T00:00:00Z"', b'"2024-01-01T01:00:00+01:00"'])
def test_json_timestamps_in_every_spelling(value):
    read_back = read("sagemaker", "ListModels", "json", b'{"CreationTimeAfter": ' + value + b"}")

    assert read_back == {"CreationTimeAfter": datetime(2024, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize("value", [b"1e400", b"1e18", b'"yesterday"', b"true", b'"2024-13-01"', b'""'])
def test_json_timestamps_that_are_none(value):
    with pytest.raises(ServiceError) as error:
        read("sagemaker", "ListModels", "json", b'{"CreationTimeAfter": ' + value + b"}")

    assert error.value.code == "SerializationException"


@given(st.binary(max_size=200))
def test_random_bytes_never_break_a_reader(body):
    for service, operation, protocol in [
        ("sagemaker", "CreateTrainingJob", "json"),
        ("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor"),
        ("iam", "CreateRole", "query"),
        ("s3", "DeleteObjects", "rest-xml"),
        ("sagemaker-runtime", "InvokeEndpointAsync", "rest-json"),
    ]:
        try:
            assert isinstance(read(service, operation, protocol, body), dict)
        except ServiceError as error:
            assert error.status == 400  # noqa: PT017


def test_cbor_carries_bytes_times_and_numbers():
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    document = {"Namespace": "n", "MetricData": [{"MetricName": "m", "Timestamp": moment, "Value": 1.5, "Values": [1, 2.5]}]}

    assert read("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor", cbor2.dumps(document)) == document


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x9f" * 5000, cbor2.dumps([1]), cbor2.dumps({1: 2})[:-1], cbor2.dumps({"Namespace": 1})]
)
def test_malformed_cbor(body):
    with pytest.raises(ServiceError) as error:
        read("cloudwatch", "PutMetricData", "smithy-rpc-v2-cbor", body)

    assert error.value.code == "SerializationException"


def test_query_lists_keep_the_order_of_their_numbers():
    body = b"Action=TagRole&Version=2010-05-08&RoleName=r" + b"".join(
        f"&Tags.member.{n}.Key=k{n}&Tags.member.{n}.Value=v".encode() for n in (10, 2, 1)
    )

    keys = [tag["Key"] for tag in read("iam", "TagRole", "query", body)["Tags"]]

    assert keys == ["k1", "k2", "k10"]


def test_query_values_are_form_decoded():
    assert read("iam", "GetRole", "query", b"RoleName=a+b%2Bc%20%C3%A4")["RoleName"] == "a b+c ä"


@pytest.mark.parametrize(
    "body",
    [b"MaxItems=many", b"MaxItems=99999999999", b"MaxItems.x=1", b"MaxItems=%31_0"],
)
def test_malformed_query_values_name_the_parameter(body):
    with pytest.raises(ServiceError, match="MaxItems") as error:
        read("iam", "ListRoles", "query", body)

    assert (error.value.code, error.value.status) == ("MalformedInput", 400)


@pytest.mark.parametrize("body", [b"a." * 1_000_000, b"a&" * 200_000], ids=["deep", "wide"])
def test_forms_without_end_are_refused(body):
    with pytest.raises(ServiceError) as error:
        read("iam", "ListRoles", "query", body)

    assert error.value.code == "MalformedInput"


@pytest.mark.parametrize(
    "body",
    [
        b"<Delete>",
        b"not xml",
        b"<Delete></delete>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>',
        b"<Delete><Object><Key>\xff</Key></Object></Delete>",
        b"<Delete>" * 5000,
    ],
)
def test_malformed_xml(body):
    with pytest.raises(ServiceError) as error:
        read("s3", "DeleteObjects", "rest-xml", body, path="/b")

    assert (error.value.code, error.value.status) == ("MalformedXML", 400)


@pytest.mark.parametrize("xmlns", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_xml_is_read_with_and_without_its_namespace(xmlns):
    body = f"<Delete{xmlns}>\n <Object><Key>a &amp; b</Key></Object><Object><Key>c</Key></Object></Delete>".encode()

    assert read("s3", "DeleteObjects", "rest-xml", body, path="/b")["Delete"] == {"Objects": [{"Key": "a & b"}, {"Key": "c"}]}


@pytest.mark.parametrize(
    ("query", "headers", "name"),
    [
        ("max-keys=lots", {}, "MaxKeys"),
        ("max-keys=1_0", {}, "MaxKeys"),
        ("max-keys=٣", {}, "MaxKeys"),
    ],
)
def test_malformed_s3_parameters_name_the_parameter(query, headers, name):
    with pytest.raises(ServiceError, match=name) as error:
        read("s3", "ListObjectsV2", "rest-xml", path="/b", query=parse_query(query), headers=headers)

    assert (error.value.code, error.value.status) == ("InvalidArgument", 400)


def test_a_key_that_is_not_utf8_is_refused():
    with pytest.raises(ServiceError) as error:
        read("s3", "GetObject", "rest-xml", path="/b/%FF")

    assert (error.value.code, error.value.status) == ("InvalidURI", 400)


def test_metadata_headers_become_a_map():
    headers = {"x-amz-meta-a": "1", "x-amz-meta-b-c": "2", "content-type": "text/csv"}
    parameters = read("s3", "PutObject", "rest-xml", b"x", path="/b/k", headers=headers)

    assert parameters == {
        "Bucket": "b",
        "Key": "k",
        "ContentType": "text/csv",
        "Metadata": {"a": "1", "b-c": "2"},
        "Body": b"x",
    }


def test_a_streamed_body_stays_the_stream_it_was():
    async def chunks():
        yield b"x"

    stream = chunks()
    route = Route("s3", "PutObject", "rest-xml", "PUT", "/b/k")
    parameters = parse(load_operation(route), route, RequestParts("PUT", "/b/k", body=stream))

    assert parameters["Body"] is stream
