"""What is special about a remote function (`@remote`, `RemoteExecutor`): the job runs code of the SageMaker SDK itself.

The SDK sends scripts that unpack the caller's workspace, install what it asks for and call `sagemaker` to load the pickled
function. AWS's images bring the SDK along; here the version that the caller has is installed, once for all jobs.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

SCRIPTS = "input/data/sagemaker_remote_function_bootstrap"
_CLIENT = "--client_sagemaker_pysdk_version"
_VERSION = re.compile(r"\d+(\.\d+)*")


def is_one(opt_ml: Path) -> bool:
    return (opt_ml / SCRIPTS).is_dir()


def requirements(command: Sequence[str], layers: Sequence[str]) -> list[str]:
    """Arguments of `pip install` for the SDK that the caller has, unless the site directories `layers` have that version."""
    version = next((value for name, value in itertools.pairwise(command) if name == _CLIENT), "")
    if not _VERSION.fullmatch(version):
        return []
    found = importlib.metadata.distributions(name="sagemaker", path=list(layers))
    return [] if any(one.version == version for one in found) else [f"sagemaker=={version}"]


def environment() -> dict[str, str]:
    """The SDK's scripts take a user of another name than root for one who needs `sudo` to write to `/opt/ml`."""
    return {"LOGNAME": "root"}
