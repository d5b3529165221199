"""What is different about a job that runs a user's script: its source, its credentials, and how its end is told."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clary.compute.supervisor import source
from clary.compute.supervisor.objects import Objects
from clary.compute.supervisor.spec import OptMl, Spec
from clary.compute.toolkit import errors
from clary.compute.toolkit.entry_point import command, kind_of
from clary.compute.toolkit.plan import VARIABLE, Plan
from clary.compute.toolkit.training import INVOKING
from clary.compute.toolkit.variables import Training

PREPARE = "clary.compute.toolkit.training:prepare"
_KILLED = 137
"""What a shell answers for a command that SIGKILL ended."""


class Script:
    """The script of the job that `spec` describes."""

    def __init__(self, spec: Spec, opt_ml: OptMl):
        self._spec = spec
        self._opt_ml = opt_ml
        self._plan = Plan.parse(spec.script)

    def argument(self) -> dict[str, Any]:
        """What the process is told beyond every job's argument."""
        return {"prepare": PREPARE}

    def environment(self, server: str) -> dict[str, str]:
        """Beyond that of every job: the plan, and S3 and the job's role for the script's own AWS clients. `server`: its URL."""
        keys = self._spec.credentials
        return {
            VARIABLE: json.dumps(self._spec.script),
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
            "AWS_ENDPOINT_URL": server,
            "S3_ENDPOINT_URL": server,
        }

    @property
    def read(self) -> dict[str, Path]:
        """What the script may read beside its own directories, under the same names: the environments, which are for all."""
        environments = Path(self._plan.environments)
        environments.mkdir(parents=True, exist_ok=True)
        return {str(environments): environments}

    def fetch(self, objects: Objects) -> None:
        """Bring the source. Raises `JobError`."""
        if not self._plan.command:
            source.fetch(objects, self._training().submit_directory, self._opt_ml.root)

    @property
    def intermediate_output(self) -> str:
        """S3 URI that files below `/opt/ml/output/intermediate` are copied to while the script runs; `""` for none."""
        base = self._training().settings.get("sagemaker_s3_output")
        return f"{base.rstrip('/')}/{self._spec.name}/output/intermediate" if base else ""

    def failure(self, code: int, last_lines: Sequence[str], out_of_memory: bool) -> dict[str, str]:
        """What a script that ended with `code` (negative: a signal) leaves for the reader, from the end of its log."""
        said = errors.told(_of_the_script(last_lines))
        return {
            "prefix": "AlgorithmError",
            "type": "ExecuteUserScriptError",
            "message": errors.worded("ExecuteUserScriptError", code, said, self._command(), _extra(code, out_of_memory)),
            "traceback": errors.traceback_of(last_lines)[-4000:],
        }

    def _command(self) -> list[str]:
        if self._plan.command:
            return list(self._plan.command)
        training = self._training()
        kind = kind_of(self._opt_ml.root / "code", training.entry_point)
        return command(kind, training.entry_point, training.arguments, "python", training.launcher)

    def _training(self) -> Training:
        return Training.read(self._opt_ml.root, self._spec.request.get("Environment", {}))


class ProcessingScript(Script):
    """The command of a processing job: its image has no toolkit, so nothing stands around what it says."""

    def failure(self, code: int, last_lines: Sequence[str], out_of_memory: bool) -> dict[str, str]:
        extra = _extra(code, out_of_memory)
        said = errors.told(last_lines)
        message = "; ".join(part for part in (said, extra) if part)
        return super().failure(code, last_lines, out_of_memory) | {"message": message or "the program said nothing"}


def _of_the_script(lines: Sequence[str]) -> Sequence[str]:
    """Lines of a log without what the toolkit says before the script begins."""
    return lines[lines.index(INVOKING) + 2 :] if INVOKING in lines else lines


def _extra(code: int, out_of_memory: bool) -> str:
    if code == -signal.SIGKILL or code == _KILLED:
        cause = "memory ran out and the kernel chose it" if out_of_memory else "often memory that ran out"
        return f"Process killed by SIGKILL (signal 9): {cause}"
    if code < 0:
        return f"Process killed by {signal.Signals(-code).name} (signal {-code})" if -code in set(signal.Signals) else ""
    return ""
