"""Responses: what leaves the house, in which form, under which headers."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

import orjson
import pytest
from botocore.parsers import create_parser

from clary.core.errors import NotImplementedByClary, ServiceError
from clary.gateway.wire import Route, WireResponse, load_operation, serialize, serialize_error

MOMENT = datetime(2024, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def answer(service: str, operation: str, protocol: str, result: dict | None) -> WireResponse:
    route = Route(service, operation, protocol)
    return serialize(load_operation(route), route, result, "the-id")


def test_only_members_of_the_shape_leave_the_house():
    stored = {"ModelName": "m", "Secret": "x", "PrimaryContainer": {"Image": "i", "Inner": 1}, "ExecutionRoleArn": None}

    assert orjson.loads(answer("sagemaker", "DescribeModel", "json", stored).body) == {
        "ModelName": "m",
        "PrimaryContainer": {"Image": "i"},
    }


def test_json_has_epoch_times_and_the_models_version():
    response = answer("sagemaker", "DescribeModel", "json", {"CreationTime": MOMENT})

    assert orjson.loads(response.body) == {"CreationTime": MOMENT.timestamp()}
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert response.headers["x-amzn-requestid"] == "the-id"
    assert response.headers["content-length"] == str(len(response.body))
    assert answer("cloudwatch", "ListMetrics", "json", {}).headers["content-type"] == "application/x-amz-json-1.0"


def test_an_operation_without_an_output_answers_nothing():
    assert answer("sagemaker", "DeleteModel", "json", None).body == b""


def test_xml_has_iso_times_and_headers_have_http_dates():
    listing = answer("s3", "ListBuckets", "rest-xml", {"Buckets": [{"Name": "b", "CreationDate": MOMENT}]})
    head = answer("s3", "HeadObject", "rest-xml", {"LastModified": MOMENT.timestamp()})

    assert b"<CreationDate>2024-01-01T12:30:15.250000Z</CreationDate>" in listing.body
    assert listing.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<ListAllMyBucketsResult xmlns=')
    assert head.headers["last-modified"] == "Mon, 01 Jan 2024 12:30:15 GMT"
    assert head.headers["x-amz-request-id"] == "the-id"
    assert head.headers["x-amz-id-2"]


def test_text_that_xml_cannot_carry_does_not_break_the_document():
    key = "a\x00\x1f<&>\"'\r\n\t\ufffe\ud800ä"
    body = answer("s3", "ListObjectsV2", "rest-xml", {"Contents": [{"Key": key}]}).body

    (found,) = ElementTree.fromstring(body).iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")
    assert found.text == "a��<&>\"'\r\n\t��ä"


@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_a_buckets_location_is_the_document_itself(region):
    response = answer("s3", "GetBucketLocation", "rest-xml", {"LocationConstraint": region} if region else {})

    root = ElementTree.fromstring(response.body)
    assert root.tag.endswith("}LocationConstraint")
    assert root.text == region


def test_response_metadata_overrides_status_and_adds_headers():
    metadata = {"HTTPStatusCode": 206, "HTTPHeaders": {"Content-Range": "bytes 0-1/2"}}
    response = answer("s3", "GetObject", "rest-xml", {"Body": b"ab", "ResponseMetadata": metadata})

    assert response.status == 206
    assert response.headers["content-range"] == "bytes 0-1/2"
    assert response.headers["content-length"] == "2"


def test_a_stream_goes_out_as_it_is_with_the_length_the_handler_gave():
    async def chunks():
        yield b"x"

    stream = chunks()
    response = answer("s3", "GetObject", "rest-xml", {"Body": stream, "ContentLength": 1})

    assert response.body is stream
    assert response.headers["content-length"] == "1"


def test_a_header_cannot_be_split():
    with pytest.raises(ServiceError, match="content-type") as error:
        answer("s3", "GetObject", "rest-xml", {"Body": b"", "ContentType": "text/html\r\nSet-Cookie: a=b"})

    assert error.value.status == 400


def test_header_bytes_go_out_as_they_came_in():
    as_received = "ä".encode().decode("latin-1")

    assert answer("s3", "HeadObject", "rest-xml", {"Metadata": {"Name": as_received}}).headers["x-amz-meta-name"] == as_received
    assert (
        answer("s3", "HeadObject", "rest-xml", {"ContentType": "日"}).headers["content-type"].encode("latin-1") == "日".encode()
    )


def test_infinite_numbers_are_spelled():
    points = [{"MetricName": n, "Value": float(n)} for n in ("nan", "inf", "-inf", "0.5")]
    body = orjson.loads(answer("sagemaker", "DescribeTrainingJob", "json", {"FinalMetricDataList": points}).body)

    assert [point["Value"] for point in body["FinalMetricDataList"]] == ["NaN", "Infinity", "-Infinity", 0.5]


def read_error(route: Route, error: BaseException, protocol: str) -> dict:
    response = serialize_error(route, error, "the-id")
    document = {"status_code": response.status, "headers": response.headers, "body": response.body}
    return create_parser(protocol).parse(document, None)


@pytest.mark.parametrize(
    ("service", "protocol"),
    [
        ("sagemaker", "json"),
        ("sagemaker-runtime", "rest-json"),
        ("iam", "query"),
        ("ec2", "ec2"),
        ("s3", "rest-xml"),
        ("cloudwatch", "smithy-rpc-v2-cbor"),
        ("cloudwatch", "json"),
        ("cloudwatch", "query"),
    ],
)
def test_botocore_reads_code_message_and_request_id_of_an_error(service, protocol):
    error = ServiceError("it is <not> there & never was", code="NoSuchThing", status=404)

    read = read_error(Route(service, "Anything", protocol), error, protocol)

    assert read["Error"]["Code"] == "NoSuchThing"
    assert read["Error"]["Message"] == "it is <not> there & never was"
    assert read["ResponseMetadata"]["RequestId"] == "the-id"
    assert read["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_further_members_of_an_error_arrive():
    error = ServiceError("m", code="ModelError", status=424, members={"OriginalStatusCode": 500, "OriginalMessage": "no"})
    response = serialize_error(Route("sagemaker-runtime", "InvokeEndpoint", "rest-json"), error, "the-id")

    assert orjson.loads(response.body) == {
        "Message": "m",
        "message": "m",
        "OriginalStatusCode": 500,
        "OriginalMessage": "no",
    }
    s3 = read_error(
        Route("s3", "GetObject", "rest-xml"), ServiceError("m", code="NoSuchKey", members={"Key": "a<b"}), "rest-xml"
    )
    assert s3["Error"]["Key"] == "a<b"


@pytest.mark.parametrize("raised", ["InvalidParameterValue", "InvalidParameterValueException"])
@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
def test_services_that_spoke_query_name_that_code_too(protocol, raised):
    route, error = Route("cloudwatch", "GetMetricData", protocol), ServiceError("m", code=raised, status=400)

    read = read_error(route, error, protocol)["Error"]

    assert (read["Code"], read["QueryErrorCode"]) == ("InvalidParameterValue", "InvalidParameterValueException")
    assert serialize_error(route, error, "i").headers["x-amzn-query-error"] == "InvalidParameterValue;Sender"


@pytest.mark.parametrize("raised", ["NoSuchEntity", "NoSuchEntityException"])
def test_query_has_its_own_codes(raised):
    error = read_error(Route("iam", "GetRole", "query"), ServiceError("m", code=raised, status=404), "query")

    assert error["Error"]["Code"] == "NoSuchEntity"


def test_a_head_request_gets_no_body():
    response = serialize_error(
        Route("s3", "HeadObject", "rest-xml", "HEAD"), ServiceError("m", code="NoSuchKey", status=404), "i"
    )

    assert (response.status, response.body, response.headers["content-length"]) == (404, b"", "0")


@pytest.mark.parametrize(("protocol", "code"), [("json", "InternalFailure"), ("rest-xml", "InternalError")])
def test_what_went_wrong_inside_stays_inside(protocol, code):
    service = "s3" if protocol == "rest-xml" else "sagemaker"
    response = serialize_error(Route(service, "X", protocol), KeyError("/secret/path"), "the-id")

    assert response.status == 500
    assert code.encode() in response.body
    assert b"secret" not in response.body


def test_an_error_before_any_service_is_known_is_json():
    response = serialize_error(Route("", "", "json"), NotImplementedByClary("X of y"), "the-id")

    assert response.status == 501
    assert orjson.loads(response.body) == {"__type": "NotImplemented", "message": "X of y"}
    assert serialize_error(Route("clary", "health", "json"), NotImplementedByClary("X"), "the-id").status == 501


@pytest.mark.parametrize(
    ("route", "code", "status"),
    [
        (Route("sagemaker", "Nonsense", "json"), "UnknownOperationException", 400),
        (Route("", "Nonsense", "json"), "NotImplemented", 501),
        (Route("iam", "Nonsense", "query"), "InvalidAction", 400),
        (Route("s3", "", "rest-xml", "PATCH"), "MethodNotAllowed", 405),
        (Route("sagemaker-runtime", "", "rest-json"), "UnknownOperationException", 404),
    ],
)
def test_operations_that_no_model_has(route, code, status):
    with pytest.raises(ServiceError) as error:
        load_operation(route)

    assert (error.value.code, error.value.status) == (code, status)
