"""botocore's service models, loaded one at a time on a service's first call.

`botocore` itself is imported here and only inside functions: the server starts without it. The documentation in the models
is dropped while loading, which halves what they hold.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from clary.core.errors import NotImplementedByClary, ServiceError
from clary.gateway.wire.request import Route

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel

ALIASES = {"runtime.sagemaker": "sagemaker-runtime"}


class _ModelFiles:
    """Reads model files for botocore's `Loader`: its `JSONFileLoader` on a faster parser and without documentation."""

    def exists(self, path: str) -> bool:
        return any(Path(path + ending).is_file() for ending in (".json", ".json.gz"))

    def load_file(self, path: str) -> Any:
        """The parsed file at `path` (no ending), or None when there is none."""
        plain, packed = Path(path + ".json"), Path(path + ".json.gz")
        if plain.is_file():
            return _without_documentation(orjson.loads(plain.read_bytes()))
        if packed.is_file():
            return _without_documentation(orjson.loads(gzip.decompress(packed.read_bytes())))
        return None


def _without_documentation(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("documentation"), str):  # a member may bear that name too; it is a dictionary
            del node["documentation"]
        for value in node.values():
            _without_documentation(value)
    elif isinstance(node, list):
        for value in node:
            _without_documentation(value)
    return node


@functools.cache
def load_service(name: str) -> ServiceModel:
    """The model of a service by boto3's name for it. Raises botocore's `UnknownServiceError`."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    name = ALIASES.get(name, name)
    # A loader keeps every document it read, so each lives only as long as this call. Only botocore's own models count:
    # what a user has in ~/.aws/models is meant for clients.
    loader = Loader([Loader.BUILTIN_DATA_PATH], _ModelFiles(), include_default_search_paths=False)
    return ServiceModel(loader.load_service_model(name, "service-2"), name)


def load_operation(route: Route) -> OperationModel:
    """The model of the route's operation. Raises the service's error for an operation that does not exist."""
    if not route.service:
        raise unknown_operation(route)
    model = load_service(route.service)
    if route.operation not in _names(model):
        raise unknown_operation(route)
    return model.operation_model(route.operation)


@functools.cache
def _names(model: ServiceModel) -> frozenset[str]:
    return frozenset(model.operation_names)


def unknown_operation(route: Route) -> ServiceError:
    """What is said to a request that names no operation of its service, by protocol, or no service at all."""
    what = f"operation {route.operation}" if route.operation else f"{route.method} {route.path}"
    if not route.service:
        return NotImplementedByClary(f"Clary has no service that takes {what}")
    if route.protocol == "rest-xml":
        message = "The specified method is not allowed against this resource."
        return ServiceError(message, code="MethodNotAllowed", status=405, members={"Method": route.method})
    message = f"{route.service} has no {what}"
    if route.protocol in ("query", "ec2"):
        return ServiceError(message, code="InvalidAction", status=400)
    return ServiceError(message, code="UnknownOperationException", status=404 if route.protocol == "rest-json" else 400)


def streams_body(operation: OperationModel) -> bool:
    """Whether the operation's input is a streaming blob (`PutObject`, `UploadPart`), whose body is not to be buffered."""
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape else None
    return bool(payload) and bool(shape.members[payload].serialization.get("streaming"))
