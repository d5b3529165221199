"""AWS's wire protocols, driven by botocore's service models: json 1.0 and 1.1, query, rest-json, rest-xml, rpc-v2-cbor.

The steps of a request, as the application calls them:

    request = RequestParts(method, raw_path, parse_query(query_string), headers, b"")
    if reads_form(request):                     # a form post names its operation in the body
        request.body = await read_all()
    route = detect(request)                     # never raises; what it cannot place is the next line's error
    model = load_operation(route)               # loads the service's model on its first call
    request.body = stream if streams_body(model) else await read_all()
    parameters = parse(model, route, request)   # botocore's own shape
    validate(model, parameters)
    response = serialize(model, route, result, request_id)
    response = serialize_error(route, error, request_id)

Only `PutObject` and `UploadPart` of the mounted services have a streaming blob as input. `PostObject` (a browser's form
upload to a bucket) is the one operation that `detect` names and botocore's model does not have.
"""

from clary.gateway.wire.detect import detect
from clary.gateway.wire.errors import serialize_error
from clary.gateway.wire.models import load_operation, load_service, streams_body
from clary.gateway.wire.parse import parse
from clary.gateway.wire.request import RequestParts, Route, parse_query, reads_form
from clary.gateway.wire.routes import query_keys
from clary.gateway.wire.serialize import WireResponse, serialize
from clary.gateway.wire.validate import validate

__all__ = [
    "RequestParts",
    "Route",
    "WireResponse",
    "detect",
    "load_operation",
    "load_service",
    "parse",
    "parse_query",
    "query_keys",
    "reads_form",
    "serialize",
    "serialize_error",
    "streams_body",
    "validate",
]
