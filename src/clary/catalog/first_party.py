"""What the first-party algorithms declare alike: one image version, messages of JSON schema, formats, metrics of every job."""

from __future__ import annotations

from clary.catalog.algorithms import Algorithm, Channel, Metric
from clary.catalog.hyperparameters import Schema

RECORDS = "application/x-recordio-protobuf"
VECTORS = (RECORDS, "text/csv")
"""Content types of training rows."""
REQUESTS = ("text/csv", "application/json", "application/jsonlines", RECORDS)
"""Content types of inference."""
PROGRESS = (
    Metric("train:progress", r"#progress_metric: host=\S+, completed (\S+) %", "Maximize"),
    Metric("train:throughput", r"#throughput_metric: host=\S+, train throughput=(\S+) records/second", "Maximize"),
)
"""Metrics of every training job."""


def channels(*optional: str, content_types: tuple[str, ...] = VECTORS) -> tuple[Channel, ...]:
    """`train`, which is required, and the `optional` ones."""
    return tuple(Channel(name, required=name == "train", content_types=content_types) for name in ("train", *optional))


def first_party(
    name: str,
    hyperparameters: Schema,
    metrics: tuple[Metric, ...],
    channels: tuple[Channel, ...],
    *,
    runtime: str = "numba",
    requests: tuple[str, ...] = REQUESTS,
    distributed: bool = True,
    gpu: bool = False,
) -> Algorithm:
    """The declaration of the image `name`, whose programs are `train` and `load` of `clary.algorithms.hosted.<name>`."""
    program = f"clary.algorithms.hosted.{name.replace('-', '_')}"
    return Algorithm(
        name=name,
        repositories={name: {"latest": (1,), "1": (1,)}},
        runtime=runtime,
        train=f"{program}:train",
        serve=f"{program}:load",
        hyperparameters=hyperparameters,
        metrics=(*metrics, *PROGRESS),
        channels=channels,
        inference_content_types=requests,
        distributed=distributed,
        gpu=gpu,
    )
