"""Where requests go: the marks of each protocol, hosts, and S3's hundred operations on three templates."""

from __future__ import annotations

import pytest

from clary.core.errors import NotImplementedByClary
from clary.gateway.wire import RequestParts, Route, detect, load_operation, load_service, parse, parse_query
from clary.gateway.wire.directory import ENTRIES
from clary.services import MOUNTED


def signed(service: str) -> dict[str, str]:
    credential = f"AKIA/20240101/us-east-1/{service}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00"}


def s3(method: str, target: str, headers: dict[str, str] | None = None) -> RequestParts:
    path, _, query = target.partition("?")
    return RequestParts(method, path, parse_query(query), signed("s3") | (headers or {}))


@pytest.mark.parametrize("service", ENTRIES)
def test_the_directory_agrees_with_botocores_models(service):
    entry, metadata = ENTRIES[service], load_service(service).metadata

    assert entry.version == metadata["apiVersion"]
    assert entry.host == metadata["endpointPrefix"]
    assert entry.signing == metadata.get("signingName", metadata["endpointPrefix"])
    assert entry.target == metadata.get("targetPrefix", "").rpartition(".")[2]
    assert entry.protocol in metadata.get("protocols", [metadata["protocol"]])


def test_every_mounted_service_is_in_the_directory():
    assert set(MOUNTED) <= set(ENTRIES)


@pytest.mark.parametrize(
    ("target", "service", "operation"),
    [
        ("SageMaker.ListModels", "sagemaker", "ListModels"),
        ("Logs_20140328.PutLogEvents", "logs", "PutLogEvents"),
        ("GraniteServiceVersion20100801.PutMetricData", "cloudwatch", "PutMetricData"),
        ("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents", "cloudtrail", "LookupEvents"),
        ("Nobody.Something", "", "Something"),
        ("nonsense", "", "nonsense"),
    ],
)
def test_a_target_header_names_service_and_operation(target, service, operation):
    route = detect(RequestParts("POST", "/", headers={"x-amz-target": target}))

    assert (route.service, route.operation, route.protocol) == (service, operation, "json")


def test_an_rpc_v2_cbor_path_names_service_and_operation():
    request = RequestParts("POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", headers=signed("monitoring"))

    assert detect(request) == Route("cloudwatch", "ListMetrics", "smithy-rpc-v2-cbor", "POST", request.path)


@pytest.mark.parametrize(
    ("version", "service"),
    [("2011-06-15", "sts"), ("2010-05-08", "iam"), ("2010-08-01", "cloudwatch"), ("2010-03-31", "sns")],
)
def test_a_form_is_told_by_its_version(version, service):
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = RequestParts("POST", "/", headers=headers, body=f"Action=DoIt&Version={version}".encode())

    assert detect(request) == Route(service, "DoIt", "query", "POST", "/")


def test_a_presigned_get_caller_identity_is_a_query_request():
    query = parse_query(
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AK%2F20240101%2Fus-east-1%2Fsts%2Faws4_request"
    )

    assert detect(RequestParts("GET", "/", query)).service == "sts"


def test_an_object_request_with_an_action_parameter_stays_with_s3():
    assert detect(s3("GET", "/bucket/key?Action=GetUser")).operation == "GetObject"


@pytest.mark.parametrize(
    ("method", "path", "service", "operation"),
    [
        ("POST", "/endpoints/e/invocations", "sagemaker-runtime", "InvokeEndpoint"),
        ("POST", "/endpoints/e/async-invocations", "sagemaker-runtime", "InvokeEndpointAsync"),
        (
            "POST",
            "/endpoints/e/invocations-response-stream",
            "sagemaker-runtime",
            "InvokeEndpointWithResponseStream",
        ),
        ("PUT", "/FeatureGroup/arn%3Aaws%3A0%3Afeature-group%2Ff", "sagemaker-featurestore-runtime", "PutRecord"),
        ("POST", "/BatchGetRecord", "sagemaker-featurestore-runtime", "BatchGetRecord"),
        ("PUT", "/BatchPutMetrics", "sagemaker-metrics", "BatchPutMetrics"),
        ("POST", "/human-loops/stop", "sagemaker-a2i-runtime", "StopHumanLoop"),
        ("GET", "/human-loops/one", "sagemaker-a2i-runtime", "DescribeHumanLoop"),
    ],
)  # fmt: skip
def test_the_six_sagemaker_apis_are_told_apart_by_path(method, path, service, operation):
    route = detect(RequestParts(method, path, headers=signed("sagemaker")))

    assert (route.service, route.operation) == (service, operation)


def test_a_bucket_called_endpoints_is_a_bucket():
    assert detect(s3("PUT", "/endpoints/e/invocations")).operation == "PutObject"


def test_a_service_that_is_not_mounted_is_still_named():
    route = detect(RequestParts("GET", "/2015-03-31/functions", headers=signed("lambda")))

    assert (route.service, route.operation) == ("lambda", "ListFunctions")


def test_a_service_that_nothing_is_known_of_is_not_taken_for_a_bucket():
    route = detect(RequestParts("PUT", "/agents", headers=signed("bedrock-agent")))

    assert route.service == ""
    with pytest.raises(NotImplementedByClary, match="PUT /agents"):
        load_operation(route)


def test_express_buckets_are_s3():
    assert detect(RequestParts("GET", "/b/k", headers=signed("s3express"))).operation == "GetObject"


@pytest.mark.parametrize(
    ("host", "path", "service", "effective"),
    [
        ("sts.us-east-1.amazonaws.com", "/", "sts", "/"),
        ("sts.amazonaws.com", "/", "sts", "/"),
        ("api.sagemaker.eu-west-1.amazonaws.com", "/", "sagemaker", "/"),
        ("runtime.sagemaker.eu-west-1.amazonaws.com", "/endpoints/e/invocations", "sagemaker-runtime", None),
        ("s3.us-west-2.amazonaws.com", "/b/k", "s3", "/b/k"),
        ("s3-us-west-2.amazonaws.com", "/b/k", "s3", "/b/k"),
        ("b.s3.amazonaws.com", "/k", "s3", "/b/k"),
        ("b.s3.eu-west-1.amazonaws.com:443", "/k", "s3", "/b/k"),
        ("b.s3.dualstack.eu-west-1.amazonaws.com", "/k", "s3", "/b/k"),
        ("a.dotted.name.s3-eu-west-1.amazonaws.com", "/k", "s3", "/a.dotted.name/k"),
        ("a.s3.b.s3.amazonaws.com", "/k", "s3", "/a.s3.b/k"),
        ("b.s3.localhost:4566", "/k%20%2F", "s3", "/b/k%20%2F"),
        ("b.s3.localhost.localstack.cloud:4566", "/", "s3", "/b/"),
        ("127.0.0.1:4566", "/b/k", "s3", "/b/k"),
        ("[::1]:4566", "/b/k", "s3", "/b/k"),
        ("localhost", "/b/k", "s3", "/b/k"),
    ],
)
def test_hosts_name_services_and_buckets(host, path, service, effective):
    method = "POST" if service == "sagemaker-runtime" else "GET"
    route = detect(RequestParts(method, path, headers={"host": host}))

    assert route.service == service
    assert effective is None or route.path == effective


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("GET", "/", "ListBuckets"),
        ("GET", "/?x-id=ListBuckets", "ListBuckets"),
        ("GET", "/?x-id=ListDirectoryBuckets", "ListDirectoryBuckets"),
        ("GET", "/b", "ListObjects"),
        ("GET", "/b/", "ListObjects"),
        ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2"),
        ("GET", "/b?list-type=1", "ListObjects"),
        ("GET", "/b?versions", "ListObjectVersions"),
        ("GET", "/b?uploads", "ListMultipartUploads"),
        ("GET", "/b?uploads=", "ListMultipartUploads"),
        ("GET", "/b?location", "GetBucketLocation"),
        ("GET", "/b?analytics", "ListBucketAnalyticsConfigurations"),
        ("GET", "/b?analytics&id=1", "GetBucketAnalyticsConfiguration"),
        ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("PUT", "/b", "CreateBucket"),
        ("PUT", "/b?versioning", "PutBucketVersioning"),
        ("HEAD", "/b", "HeadBucket"),
        ("DELETE", "/b", "DeleteBucket"),
        ("POST", "/b?delete", "DeleteObjects"),
        ("GET", "/b/k", "GetObject"),
        ("GET", "/b/k?partNumber=1", "GetObject"),
        ("GET", "/b/k?versionId=null", "GetObject"),
        ("GET", "/b/k?x-id=GetObject", "GetObject"),
        ("GET", "/b/k?response-content-type=a", "GetObject"),
        ("GET", "/b/k?uploadId=1", "ListParts"),
        ("GET", "/b/k?tagging", "GetObjectTagging"),
        ("GET", "/b/k?attributes", "GetObjectAttributes"),
        ("HEAD", "/b/k", "HeadObject"),
        ("PUT", "/b/k", "PutObject"),
        ("PUT", "/b/k?x-id=PutObject", "PutObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("PUT", "/b/k?tagging", "PutObjectTagging"),
        ("PUT", "/b/k?renameObject", "RenameObject"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
        ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ("DELETE", "/b/k", "DeleteObject"),
        ("POST", "/b/k?select&select-type=2", "SelectObjectContent"),
        ("PATCH", "/b/k", ""),
        ("POST", "/b/k?tagging", "CompleteMultipartUpload"),
        ("POST", "/b", ""),
    ],
)
def test_s3_operations(method, target, operation):
    assert detect(s3(method, target)).operation == operation


def test_copies_are_told_by_their_source_header():
    source = {"x-amz-copy-source": "b/k"}

    assert detect(s3("PUT", "/b/k", source)).operation == "CopyObject"
    assert detect(s3("PUT", "/b/k?partNumber=1&uploadId=u", source)).operation == "UploadPartCopy"


def test_a_browsers_form_upload_is_post_object():
    assert detect(s3("POST", "/b", {"content-type": "multipart/form-data; boundary=x"})).operation == "PostObject"


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a//b", "a//b"),
        ("/a", "/a"),
        ("a/", "a/"),
        ("a/../b", "a/../b"),
        ("%C3%A4/%E6%97%A5", "ä/日"),
        ("a%0Ab", "a\nb"),
        ("a%b", "a%b"),
        ("a%3Fb%23", "a?b#"),
    ],
)
def test_keys_are_decoded_exactly_once(encoded, key):
    request = s3("GET", f"/b/{encoded}")
    route = detect(request)

    assert parse(load_operation(route), route, request) == {"Bucket": "b", "Key": key}
