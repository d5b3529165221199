"""What a supervisor is told: `spec.json`, written by the control loop."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Spec:
    """One host of one attempt of a training job. `request` is the CreateTrainingJob document as the client sent it."""

    name: str
    arn: str
    account: str
    region: str
    host: str
    hosts: tuple[str, ...]
    program: str
    """`module:function`, called with the path of the job's own `/opt/ml`."""
    image_tag: str
    """The tag of the training image: which version of the algorithm the job asked for."""
    request: dict[str, Any]
    metrics: tuple[tuple[str, str], ...]
    """(name, regex with one group), applied to every line of the log."""
    server_file: str
    """`data/server.json`, where the address of the gateway is found anew after each restart."""
    credentials: dict[str, str] = field(repr=False)
    """`AccessKeyId`, `SecretAccessKey`, `SessionToken` of the job's role."""
    script: dict[str, Any] = field(default_factory=dict)
    """`toolkit.plan.Plan` of a job that runs a user's script; empty for a built-in algorithm."""
    sandbox: str = "auto"
    """The server's setting: `auto`, `required` or `off`."""

    def document(self) -> dict[str, Any]:
        """JSON for `spec.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Spec:
        """The inverse of `document`, read back from JSON."""
        metrics = tuple((name, regex) for name, regex in document["metrics"])
        return cls(**document | {"hosts": tuple(document["hosts"]), "metrics": metrics})

    @property
    def channels(self) -> list[dict[str, Any]]:
        return self.request.get("InputDataConfig", [])

    @property
    def output(self) -> dict[str, Any]:
        return self.request["OutputDataConfig"]

    @property
    def checkpoints(self) -> dict[str, Any] | None:
        """CheckpointConfig: `S3Uri` and, when it was given, `LocalPath`."""
        return self.request.get("CheckpointConfig")

    @property
    def is_isolated(self) -> bool:
        """EnableNetworkIsolation, which processing jobs have in their NetworkConfig."""
        return bool(self.request.get("NetworkConfig", self.request).get("EnableNetworkIsolation"))

    @property
    def is_first_host(self) -> bool:
        return self.host == self.hosts[0]

    def input_mode(self, channel: dict[str, Any]) -> str:
        """`File`, `FastFile` or `Pipe`: the channel's own, else the algorithm's."""
        return channel.get("InputMode") or self.request["AlgorithmSpecification"]["TrainingInputMode"]


@dataclass(frozen=True, slots=True)
class OptMl:
    """The directories an algorithm sees, below the job host's directory instead of at the root of a container."""

    root: Path

    @classmethod
    def of(cls, directory: Path) -> OptMl:
        """Those of the job host in `directory`."""
        return cls(directory / "opt" / "ml")

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def data(self) -> Path:
        return self.root / "input" / "data"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def output_data(self) -> Path:
        return self.root / "output" / "data"

    def below(self, path: str) -> Path:
        """Where `/opt/ml/…` of a container lies."""
        return self.root / Path(path).relative_to("/opt/ml")

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"
