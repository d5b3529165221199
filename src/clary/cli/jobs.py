"""`clary logs` and `clary why`: what a job or an endpoint printed, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clary.cli import causes
from clary.cli.console import AccessKey, Account, Data, Region, SecretKey, client, credentials, running
from clary.cli.named import KINDS, TUNING_JOB, Named, describe
from clary.core.identifiers import DEFAULT_REGION

if TYPE_CHECKING:
    from clary.cli.tuning.study import Study

POLL_SECONDS, POLL_TRIALS_SECONDS = 0.1, 1.0
LAST_LINES = 10
Name = Annotated[str, typer.Argument(help="A training, processing, transform or tuning job or an endpoint.")]


def add_to(app: typer.Typer) -> None:
    for command in (logs, why):
        app.command()(command)


def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
) -> None:
    """Print what a job or an endpoint has logged; of a tuning job, which training jobs it has started."""
    server = running(data)
    keys = credentials(server, access_key_id, secret_access_key, account)
    sagemaker, log_service = client(server, "sagemaker", keys, region), client(server, "logs", keys, region)
    named = describe(sagemaker, name)
    positions: dict[str, str] = {}
    trials = 0
    while True:
        if named.kind is TUNING_JOB:
            trials = _print_trials(_study(sagemaker, name), after=trials)
        for event in new_events(log_service, named, positions):
            print(f"{_time_of_day(event['timestamp'])}  {event['message'].rstrip()}", flush=True)
        if not follow or named.is_over:
            return
        time.sleep(POLL_TRIALS_SECONDS if named.kind is TUNING_JOB else POLL_SECONDS)
        named = describe(sagemaker, name, (named.kind,))


def _study(sagemaker: Any, name: str) -> Study:
    """A tuning job with its trials; only this needs the catalog."""
    from clary.cli.tuning.study import read

    return read(sagemaker, name)


def _print_trials(study: Study, *, after: int) -> int:
    """Say which training jobs a tuning job has started after the first so many; how many there are by now."""
    for trial in study.trials[after:]:
        values = " ".join(f"{name}={text}" for name, text in trial.texts.items())
        print(f"{trial.created.astimezone():%H:%M:%S}  training job {trial.name} tries {values}", flush=True)
    return len(study.trials)


def new_events(log_service: Any, named: Named, positions: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Events after `positions` (stream -> token, moved on), stream by stream; none while the log group does not exist."""
    for stream in _streams(log_service, named):
        while True:
            token = {"nextToken": positions[stream]} if stream in positions else {}
            page = log_service.get_log_events(logGroupName=named.log_group, logStreamName=stream, startFromHead=True, **token)
            positions[stream] = page["nextForwardToken"]
            if not page["events"]:
                break
            yield from page["events"]


def _streams(log_service: Any, named: Named) -> list[str]:
    if not named.log_group:
        return []
    request = {"logGroupName": named.log_group} | ({"logStreamNamePrefix": named.log_prefix} if named.log_prefix else {})
    try:
        pages = list(log_service.get_paginator("describe_log_streams").paginate(**request))
    except log_service.exceptions.ResourceNotFoundException:
        return []
    return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]


def _time_of_day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def why(
    name: Name,
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
) -> None:
    """Say why a job or an endpoint failed: the cause, the place and what to do."""
    server = running(data)
    keys = credentials(server, access_key_id, secret_access_key, account)
    sagemaker, log_service = client(server, "sagemaker", keys, region), client(server, "logs", keys, region)
    named = describe(sagemaker, name)
    print(f"{named.kind.words} {name}: {named.status}")
    if not named.failed:
        print("It has not failed." + ("" if named.is_over else f" Follow it with `clary logs -f {name}`."))
    if named.kind is TUNING_JOB:
        _explain_tuning(server.data, sagemaker, log_service, named)
    elif named.failed:
        _explain(server.data, log_service, named, named.description.get("FailureReason", "no reason was recorded"))


def _explain_tuning(data: Path, sagemaker: Any, log_service: Any, named: Named) -> None:
    """Why training jobs of a tuning job failed: each cause, and more about the first that had the most frequent one."""
    if named.failed:
        print(f"\ncause  {named.description['FailureReason']}")
    failures = _study(sagemaker, named.name).causes
    for cause, count, first in failures:
        print(f"\n{count} training job{'s' if count > 1 else ''} failed, the first {first.name}: {cause}")
    if failures:
        cause, _, first = failures[0]
        print(f"\ntraining job {first.name}: {first.status}")
        _explain(data, log_service, describe(sagemaker, first.name, KINDS[:1]), cause)


def _explain(data: Path, log_service: Any, named: Named, reason: str) -> None:
    """Cause, place, last lines and fix of what has failed."""
    record = causes.exit_record(data, named.arn, named.description)
    print(f"\ncause  {reason}")
    print(f"\nplace  {causes.place(named.description, record)}")
    for line in _last_lines(log_service, named):
        print(f"       | {line}")
    print(f"\nfix    {causes.fix(reason)}")


def _last_lines(log_service: Any, named: Named) -> list[str]:
    lines = [event["message"].rstrip() for event in new_events(log_service, named, {})]
    return lines[-LAST_LINES:]
