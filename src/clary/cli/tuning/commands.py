"""`clary tuning list`, `clary tuning show` and `clary tuning report`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clary.cli.console import AccessKey, Account, Data, Region, SecretKey, client, credentials, running
from clary.cli.errors import CommandError
from clary.cli.named import TUNING_JOB, describe
from clary.core.identifiers import DEFAULT_REGION

if TYPE_CHECKING:
    from clary.cli.tuning.study import Study

POLL_SECONDS = 1.0
WIDTH_OF_FILES = 160
"""Columns of what is printed where no terminal says how many it has."""
Name = Annotated[str, typer.Argument(help="A hyperparameter tuning job.")]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(help="Hyperparameter tuning jobs.", no_args_is_help=True)
    group.command("list")(list_jobs)
    for command in (show, report):
        group.command()(command)
    app.add_typer(group, name="tuning")


def list_jobs(
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
) -> None:
    """List the tuning jobs, the newest first."""
    server = running(data)
    sagemaker = client(server, "sagemaker", credentials(server, access_key_id, secret_access_key, account), region)
    for page in sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate():
        for job in page["HyperParameterTuningJobSummaries"]:
            print(_line(job))


def _line(job: dict[str, Any]) -> str:
    counters = job["TrainingJobStatusCounters"]
    started = sum(counters.values())
    ended = started - counters["InProgress"]
    most = job.get("ResourceLimits", {}).get("MaxNumberOfTrainingJobs")
    trials = f"{ended} of {most or started} trials"
    return (
        f"{job['HyperParameterTuningJobName']:32}  {job['HyperParameterTuningJobStatus']:10}  {trials:20}  "
        f"{job['Strategy']:9}  {job['CreationTime'].astimezone():%Y-%m-%d %H:%M:%S}"
    )


def show(
    name: Name,
    top: Annotated[int, typer.Option(min=1, help="How many trials of the ranking to show.")] = 10,
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
) -> None:
    """Show how a tuning job goes: progress, best so far, running trials, ranking, why trials failed.

    In a terminal it is shown anew until the job has ended; Ctrl-C leaves the job alone. Elsewhere it is printed once.
    """
    from rich.console import Console
    from rich.live import Live

    from clary.cli.tuning.leaderboard import leaderboard
    from clary.cli.tuning.study import latest_values, read

    server = running(data)
    keys = credentials(server, access_key_id, secret_access_key, account)
    sagemaker, cloudwatch = (client(server, service, keys, region) for service in ("sagemaker", "cloudwatch"))
    describe(sagemaker, name, (TUNING_JOB,))

    def look() -> tuple[Study, Any]:
        study = read(sagemaker, name)
        return study, leaderboard(study, latest_values(cloudwatch, study), top)

    if not sys.stdout.isatty():
        Console(width=int(os.environ.get("COLUMNS", WIDTH_OF_FILES))).print(look()[1])
        return
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            study, board = look()
            live.update(board, refresh=True)
            if study.is_over:
                return
            time.sleep(POLL_SECONDS)


def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.", show_default="NAME.html", metavar="FILE")
    ] = None,
    data: Data = None,
    region: Region = DEFAULT_REGION,
    account: Account = "",
    access_key_id: AccessKey = "",
    secret_access_key: SecretKey = "",
) -> None:
    """Write a report of a tuning job as one HTML file that any browser opens, without a network."""
    try:
        from clary.cli.tuning.report import page
    except ImportError as error:
        raise CommandError(f"the report needs {error.name}, which is not installed: pip install 'clary[report]'") from None
    from clary.cli.tuning.study import read

    server = running(data)
    keys = credentials(server, access_key_id, secret_access_key, account)
    sagemaker = client(server, "sagemaker", keys, region)
    describe(sagemaker, name, (TUNING_JOB,))
    study = read(sagemaker, name)
    file = output or Path(f"{name}.html")
    try:
        file.write_text(page(study), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}") from None
    print(f"{file}: {len(study.trials)} trials, {file.stat().st_size / 1e6:.1f} MB")
