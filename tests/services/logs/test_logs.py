"""CloudWatch Logs through boto3: groups, streams, events, paging, retention, tags."""

from __future__ import annotations

import time
import uuid

import pytest
from botocore.exceptions import ClientError

HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.fixture
def logs(server):
    return server.client("logs")


@pytest.fixture
def group(logs):
    name = f"/test/{uuid.uuid4()}"
    logs.create_log_group(logGroupName=name)
    return name


def now_ms() -> int:
    return int(time.time() * 1000)


def put(logs, group, stream, *events, create=True):
    """Put `(timestamp, message)` events into a stream."""
    if create:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": timestamp, "message": message} for timestamp, message in events]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def code(call, **parameters) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"]


def messages(answer) -> list[str]:
    return [event["message"] for event in answer["events"]]


def stream_names(answer) -> list[str]:
    return [stream["logStreamName"] for stream in answer["logStreams"]]


def test_groups_are_described_by_prefix_pattern_and_page(logs, group):
    for suffix in ("/b", "/a", "/C"):
        logs.create_log_group(logGroupName=group + suffix)

    def names(**request):
        return [found["logGroupName"].removeprefix(group) for found in logs.describe_log_groups(**request)["logGroups"]]

    assert names(logGroupNamePrefix=group) == ["", "/C", "/a", "/b"]
    assert names(logGroupNamePattern=group[7:] + "/") == ["/C", "/a", "/b"]
    assert names(logGroupIdentifiers=[group + "/a"]) == ["/a"]
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=group, PaginationConfig={"PageSize": 2})
    sizes = [len(page["logGroups"]) for page in pages]
    assert sizes == [2, 2]
    described = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]
    assert described["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"
    assert abs(described["creationTime"] - now_ms()) < HOUR


def test_groups_and_streams_that_are_there_or_missing(logs, group):
    put(logs, group, "s", (now_ms(), "x"))
    missing, stream = {"logGroupName": "/no/such"}, {"logGroupName": group, "logStreamName": "no"}
    assert code(logs.create_log_group, logGroupName=group) == "ResourceAlreadyExistsException"
    assert code(logs.create_log_stream, logGroupName=group, logStreamName="s") == "ResourceAlreadyExistsException"
    assert code(logs.create_log_stream, **missing, logStreamName="s") == "ResourceNotFoundException"
    assert code(logs.describe_log_streams, **missing) == "ResourceNotFoundException"
    assert code(logs.filter_log_events, **missing) == "ResourceNotFoundException"
    assert code(logs.delete_log_group, **missing) == "ResourceNotFoundException"
    assert code(logs.get_log_events, **stream) == "ResourceNotFoundException"
    assert code(logs.delete_log_stream, **stream) == "ResourceNotFoundException"
    assert code(logs.put_log_events, **stream, logEvents=[{"timestamp": 1, "message": "x"}]) == "ResourceNotFoundException"
    assert code(logs.filter_log_events, logGroupName=group, logStreamNames=["no"]) == "ResourceNotFoundException"


def test_a_listing_that_is_complete_carries_no_token(logs, group):
    """SDK v2 repeats DescribeLogStreams without the token for ever while an answer has one."""
    for name in ("job-1/a", "job-1/b", "job-2/a"):
        logs.create_log_stream(logGroupName=group, logStreamName=name)
    both = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="job-1/", orderBy="LogStreamName", limit=2)
    assert stream_names(both) == ["job-1/a", "job-1/b"]
    assert "nextToken" not in both
    first = logs.describe_log_streams(logGroupName=group, limit=2)
    second = logs.describe_log_streams(logGroupName=group, limit=2, nextToken=first["nextToken"])
    assert stream_names(second) == ["job-2/a"]
    assert "nextToken" not in second
    assert stream_names(logs.describe_log_streams(logGroupName=group, descending=True)) == ["job-2/a", "job-1/b", "job-1/a"]


def test_streams_by_their_last_event(logs, group):
    now = now_ms()
    for name, age in (("old", 5000), ("new", 1), ("middle", 3000)):
        put(logs, group, name, (now - age - 10, "first"), (now - age, "last"))
    logs.create_log_stream(logGroupName=group, logStreamName="empty")
    request = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True}
    pages = logs.get_paginator("describe_log_streams").paginate(**request, PaginationConfig={"PageSize": 3})
    streams = [stream for page in pages for stream in page["logStreams"]]
    assert [stream["logStreamName"] for stream in streams] == ["new", "middle", "old", "empty"]
    assert (streams[0]["firstEventTimestamp"], streams[0]["lastEventTimestamp"]) == (now - 11, now - 1)
    assert "lastEventTimestamp" not in streams[-1]
    assert code(logs.describe_log_streams, **request, logStreamNamePrefix="o") == "InvalidParameterException"


def test_reading_forward_ends_with_an_empty_page_and_the_same_token(logs, group):
    now = now_ms()
    put(logs, group, "s", *[(now + n, f"line {n}") for n in range(5)])
    request = {"logGroupName": group, "logStreamName": "s", "startFromHead": True, "limit": 3}
    first = logs.get_log_events(**request)
    second = logs.get_log_events(**request, nextToken=first["nextForwardToken"])
    end = logs.get_log_events(**request, nextToken=second["nextForwardToken"])
    assert messages(first) + messages(second) == [f"line {n}" for n in range(5)]
    assert end["events"] == []
    assert end["nextForwardToken"] == second["nextForwardToken"]
    put(logs, group, "s", (now + 9, "late"), create=False)
    assert messages(logs.get_log_events(**request, nextToken=end["nextForwardToken"])) == ["late"]


def test_reading_backward_from_the_end(logs, group):
    now = now_ms()
    put(logs, group, "s", *[(now + n, f"line {n}") for n in range(5)])
    request = {"logGroupName": group, "logStreamName": "s", "limit": 2}
    last = logs.get_log_events(**request)
    before = logs.get_log_events(**request, nextToken=last["nextBackwardToken"])
    first = logs.get_log_events(**request, nextToken=before["nextBackwardToken"])
    assert [messages(page) for page in (last, before, first)] == [["line 3", "line 4"], ["line 1", "line 2"], ["line 0"]]
    assert logs.get_log_events(**request, nextToken=first["nextBackwardToken"])["events"] == []
    assert messages(logs.get_log_events(**request, nextToken=before["nextForwardToken"])) == ["line 3", "line 4"]


def test_the_start_is_inclusive_and_the_end_is_not(logs, group):
    now = now_ms()
    put(logs, group, "s", *[(now + n, str(n)) for n in (0, 1, 1, 2)])
    request = {"logGroupName": group, "logStreamName": "s"}
    for head in (True, False):
        window = logs.get_log_events(**request, startTime=now + 1, endTime=now + 2, startFromHead=head)
        assert messages(window) == ["1", "1"]
    assert logs.get_log_events(**request, startTime=now + 50)["events"] == []


def test_an_empty_stream_can_be_read(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    for head in (True, False):
        answer = logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=head)
        assert answer["events"] == []
        assert answer["nextForwardToken"]
        assert answer["nextBackwardToken"]


def test_a_page_is_at_most_a_megabyte(logs, group):
    now = now_ms()
    put(logs, group, "s", (now, "a" * 800_000))
    put(logs, group, "s", (now + 1, "b" * 800_000), create=False)
    put(logs, group, "s", (now + 2, "c" * 800_000), create=False)
    request = {"logGroupName": group, "logStreamName": "s"}
    forward = logs.get_log_events(**request, startFromHead=True)
    assert [message[0] for message in messages(forward)] == ["a", "b"]
    assert [message[0] for message in messages(logs.get_log_events(**request))] == ["b", "c"]


@pytest.mark.parametrize("token", ["x", "f/", "f/-1", "f/" + "9" * 57, "b/1x"])
def test_a_made_up_token_is_refused(logs, group, token):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    request = {"logGroupName": group, "nextToken": token}
    assert code(logs.get_log_events, **request, logStreamName="s") == "InvalidParameterException"
    assert code(logs.filter_log_events, **request) == "InvalidParameterException"
    assert code(logs.describe_log_streams, **request) == "InvalidParameterException"
    assert code(logs.describe_log_streams, **request, orderBy="LastEventTime") == "InvalidParameterException"
    assert code(logs.describe_log_groups, nextToken=token) == "InvalidParameterException"


def test_a_token_beyond_the_end_reads_nothing(logs, group):
    put(logs, group, "s", (now_ms(), "x"))
    request = {"logGroupName": group, "logStreamName": "s"}
    assert logs.get_log_events(**request, nextToken="f/" + "9" * 50)["events"] == []
    assert messages(logs.get_log_events(**request, nextToken="b/" + "9" * 50)) == ["x"]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([(1, "b"), (0, "a")], "chronological"),
        ([(0, "a"), (DAY + 1, "b")], "24 hours"),
        ([(0, "x" * 600_000), (0, "x" * 600_000)], "Upload too large"),
    ],
)
def test_batches_that_are_refused(logs, group, events, message):
    base = now_ms() - 2 * DAY
    with pytest.raises(ClientError, match=message) as error:
        put(logs, group, "s", *[(base + offset, text) for offset, text in events])
    assert error.value.response["Error"]["Code"] == "InvalidParameterException"


def test_events_that_are_too_old_or_too_new_are_left_out_and_named(logs, group):
    now = now_ms()
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    old = put(logs, group, "s", (now - 14 * DAY - 5 * HOUR, "a"), (now - 14 * DAY + HOUR, "b"), create=False)
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    new = put(logs, group, "s", (now, "c"), (now + 3 * HOUR, "d"), create=False)
    assert new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    all_new = put(logs, group, "s", (now + 3 * HOUR, "e"), create=False)
    assert all_new["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 0}
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    expired = put(logs, group, "s", (now - 3 * DAY, "f"), create=False)
    assert expired["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName=group)
    assert messages(logs.get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)) == ["b", "c"]


def test_filtering_merges_streams_by_time(logs, group):
    now = now_ms()
    put(logs, group, "web/1", *[(now + n, f"ERROR {n}") for n in (0, 2, 4)])
    put(logs, group, "web/2", *[(now + n, f"INFO {n}") for n in (1, 3, 5)])
    put(logs, group, "db", (now + 2, "ERROR db"))

    def found(**request):
        return messages(logs.filter_log_events(logGroupName=group, **request))

    assert found(logStreamNamePrefix="web/") == ["ERROR 0", "INFO 1", "ERROR 2", "INFO 3", "ERROR 4", "INFO 5"]
    assert found(filterPattern="ERROR") == ["ERROR 0", "ERROR db", "ERROR 2", "ERROR 4"]
    assert found(logStreamNames=["db"]) == ["ERROR db"]
    assert found(startTime=now + 3, endTime=now + 4) == ["INFO 3", "ERROR 4"]
    events = logs.filter_log_events(logGroupName=group)["events"]
    assert len({event["eventId"] for event in events}) == 7
    assert code(logs.filter_log_events, logGroupName=group, filterPattern="{ $.a = ") == "InvalidParameterException"


def test_filtered_pages_put_together_are_the_whole_also_with_late_events(logs, group):
    now = now_ms()
    for stream in range(3):
        logs.create_log_stream(logGroupName=group, logStreamName=f"s{stream}")
        for batch in ([5, 6, 9], [1, 7], [7, 7, 12], [3]):
            events = [(now + 1000 * offset, f"{stream} {offset}") for offset in batch]
            put(logs, group, f"s{stream}", *events, create=False)
    request = {"logGroupName": group, "startTime": now + 2000, "endTime": now + 9000}
    whole = messages(logs.filter_log_events(**request))
    assert sorted(whole) == sorted(f"{stream} {offset}" for stream in range(3) for offset in [5, 6, 9, 7, 7, 7, 3])
    pages = logs.get_paginator("filter_log_events").paginate(**request, PaginationConfig={"PageSize": 2})
    assert [message for page in pages for message in messages(page)] == whole


def test_deleting(logs, group):
    put(logs, group, "s", (now_ms(), "former"))
    logs.delete_log_stream(logGroupName=group, logStreamName="s")
    put(logs, group, "s", (now_ms(), "new"))
    assert messages(logs.get_log_events(logGroupName=group, logStreamName="s")) == ["new"]
    logs.delete_log_group(logGroupName=group)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
    logs.create_log_group(logGroupName=group)
    assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []


def test_retention_policies(logs, group):
    logs.put_retention_policy(logGroupName=group, retentionInDays=30)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 30
    assert code(logs.put_retention_policy, logGroupName=group, retentionInDays=2) == "InvalidParameterException"
    logs.delete_retention_policy(logGroupName=group)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]


def test_tags_by_arn_and_by_name(logs, group):
    name = group + "/tagged"
    logs.create_log_group(logGroupName=name, tags={"a": "1"})
    arn = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"b": "2"})
    logs.tag_log_group(logGroupName=name, tags={"c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": "3"}
    assert logs.list_tags_log_group(logGroupName=name)["tags"] == {"b": "2", "c": "3"}
    assert code(logs.tag_resource, resourceArn=arn, tags={"aws:x": ""}) == "InvalidParameterException"
    assert code(logs.list_tags_for_resource, resourceArn="arn:aws:logs:us-east-1:000000000000:log-group:no") == (
        "ResourceNotFoundException"
    )


def test_accounts_and_regions_are_apart(server, logs, group):
    for other in (server.client("logs", region="eu-west-1"), server.client("logs", account="111122223333")):
        assert other.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_a_group_can_be_named_by_its_arn(logs, group):
    put(logs, group, "s", (now_ms(), "x"))
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"
    assert messages(logs.get_log_events(logGroupIdentifier=arn, logStreamName="s")) == ["x"]
    assert messages(logs.filter_log_events(logGroupIdentifier=arn)) == ["x"]
    elsewhere = arn.replace("000000000000", "111122223333")
    assert code(logs.describe_log_streams, logGroupIdentifier=elsewhere) == "ResourceNotFoundException"
    assert code(logs.describe_log_streams, logGroupIdentifier=arn, logGroupName=group) == "InvalidParameterException"


def test_what_is_not_built_says_so(logs, group):
    assert code(logs.start_query, startTime=0, endTime=1, queryString="fields @message", logGroupName=group) == "NotImplemented"
    assert code(logs.create_log_group, logGroupName=group + "/k", kmsKeyId="k") == "ValidationException"
