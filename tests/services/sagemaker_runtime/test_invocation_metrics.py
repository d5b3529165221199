from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from tests.hosting import Customer, rows


def test_calls_are_counted_and_timed_in_cloudwatch(start_server):
    customer = Customer(start_server())
    customer.deploy("counted", InitialInstanceCount=2)
    for _ in range(5):
        customer.predict("counted", rows(1))
    with pytest.raises(ClientError):
        customer.runtime.invoke_endpoint(EndpointName="counted", Body=b"a,b,c,d", ContentType="text/csv")
    customer.server.restart()  # a graceful stop reports what the minute has counted so far
    cloudwatch = customer.client("cloudwatch")

    def statistics(name: str) -> dict:
        dimensions = [{"Name": "EndpointName", "Value": "counted"}, {"Name": "VariantName", "Value": "AllTraffic"}]
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=3600,
            Statistics=["Sum", "Average", "SampleCount", "Maximum"],
        )["Datapoints"]
        return {key: sum(point[key] for point in points) for key in ("Sum", "SampleCount", "Maximum")}

    assert statistics("Invocations") == {"Sum": 6, "SampleCount": 6, "Maximum": 1}
    assert statistics("InvocationsPerInstance")["Sum"] == 3
    assert statistics("Invocation4XXErrors")["Sum"] == 1
    assert statistics("Invocation5XXErrors")["Sum"] == 0
    latency = statistics("ModelLatency")
    assert latency["SampleCount"] == 6
    assert 0 < latency["Maximum"] < 60e6  # microseconds
    assert statistics("OverheadLatency")["SampleCount"] == 6
