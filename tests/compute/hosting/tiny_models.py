"""Serve programs for tests: `load(model_dir, environment)` as a container image would offer it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from clary.core.inference import InferenceRequest, InferenceResponse


class Upper:
    """Answers in capitals, one line per batch size in the header, and does as the body says."""

    def __init__(self, model_dir: Path, environment: dict[str, str]) -> None:
        self.name = (model_dir / "name").read_text() if (model_dir / "name").exists() else environment.get("NAME", "")
        self.busy_seconds = float(environment.get("BUSY_SECONDS", "0"))

    def invoke(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        time.sleep(self.busy_seconds)
        return [self._answer(request, len(requests)) for request in requests]

    def _answer(self, request: InferenceRequest, batch: int) -> InferenceResponse:
        if request.body == b"die":
            os._exit(9)
        if request.body == b"raise":
            raise ZeroDivisionError("asked to raise")
        if request.body == b"hang":
            time.sleep(3600)
        if request.body.startswith(b"status "):
            return InferenceResponse(b"as you wish", "text/plain", int(request.body[7:]))
        headers = {"x-batch": str(batch), "x-amzn-sagemaker-custom-attributes": request.accept, "x-name": self.name}
        return InferenceResponse(request.body.upper(), request.content_type or "text/plain", 200, headers)

    def execution_parameters(self) -> dict:
        return {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


def upper(model_dir: Path, environment: dict[str, str]) -> Upper:
    return Upper(model_dir, environment)


def broken(model_dir: Path, environment: dict[str, str]) -> Upper:
    raise FileNotFoundError("the archive has no file called weights")


def dying(model_dir: Path, environment: dict[str, str]) -> Upper:
    os._exit(3)


def endless(model_dir: Path, environment: dict[str, str]) -> Upper:
    time.sleep(3600)
    raise AssertionError("unreachable")
