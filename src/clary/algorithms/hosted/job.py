"""A training job as its program sees it: hyperparameters, channels and hosts under `/opt/ml`."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from clary.algorithms import device
from clary.algorithms.hosted import log
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.metric_lines import MetricLines
from clary.catalog.algorithms import Algorithm
from clary.catalog.hyperparameters import InvalidHyperparameter, Version
from clary.formats.channel import Channel, Reader, data_files

IMAGE_TAG = "CLARY_IMAGE_TAG"
_GPU_INSTANCES = re.compile(r"ml\.[pg]\d")


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What `/opt/ml/input/config` says. `channels` is `inputdataconfig.json`: channel -> its settings.

    `hosts` are the names of all hosts, `current_host` this one's; the first of them leads.
    """

    opt_ml: Path
    tag: str
    hyperparameters: dict[str, str]
    channels: dict[str, dict[str, Any]]
    hosts: list[str]
    current_host: str = "algo-1"
    instance_type: str = ""

    @classmethod
    def read(cls, opt_ml: Path, default_tag: str) -> TrainingJob:
        """The job under `opt_ml`; the image's tag comes from the environment."""
        config = opt_ml / "input" / "config"
        resources = _json(config / "resourceconfig.json")
        return cls(
            opt_ml,
            os.environ.get(IMAGE_TAG) or default_tag,
            {name: _unquoted(text) for name, text in _json(config / "hyperparameters.json").items()},
            _json(config / "inputdataconfig.json"),
            resources.get("hosts", ["algo-1"]),
            resources.get("current_host", "algo-1"),
            resources.get("current_instance_type", ""),
        )

    @property
    def is_leader(self) -> bool:
        return self.rank == 0

    @property
    def rank(self) -> int:
        """Place of this host among all, from 0; the leader's is 0."""
        return self.hosts.index(self.current_host)

    @property
    def lines(self) -> MetricLines:
        return MetricLines(self.current_host)

    @property
    def model_directory(self) -> Path:
        directory = self.opt_ml / "model"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @property
    def model_file(self) -> Path:
        """`model/model_algo-1`: where a first-party algorithm leaves its model."""
        return self.model_directory / f"model_{self.current_host}"

    def begin(self, algorithm: Algorithm) -> dict[str, Any]:
        """Typed hyperparameters with their defaults, after the lines that a first-party algorithm's log begins with.

        Checks the channels too. Raises `CustomerError` for the user's mistakes.
        """
        self._say_what_becomes_of_the_gpu(algorithm)
        given = self.hyperparameters
        default = algorithm.hyperparameters.defaults(self.version(algorithm))
        log.plain("Docker entrypoint called with argument(s): train")
        log.first_party(f"Reading default configuration from default-input.json: {json.dumps(default)}")
        log.first_party(
            f"Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: {json.dumps(given)}"
        )
        log.first_party(f"Final configuration: {json.dumps(default | given)}")
        values = self.values(algorithm)
        self.require(algorithm)
        if len(self.hosts) > 1 and not algorithm.distributed:
            raise CustomerError(f"{algorithm.name} trains on one host; set InstanceCount to 1")
        return values

    @property
    def device(self) -> str | None:
        """PyTorch's name of the GPU to train on; None for the CPU.

        An instance type with a GPU asks for one, unless `_num_gpus` is 0.
        """
        return device.torch_device("auto") if self._wants_gpu else None

    @property
    def _wants_gpu(self) -> bool:
        return bool(_GPU_INSTANCES.match(self.instance_type)) and self.hyperparameters.get("_num_gpus", "auto") != "0"

    def _say_what_becomes_of_the_gpu(self, algorithm: Algorithm) -> None:
        """One line, the first, where the instance type has a GPU."""
        if not _GPU_INSTANCES.match(self.instance_type):
            return
        reason = None if algorithm.gpu else f"{algorithm.name} has no program for it"
        if not self._wants_gpu:
            reason = "_num_gpus is 0"
        if reason := reason or device.obstacle():
            log.first_party(f"{self.instance_type} has a GPU that is not used: {reason}; training on the CPU", "WARNING")
        else:
            log.first_party(f"Training on a GPU, as {self.instance_type} asks")

    def share_of_batch(self, values: dict[str, Any]) -> dict[str, Any]:
        """`values` with this host's share of `mini_batch_size`, at least one row.

        For algorithms whose hosts are averaged after an epoch: averages come as far as one host with as many steps, so an
        epoch must have as many on each host as it would have on one with all rows.
        """
        if len(self.hosts) == 1:
            return values
        share = max(1, values["mini_batch_size"] // len(self.hosts))
        log.first_party(
            f"mini_batch_size={values['mini_batch_size']} is shared by {len(self.hosts)} hosts: {share} rows on each"
        )
        return values | {"mini_batch_size": share}

    def values(self, algorithm: Algorithm) -> dict[str, Any]:
        """Typed hyperparameters. Raises `CustomerError` in the words of the hosted container."""
        try:
            return algorithm.hyperparameters.parse(self.hyperparameters, self.version(algorithm))
        except InvalidHyperparameter as error:
            raise CustomerError(str(error)) from error

    def version(self, algorithm: Algorithm) -> Version:
        return algorithm.version(self.tag)

    def require(self, algorithm: Algorithm) -> None:
        """Check names and modes of the channels against the declaration."""
        declared = {channel.name: channel for channel in algorithm.channels}
        for name in self.channels:
            if name not in declared:
                raise CustomerError(f"Extraneous channel found: {name}; {algorithm.name} reads {' and '.join(declared)}")
        for channel in algorithm.channels:
            if channel.required and channel.name not in self.channels:
                raise CustomerError(f"Missing required channel: {channel.name}")

    def input_mode(self, name: str) -> str:
        return self.channels[name].get("TrainingInputMode") or "File"

    def content_type(self, name: str) -> tuple[str, dict[str, str]]:
        """Media type and parameters of a channel, lower case; `""` when it has none."""
        header = Message()
        header["content-type"] = (self.channels[name].get("ContentType") or "").lower()
        if not header["content-type"]:
            return "", {}
        # Message wants a slash, which `csv` and `libsvm` alone do not have
        media_type = str(header["content-type"]).partition(";")[0].strip()
        parameters = header.get_params() or []
        return media_type, {key: str(value) for key, value in parameters[1:]}

    def channel(self, name: str, reader: Reader) -> Channel:
        """The rows of a channel, from its directory or, in Pipe mode, its FIFO."""
        path = self.opt_ml / "input" / "data" / name
        if self.input_mode(name) == "Pipe":
            return Channel.of_pipe(path, reader)
        self.require_files(name)
        return Channel.of_directory(path, reader)

    def require_files(self, name: str) -> None:
        """Raise `CustomerError` when the directory of a channel holds no data on this host."""
        if not any(True for _ in data_files(self.opt_ml / "input" / "data" / name)):
            raise CustomerError(f"No data in {name} channel: {self._why_empty(name)}")

    def _why_empty(self, name: str) -> str:
        if len(self.hosts) > 1 and self.channels[name].get("S3DistributionType") == "ShardedByS3Key":
            share = f"ShardedByS3Key leaves no object for {self.current_host}"
            return f"{share}; store the rows in at least {len(self.hosts)} objects, or use FullyReplicated"
        return "it holds no file whose name begins with neither '.' nor '_'"


def _unquoted(text: str) -> str:
    """A value without the quotes that clients put around text when they write values as JSON."""
    inner = text[1:-1]
    return inner if text == f'"{inner}"' and not set(inner) & set('"\\') else text


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}
