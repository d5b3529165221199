"""The serve program of IP Insights: events in CSV, JSON or JSON Lines in, dot products (and vectors) out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from clary.algorithms.embeddings import events
from clary.algorithms.embeddings.events import Events
from clary.algorithms.embeddings.ip_insights import IPInsights
from clary.algorithms.hosted import serving
from clary.algorithms.hosted.serving import CSV, JSON, JSON_LINES, Accept, Refusal
from clary.core.inference import InferenceRequest, InferenceResponse
from clary.formats.errors import FormatError

READABLE = (CSV, JSON, JSON_LINES)


def load(model_dir: Path, environment: dict[str, str]) -> IPInsightsModel:
    """The model that the train program left. Raises `ValueError` when there is none."""
    found = sorted(model_dir.rglob("model_algo-*"))
    if not found:
        raise ValueError("the archive of an IP Insights model holds a file model_algo-1; this one does not")
    return IPInsightsModel(IPInsights.load(found[0]))


class IPInsightsModel:
    """An estimator behind the container's request and reply formats."""

    def __init__(self, model: IPInsights):
        self._model = model

    def invoke(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        """One response per request, in order; the events of all are scored at once."""
        responses: list[InferenceResponse | None] = [None] * len(requests)
        waiting: list[tuple[int, Events, Accept]] = []
        for position, request in enumerate(requests):
            try:
                waiting.append((position, *_understood(request)))
            except Refusal as refusal:
                responses[position] = serving.refused(refusal)
        if waiting:
            results = self._results(events.join([each for _, each, _ in waiting]))
            start = 0
            for position, each, accept in waiting:
                shown = results if accept.verbose else {"dot_product": results["dot_product"]}
                own = {name: values[start : start + len(each)] for name, values in shown.items()}
                responses[position] = serving.encode(own, accept.media_type, "predictions")
                start += len(each)
        return [response for response in responses if response is not None]

    def execution_parameters(self) -> dict[str, Any]:
        """What batch transform uses where the job does not say."""
        return serving.execution_parameters()

    def _results(self, given: Events) -> dict[str, np.ndarray]:
        entities, addresses = self._model.vectors(given)
        scores = np.einsum("nd,nd->n", entities, addresses)
        return {"dot_product": scores, "entity_embedding": entities, "ip_embedding": addresses}


def _understood(request: InferenceRequest) -> tuple[Events, Accept]:
    media_type = serving.media_type_of(request.content_type) or CSV
    accept = serving.accepted(request.accept, media_type, READABLE)
    if media_type not in READABLE:
        raise Refusal(415, f"Content-type {request.content_type} not supported. Supported: {', '.join(READABLE)}")
    try:
        found = _parsed(request.body, media_type)
    except ValueError as error:
        raise Refusal(400, f"unable to evaluate payload provided: {error}") from error
    if not len(found):
        raise Refusal(400, "unable to evaluate payload provided: the request holds no events")
    return found, accept


def _parsed(body: bytes, media_type: str) -> Events:
    """Events of a request's body. Raises `ValueError`."""
    if media_type == CSV:
        return events.parse(body, "the request")
    if media_type == JSON:
        document = orjson.loads(body)
        instances = document.get("instances") if isinstance(document, dict) else None
        if not isinstance(instances, list):
            raise FormatError('the request is not {"instances": [...]}')
    else:
        instances = [orjson.loads(line) for line in body.splitlines() if line.strip()]
    pairs = [_pair(instance, number) for number, instance in enumerate(instances, 1)]
    return Events(events.hashes_of([entity for entity, _ in pairs]), events.addresses_of([address for _, address in pairs]))


def _pair(instance: Any, number: int) -> tuple[Any, Any]:
    """`{"features": ["user_7", "10.0.0.9"]}` or `{"data": {"features": {"values": [...]}}}`."""
    features = instance.get("features") if isinstance(instance, dict) else None
    if features is None and isinstance(instance, dict) and isinstance(instance.get("data"), dict):
        features = instance["data"].get("features")
        features = features.get("values") if isinstance(features, dict) else features
    if not isinstance(features, list) or len(features) != 2:
        raise FormatError(f'instance {number} is no event: write {{"features": ["user_7", "10.0.0.9"]}}')
    return features[0], features[1]
