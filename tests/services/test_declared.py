"""Declared resources: create, find, describe, list, update, delete and tags of any kind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clary.core.clock import Clock
from clary.core.config import Config
from clary.core.errors import ResourceInUse, ResourceNotFound, ValidationException
from clary.core.service import Context, Identity, Platform
from clary.services.declared import Declared, Tagging
from clary.storage.resources import ResourceStore

JOB = Declared(
    service="sagemaker",
    kind="training-job",
    member="TrainingJob",
    listed="TrainingJobSummaries",
    summary=("TrainingJobName", "TrainingJobArn", "CreationTime", "LastModifiedTime", "TrainingJobStatus", "SecondaryStatus"),
    duplicate=(ResourceInUse, "a training job with this name already exists ({arn})"),
    missing=(ValidationException, "Requested resource not found."),
    status_member="TrainingJobStatus",
)
TAGGING = Tagging(missing=(ResourceNotFound, "no {arn}"))
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/a"


def with_context(tmp_path: Path, body, wake=lambda topic: None) -> Any:
    """Run `body(ctx)` over a real store."""

    async def run() -> Any:
        store = ResourceStore.open(tmp_path / "clary.db", wake=wake)
        platform = Platform(Config(data=tmp_path), Clock(), store, None, None, None, wake)  # type: ignore[arg-type]
        identity = Identity("123456789012", "arn:aws:iam::123456789012:root")
        try:
            return await body(Context(platform, "sagemaker", "", identity, "eu-west-1", "r"))
        finally:
            await store.close()

    return asyncio.run(run())


def test_describe_is_the_request_the_public_state_and_what_the_store_knows(tmp_path):
    woken = []

    async def body(ctx):
        request = {"TrainingJobName": "a", "RoleArn": "r", "Tags": [{"Key": "k", "Value": "v"}]}
        state = {"SecondaryStatus": "Starting", "_attempt": 1}
        job = await JOB.create(ctx, request, status="InProgress", state=state, wake="training")
        described = JOB.describe(JOB.find(ctx, {"TrainingJobName": "a"}))
        times = {"CreationTime": job.created, "LastModifiedTime": job.created}
        assert described == times | {
            "TrainingJobName": "a",
            "TrainingJobArn": ARN,
            "RoleArn": "r",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
        }
        assert await TAGGING.add(ctx, ARN, {}) == {"k": "v"}

    with_context(tmp_path, body, woken.append)
    assert woken == ["training"]


def test_duplicates_and_missing_names_have_the_declared_errors(tmp_path):
    async def body(ctx):
        await JOB.create(ctx, {"TrainingJobName": "a"})
        with pytest.raises(ResourceInUse, match=f"already exists \\({ARN}\\)"):
            await JOB.create(ctx, {"TrainingJobName": "a"})
        with pytest.raises(ValidationException, match="Requested resource not found"):
            JOB.find(ctx, {"TrainingJobName": "b"})
        with pytest.raises(ValidationException, match="Requested resource not found"):
            await JOB.delete(ctx, {"TrainingJobName": "b"})
        await JOB.delete(ctx, {"TrainingJobName": "a"})
        await JOB.create(ctx, {"TrainingJobName": "a"})

    with_context(tmp_path, body)


def test_an_update_sees_the_current_row_and_may_refuse(tmp_path):
    def stop(job):
        if job.status != "InProgress":
            raise ValidationException(f"the training job is in status {job.status}")
        return {"status": "Stopping"}

    async def body(ctx):
        await JOB.create(ctx, {"TrainingJobName": "a"}, status="InProgress")
        stopped = await JOB.update(ctx, {"TrainingJobName": "a"}, stop)
        assert stopped.status == "Stopping"
        with pytest.raises(ValidationException, match="in status Stopping"):
            await JOB.update(ctx, {"TrainingJobName": "a"}, stop)
        assert await JOB.update(ctx, {"TrainingJobName": "a"}, lambda job: {}) == stopped

    with_context(tmp_path, body)


def test_lists_filter_sort_and_page(tmp_path):
    async def body(ctx):
        for name in "abc":
            status = "Failed" if name == "b" else "Completed"
            await JOB.create(ctx, {"TrainingJobName": name}, status=status, state={"SecondaryStatus": status})

        def names(**request):
            return [job["TrainingJobName"] for job in JOB.list_page(ctx, request)["TrainingJobSummaries"]]

        assert names() == ["c", "b", "a"]
        assert names(StatusEquals="Completed", SortBy="Name", SortOrder="Ascending") == ["a", "c"]
        assert names(CreationTimeAfter=datetime(2000, 1, 1, tzinfo=UTC), NameContains="B") == ["b"]
        assert names(LastModifiedTimeBefore=datetime(2000, 1, 1, tzinfo=UTC)) == []
        first = JOB.list_page(ctx, {"MaxResults": 2})
        assert set(first["TrainingJobSummaries"][0]) == set(JOB.summary)
        assert names(MaxResults=2, NextToken=first["NextToken"]) == ["a"]
        assert "NextToken" not in JOB.list_page(ctx, {"MaxResults": 3})

    with_context(tmp_path, body)


def test_tags_are_limited_and_the_reserved_prefix_is_refused(tmp_path):
    async def body(ctx):
        await JOB.create(ctx, {"TrainingJobName": "a"})
        await TAGGING.add(ctx, ARN, {f"k{n}": "" for n in range(50)})
        with pytest.raises(ValidationException, match="at most 50"):
            await TAGGING.add(ctx, ARN, {"one more": ""})
        await TAGGING.add(ctx, ARN, {"k1": "replaced"})
        with pytest.raises(ValidationException, match="reserved"):
            await TAGGING.add(ctx, ARN, {"aws:x": ""})
        await TAGGING.remove(ctx, ARN, [f"k{n}" for n in range(49)])
        assert TAGGING.of(ctx, ARN) == {"k49": ""}
        with pytest.raises(ResourceNotFound, match="no arn:other"):
            TAGGING.of(ctx, "arn:other")
        with pytest.raises(ValidationException, match="twice"):
            await JOB.create(ctx, {"TrainingJobName": "b", "Tags": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]})

    with_context(tmp_path, body)
