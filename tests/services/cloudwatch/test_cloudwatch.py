"""CloudWatch metrics through boto3, in every protocol that clients speak."""

from __future__ import annotations

import statistics
import uuid
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


@pytest.fixture
def cloudwatch(server):
    return server.client("cloudwatch")


@pytest.fixture
def space():
    return f"Test/{uuid.uuid4()}"


def put(cloudwatch, space, metric, *values, **more):
    """One datum per value, a minute apart."""
    data = [{"MetricName": metric, "Value": value, "Timestamp": minutes(n)} | more for n, value in enumerate(values)]
    cloudwatch.put_metric_data(Namespace=space, MetricData=data)


def get(cloudwatch, space, metric, period=60, end=10, **request):
    request = {"Statistics": ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]} | request
    answer = cloudwatch.get_metric_statistics(
        Namespace=space, MetricName=metric, StartTime=START, EndTime=minutes(end), Period=period, **request
    )
    return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])


def code(call, **parameters) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"]


def test_statistics_per_period(cloudwatch, space):
    put(cloudwatch, space, "m", 1, 2, 6, 4, Unit="Count")
    expected = {"SampleCount": 3.0, "Sum": 9.0, "Average": 3.0, "Minimum": 1.0, "Maximum": 6.0, "Unit": "Count"}
    assert get(cloudwatch, space, "m", period=180)[0] == expected | {"Timestamp": START}
    assert [point["Sum"] for point in get(cloudwatch, space, "m")] == [1, 2, 6, 4]
    assert [point["Sum"] for point in get(cloudwatch, space, "m", end=2)] == [1, 2]


def test_values_with_counts_and_statistic_sets(cloudwatch, space):
    data = [
        {"MetricName": "m", "Timestamp": START, "Values": [1, 5], "Counts": [3, 1]},
        {
            "MetricName": "m",
            "Timestamp": START,
            "StatisticValues": {"SampleCount": 2, "Sum": 20, "Minimum": 8, "Maximum": 12},
        },
    ]
    cloudwatch.put_metric_data(Namespace=space, MetricData=data)
    (point,) = get(cloudwatch, space, "m")
    assert (point["SampleCount"], point["Sum"], point["Minimum"], point["Maximum"]) == (6, 28, 1, 12)


def test_percentiles_are_those_of_the_values(cloudwatch, space):
    values = [float(n * n % 101) for n in range(100)]
    data = [{"MetricName": "m", "Timestamp": START, "Values": values}]
    cloudwatch.put_metric_data(Namespace=space, MetricData=data)
    (point,) = get(cloudwatch, space, "m", ExtendedStatistics=["p50", "p99", "p0", "p100"])
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    expected = {"p50": cuts[49], "p99": cuts[98], "p0": min(values), "p100": max(values)}
    assert point["ExtendedStatistics"] == pytest.approx(expected)
    only = cloudwatch.get_metric_statistics(
        Namespace=space, MetricName="m", StartTime=START, EndTime=minutes(1), Period=60, ExtendedStatistics=["p90"]
    )
    assert set(only["Datapoints"][0]) == {"Timestamp", "Unit", "ExtendedStatistics"}


def test_dimensions_and_units_keep_metrics_apart(cloudwatch, space):
    dimensions = [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]
    put(cloudwatch, space, "m", 1, Dimensions=dimensions, Unit="Count")
    put(cloudwatch, space, "m", 2, Dimensions=dimensions[::-1], Unit="Seconds")
    put(cloudwatch, space, "m", 4)
    assert [point["Sum"] for point in get(cloudwatch, space, "m")] == [4]
    assert [point["Sum"] for point in get(cloudwatch, space, "m", Dimensions=dimensions)] == [1, 2]
    assert [point["Sum"] for point in get(cloudwatch, space, "m", Dimensions=dimensions, Unit="Seconds")] == [2]
    assert get(cloudwatch, space, "m", Dimensions=dimensions[:1]) == []


def test_the_longest_names_and_values(cloudwatch, space):
    dimensions = [{"Name": f"{n:02d}" + "é" * 250, "Value": "ü" * 1000} for n in range(30)]
    put(cloudwatch, space + "/" + "x" * 200, "é" * 255, 3.0, Dimensions=dimensions)
    (point,) = get(cloudwatch, space + "/" + "x" * 200, "é" * 255, Dimensions=dimensions)
    assert point["Sum"] == 3.0


def test_metric_data_and_arithmetic(cloudwatch, space):
    put(cloudwatch, space, "errors", 1, 2, 3)
    put(cloudwatch, space, "requests", 10, 0, 30)

    def stat(name):
        return {"Metric": {"Namespace": space, "MetricName": name}, "Period": 60, "Stat": "Sum"}

    queries = [
        {"Id": "rate", "Expression": "100 * e / r", "Label": "error rate"},
        {"Id": "e", "MetricStat": stat("errors")},
        {"Id": "r", "MetricStat": stat("requests"), "ReturnData": False},
    ]
    request = {"MetricDataQueries": queries, "StartTime": START, "EndTime": minutes(10)}
    rate, errors = cloudwatch.get_metric_data(**request, ScanBy="TimestampAscending")["MetricDataResults"]
    assert (rate["Label"], rate["Values"], rate["Timestamps"]) == ("error rate", [10.0, 10.0], [minutes(0), minutes(2)])
    assert (errors["Label"], errors["Values"], errors["StatusCode"]) == ("errors", [1.0, 2.0, 3.0], "Complete")
    assert cloudwatch.get_metric_data(**request)["MetricDataResults"][1]["Values"] == [3.0, 2.0, 1.0]
    values: dict[str, list[float]] = {"rate": [], "e": []}
    for page in cloudwatch.get_paginator("get_metric_data").paginate(**request, PaginationConfig={"PageSize": 2}):
        for result in page["MetricDataResults"]:
            values[result["Id"]] += result["Values"]
    assert values == {"rate": [10.0, 10.0], "e": [3.0, 2.0, 1.0]}


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([{"Id": "a", "Expression": "SUM(METRICS())"}], "METRICS|SUM"),
        ([{"Id": "a", "Expression": "b"}, {"Id": "b", "Expression": "a"}], "circle"),
        ([{"Id": "a", "Expression": "nothere"}], "nothere"),
        ([{"Id": "a", "Expression": "1"}], "time series"),
        ([{"Id": "A", "Expression": "1"}], "lower-case"),
        ([{"Id": "a", "Expression": "1"}, {"Id": "a", "Expression": "1"}], "unique"),
        ([{"Id": "a"}], "exactly one"),
    ],
)
def test_queries_that_are_refused(cloudwatch, queries, message):
    with pytest.raises(ClientError, match=message) as error:
        cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=START, EndTime=minutes(1))
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_metrics_are_listed_by_what_they_are(cloudwatch, space):
    put(cloudwatch, space, "a", 1, Dimensions=[{"Name": "Job", "Value": "1"}])
    put(cloudwatch, space, "a", 1, Dimensions=[{"Name": "Job", "Value": "2"}])
    put(cloudwatch, space, "b", 1)

    def listed(**request):
        metrics = cloudwatch.list_metrics(Namespace=space, **request)["Metrics"]
        return sorted((metric["MetricName"], *(d["Value"] for d in metric["Dimensions"])) for metric in metrics)

    assert listed() == [("a", "1"), ("a", "2"), ("b",)]
    assert listed(MetricName="a", Dimensions=[{"Name": "Job", "Value": "2"}]) == [("a", "2")]
    assert listed(Dimensions=[{"Name": "Job"}], RecentlyActive="PT3H") == [("a", "1"), ("a", "2")]
    assert listed(MetricName="c") == []


def test_more_metrics_than_a_page_holds(cloudwatch, space):
    data = [{"MetricName": f"m{n:04d}", "Value": n} for n in range(700)]
    cloudwatch.put_metric_data(Namespace=space, MetricData=data)
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace=space))
    assert [len(page["Metrics"]) for page in pages] == [500, 200]
    assert code(cloudwatch.list_metrics, NextToken="x") == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("datum", "expected"),
    [
        ({}, "MissingParameter"),
        ({"Value": 1, "Values": [1]}, "InvalidParameterCombination"),
        ({"Values": [1, 2], "Counts": [1]}, "InvalidParameterValue"),
        ({"Values": [1.0] * 151}, "InvalidParameterValue"),
        ({"Value": 1e300}, "InvalidParameterValue"),
        ({"Value": 1, "Timestamp": START - timedelta(days=20)}, "InvalidParameterValue"),
        ({"Value": 1, "Timestamp": START + timedelta(hours=5)}, "InvalidParameterValue"),
        ({"Value": 1, "Dimensions": [{"Name": "a", "Value": "1"}] * 2}, "InvalidParameterValue"),
        ({"StatisticValues": {"SampleCount": 0, "Sum": 1, "Minimum": 1, "Maximum": 1}}, "InvalidParameterValue"),
        ({"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1}}, "InvalidParameterCombination"),
    ],
)
def test_data_that_are_refused(cloudwatch, space, datum, expected):
    assert code(cloudwatch.put_metric_data, Namespace=space, MetricData=[{"MetricName": "m"} | datum]) == expected
    assert cloudwatch.list_metrics(Namespace=space)["Metrics"] == []


def test_other_refusals(cloudwatch, space):
    datum = {"MetricName": "m", "Value": 1}
    assert code(cloudwatch.put_metric_data, Namespace="AWS/SageMaker", MetricData=[datum]) == "InvalidParameterValue"
    window = {"Namespace": space, "MetricName": "m", "StartTime": START, "EndTime": minutes(60)}
    assert code(cloudwatch.get_metric_statistics, **window, Period=60) == "MissingParameter"
    asked = window | {"Statistics": ["Sum"]}
    assert code(cloudwatch.get_metric_statistics, **asked, Period=90) == "InvalidParameterValue"
    assert code(cloudwatch.get_metric_statistics, **asked, Period=1) == "InvalidParameterCombination"
    assert code(cloudwatch.get_metric_statistics, **asked | {"EndTime": START}, Period=60) == "InvalidParameterValue"
    extended = window | {"ExtendedStatistics": ["tm99"]}
    assert code(cloudwatch.get_metric_statistics, **extended, Period=60) == "InvalidParameterValue"
    assert code(cloudwatch.describe_alarms) == "NotImplemented"


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_every_protocol_reaches_the_same_metrics(server, space, protocol):
    session = boto3.Session()
    model = session._loader.load_service_model("cloudwatch", "service-2")
    if protocol not in model["metadata"]["protocols"]:
        pytest.skip(f"this botocore does not speak {protocol} with CloudWatch")
    model["metadata"] |= {"protocols": [protocol], "protocol": protocol}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    config = Config(retries={"total_max_attempts": 1})
    cloudwatch = session.client("cloudwatch", endpoint_url=server.endpoint, config=config, **keys)
    put(cloudwatch, space, "m", 1, 2.5, Dimensions=[{"Name": "p", "Value": protocol}])
    points = get(cloudwatch, space, "m", Dimensions=[{"Name": "p", "Value": protocol}])
    assert [(point["Timestamp"], point["Sum"]) for point in points] == [(START, 1.0), (minutes(1), 2.5)]
    assert [metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace=space)["Metrics"]] == ["m"]
    refused = [{"MetricName": "m"}]
    assert code(cloudwatch.put_metric_data, Namespace=space, MetricData=refused) == "MissingParameter"
