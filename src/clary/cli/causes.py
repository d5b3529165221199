"""Reading a failure: where it happened, and what to do about reasons that are known."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_OURS = "clary|faiss|numba|numpy|pyarrow|safetensors|scipy|sklearn|xgboost"
FIXES = {
    r"clary env add": "Run the command that the cause ends with, and create the job again under a new name.",
    r"No such file or directory: '/opt/ml": (
        "Read paths from SM_MODEL_DIR, SM_CHANNEL_TRAIN and their like: the files do not lie at /opt/ml on every machine."
    ),
    r"the entry point": "Name a file of the source: entry_point of the estimator, relative to source_dir.",
    r"SIGKILL|ExitCode -?(9|137)\b": (
        "Use less data or a smaller model, or free memory on this machine: the kernel kills what takes too much."
    ),
    r"not a readable tar archive|UnsafeArchive": (
        "ModelDataUrl must name a model.tar.gz, such as the ModelArtifacts.S3ModelArtifacts of a training job."
    ),
    r"NoSuchBucket": "Create the bucket in this server (aws s3 mb), or mount a folder: clary bucket mount NAME DIR.",
    r"NoSuchKey|no objects|matches no": "Compare the channel's S3Uri with what is stored: aws s3 ls --recursive s3://BUCKET/PREFIX.",
    r"AccessDenied|not authorized|Could not assume role": (
        "Give the job's role a policy that allows this action, and a trust policy for sagemaker.amazonaws.com."
    ),
    r"MaxRuntime": "Raise StoppingCondition.MaxRuntimeInSeconds, or let the job do less.",
    r"[Mm]emory ran out|out of memory|MemoryError": "Use less data or a smaller model, or free memory on this machine.",
    r"No space left|disk is full": "Free disk space where the data directory lies; clary doctor says how much is left.",
    r"[Ll]abel must|num_class": "Make the objective, num_class and the labels fit each other.",
    r"[Oo]bjective metric": (
        "Compare the Regex of the objective's MetricDefinitions with the log: clary logs TRAINING_JOB. A built-in algorithm "
        "reports the metrics of the channels that it has: validation:... needs a validation channel."
    ),
    r"[Hh]yperparameter": 'Correct the hyperparameter that the cause names; values are strings, such as "100".',
    r"could not convert|not a number|header row": "Remove header lines and encode text columns as numbers, label first.",
    r"ContentType|[Cc]ontent type": "Set the channel's ContentType to what its files are, for instance text/csv.",
    rf"No module named '({_OURS})'": "Install what is missing: pip install 'clary[algorithms]'; see clary doctor.",
    r"No module named|InstallRequirementsError|InstallModuleError": (
        "Put the package into requirements.txt beside the script, under a name and a version that pip finds; a module of your "
        "own belongs into the source directory."
    ),
    r"not installed": "Install what is missing: pip install 'clary[algorithms]'; see clary doctor.",
    r"supervisor .* lost": "The machine went down or the process was killed; create the job again under a new name.",
}
"""Patterns of failure reasons and what mends them; the first that matches counts."""

ELSE = "Read the last lines above; the whole log: clary logs NAME. Correct the input and create the job again under a new name."


def fix(reason: str) -> str:
    """What to do about a failure reason."""
    return next((advice for pattern, advice in FIXES.items() if re.search(pattern, reason)), ELSE)


def place(description: dict[str, Any], record: dict[str, Any] | None) -> str:
    """Where a job or endpoint was when it failed: the status it was in and, when a program left one, the line that raised."""
    entered = [step["Status"] for step in description.get("SecondaryStatusTransitions", []) if step["Status"] != "Failed"]
    parts = [f"while {entered[-1]}"] if entered else []
    failure = (record or {}).get("failure") or {}
    if failure.get("type"):
        parts.append(failure["type"])
    if calls := re.findall(r'File "(.+?)", line (\d+), in (\S+)', failure.get("traceback", "")):
        file, line, function = calls[-1]
        parts.append(f"{file}:{line} ({function})")
    if "EndpointName" in description:
        parts.append("while a worker was loading the model")
    return ", ".join(parts) or "not recorded"


def exit_record(data: Path, arn: str, description: dict[str, Any]) -> dict[str, Any] | None:
    """The exit record of the host of job `arn` that failed, of the last attempt, while the job's directory is kept."""
    _, _, _, region, account, tail = arn.split(":", 5)
    kind, _, name = tail.partition("/")
    files = sorted((data / "jobs" / account / region / kind / name).glob("*/*/exit.json"), reverse=True)
    failed = [record for record in (json.loads(file.read_text()) for file in files) if record.get("failure")]
    told = (record for record in failed if record["reason"] == description.get("FailureReason"))
    return next(told, next(iter(failed), None))
