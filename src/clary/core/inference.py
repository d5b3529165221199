"""What passes between an endpoint's worker and a model: plain requests and responses, many at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class InferenceRequest:
    """One `POST /invocations`: header names are lower-case."""

    body: bytes
    content_type: str = ""
    accept: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class InferenceResponse:
    """The container's answer; any status but 2xx reaches the caller as `ModelError` (424)."""

    body: bytes
    content_type: str = "text/csv"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Model(Protocol):
    """What a serve program's `load(model_dir, environment)` returns."""

    def invoke(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        """One response per request, in order. One bad request must not spoil its neighbours' answers."""
        ...

    def execution_parameters(self) -> dict:
        """The answer of `GET /execution-parameters`."""
        ...
