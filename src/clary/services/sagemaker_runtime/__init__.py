"""The SageMaker runtime API: InvokeEndpoint.

Calls over HTTP take the gateway's fast path straight to the hosting data plane; this is the way of calls in process.
"""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError
from clary.core.service import Context, Platform, operation

_HEADERS = {
    "ContentType": "content-type",
    "Accept": "accept",
    "CustomAttributes": "x-amzn-sagemaker-custom-attributes",
    "TargetModel": "x-amzn-sagemaker-target-model",
    "TargetVariant": "x-amzn-sagemaker-target-variant",
    "TargetContainerHostname": "x-amzn-sagemaker-target-container-hostname",
    "InferenceId": "x-amzn-sagemaker-inference-id",
    "EnableExplanations": "x-amzn-sagemaker-enable-explanations",
    "InferenceComponentName": "x-amzn-sagemaker-inference-component",
    "SessionId": "x-amzn-sagemaker-session-id",
}
_MEMBERS = {
    "Content-Type": "ContentType",
    "x-Amzn-Invoked-Production-Variant": "InvokedProductionVariant",
    "X-Amzn-SageMaker-Custom-Attributes": "CustomAttributes",
}


class Invocations:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @operation("InvokeEndpoint")
    async def invoke_endpoint(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        plane = self._platform.extensions.get("endpoints")
        if plane is None:  # the first moments of a server
            raise ServiceError("Endpoints are being started; try again.", code="ServiceUnavailable", status=503)
        headers = {header: request[member] for member, header in _HEADERS.items() if member in request}
        body = request.get("Body", b"")
        _, seen, answer = await plane.invoke(ctx.scope, ctx.identity, request["EndpointName"], headers, body)
        return {"Body": answer} | {member: seen[header] for header, member in _MEMBERS.items() if header in seen}


def resources(platform: Platform) -> list[object]:
    return [Invocations(platform)]
