"""What a transform's supervisor is told: `spec.json`, written by the control loop."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """One attempt of a transform job. `request` is the CreateTransformJob document as the client sent it."""

    name: str
    region: str
    load: str
    """`module:function` that loads the model."""
    prepare: str
    """`module:function` that says which Python it needs; `""` for this one."""
    environment: dict[str, str]
    """The model's own, under which the job's go."""
    model_data: dict[str, str] | None
    """`S3Uri`, `S3DataType`, `CompressionType`."""
    code: dict[str, str] | None
    """Where the user's source is, in the same form, when it is not part of the model."""
    request: dict[str, Any]
    server_file: str
    credentials: dict[str, str] = field(repr=False)

    def document(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def input(self) -> dict[str, Any]:
        return self.request["TransformInput"]

    @property
    def output(self) -> dict[str, Any]:
        return self.request["TransformOutput"]

    @property
    def strategy(self) -> str:
        return self.request.get("BatchStrategy", "MultiRecord")

    @property
    def payload_megabytes(self) -> int:
        return self.request.get("MaxPayloadInMB", 6)

    @property
    def timeout_seconds(self) -> int:
        return self.request.get("ModelClientConfig", {}).get("InvocationsTimeoutInSeconds", 600)

    @property
    def retries(self) -> int:
        return self.request.get("ModelClientConfig", {}).get("InvocationsMaxRetries", 0)

    def container_environment(self) -> dict[str, str]:
        """What the container sees (client contract, section 4.7)."""
        concurrent = {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(self.request.get("MaxConcurrentTransforms", 0))}
        return {
            **self.environment,
            "SAGEMAKER_BATCH": "True",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self.payload_megabytes),
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if self.strategy == "SingleRecord" else "MULTI_RECORD",
            **(concurrent if self.request.get("MaxConcurrentTransforms") else {}),
            **self.request.get("Environment", {}),
        }
