"""The train program of factorization machines: mini-batches stream by, the hosts' machines are merged after each epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms.hosted import rows
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.factorization_machines import artifact
from clary.algorithms.hosted.factorization_machines.quality import Quality
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.rows import Rows
from clary.algorithms.hosted.stop_request import StopRequest
from clary.algorithms.recommend import initial
from clary.algorithms.recommend.adam import Adam, Settings
from clary.algorithms.recommend.initial import Start
from clary.algorithms.recommend.merging import Part, merge
from clary.algorithms.recommend.parameters import Parameters
from clary.catalog.builtin.factorization_machines import ALGORITHM

_ROWS_AT_ONCE = 8192
_BATCHES_A_LINE = 500
_GROUPS = ("bias", "linear", "factors")


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    values = job.share_of_batch(job.begin(ALGORITHM))
    with Cluster.join(job) as cluster:
        _Training(job, values, cluster).run()


class _Training:
    def __init__(self, job: TrainingJob, values: dict[str, Any], cluster: Cluster):
        self._job, self._values, self._cluster = job, values, cluster
        self._binary = values["predictor_type"] == "binary_classifier"
        self._adam = Adam(_first(values), _settings(values))
        self._stop_request = StopRequest()

    def run(self) -> None:
        data = self._rows("train")
        for epoch in range(self._values["epochs"]):
            self._epoch(data, epoch)
            if self._stop_request.agreed(self._cluster):
                break
        if self._cluster.is_leader:
            if "test" in self._job.channels:
                self._test()
            machine = self._adam.parameters
            artifact.save(self._job.model_file, machine, self._values["predictor_type"], self._values["num_factors"])

    def _rows(self, channel: str) -> Rows:
        return rows.read(
            self._job,
            channel,
            ALGORITHM,
            columns=self._values["feature_dim"],
            labels="required",
            classes=2 if self._binary else None,
            sparse=True,
        )

    def _chunks(self, data: Rows) -> Iterator[tuple[csr_matrix, np.ndarray]]:
        """Several mini-batches at a time."""
        size = self._values["mini_batch_size"]
        for batch in data.batches(size * max(1, _ROWS_AT_ONCE // size)):
            assert batch.labels is not None
            yield csr_matrix(batch.features), batch.labels

    def _epoch(self, data: Rows, epoch: int) -> None:
        start = time.time()
        quality = Quality(self._binary)
        seen = np.zeros(self._values["feature_dim"], np.int64)
        positive = 0.0
        batches = 0
        for features, labels in self._stop_request.until_told(self._chunks(data)):
            scores = self._adam.train(features, labels)
            if not np.isfinite(scores).all():
                raise CustomerError(
                    "Training diverged: scores are no longer finite. Scale the features, lower bias_lr, linear_lr and "
                    "factors_lr, or set clip_gradient"
                )
            quality.add(scores, labels)
            seen += np.bincount(features.indices, minlength=len(seen))
            positive += float(labels.sum())
            batches = self._report_batches(scores, labels, epoch, batches)
        self._merge(quality.rows, seen)
        if epoch == 0 and self._binary:
            self._require_both_classes(quality.rows, positive)
        self._report_epoch(quality, epoch, start)

    def _report_batches(self, scores: np.ndarray, labels: np.ndarray, epoch: int, batches: int) -> int:
        """Lines of every 500th batch, from the first; returns how many batches there were by now."""
        size = self._values["mini_batch_size"]
        for number, begin in enumerate(range(0, len(labels), size), start=batches):
            if number % _BATCHES_A_LINE == 0:
                quality = Quality(self._binary)
                quality.add(scores[begin : begin + size], labels[begin : begin + size])
                self._report("train", quality, epoch=epoch, batch=number)
        return batches + -(-len(labels) // size)

    def _report_epoch(self, quality: Quality, epoch: int, start: float) -> None:
        self._report("train", quality, epoch=epoch)
        lines = self._job.lines
        lines.progress(100 * (epoch + 1) / self._values["epochs"])
        seen = {"Total Records Seen": quality.rows * (epoch + 1), "Number of Batches Since Last Reset": self._adam.step}
        lines.metrics("factorization-machines", "training", seen, start=start, epoch=epoch)
        lines.throughput(quality.rows, time.time() - start)

    def _report(self, channel: str, quality: Quality, **place: int) -> None:
        for name, value, kind in quality.values():
            self._job.lines.quality(channel, name, value, kind, **place)

    def _merge(self, count: int, seen: np.ndarray) -> None:
        """All hosts go on from the same machine."""
        if self._cluster.size == 1:
            return
        machine = self._adam.parameters
        arrays = {"bias": machine.bias, "weights": machine.weights, "factors": machine.factors}
        gathered = self._cluster.gather(arrays | {"seen": seen, "rows": np.array([count])})
        merged: dict[str, np.ndarray] | None = None
        if gathered is not None:
            one = merge([Part(_of(part), int(part["rows"][0]), part["seen"]) for part in gathered])
            merged = {"bias": one.bias, "weights": one.weights, "factors": one.factors}
        self._adam.parameters = _of(self._cluster.broadcast(merged))

    def _require_both_classes(self, count: int, positive: float) -> None:
        total = self._cluster.sum({"counts": np.array([count - positive, positive])})["counts"]
        if not total.all():
            raise CustomerError(
                f"Channel train: all labels are {int(total.argmax())}; a binary_classifier needs rows of both classes"
            )

    def _test(self) -> None:
        quality = Quality(self._binary)
        for features, labels in self._chunks(self._rows("test")):
            quality.add(self._adam.parameters.scores(features), labels)
        self._report("test", quality)
        for name, value, _ in quality.values():
            self._job.lines.score("test", name, value)


def _first(values: dict[str, Any]) -> Parameters:
    starts = (
        Start(
            values[f"{group}_init_method"],
            values[f"{group}_init_sigma"],
            values.get(f"{group}_init_scale"),
            values.get(f"{group}_init_value"),
        )
        for group in _GROUPS
    )
    return initial.parameters(*starts, features=values["feature_dim"], num_factors=values["num_factors"], seed=0)


def _settings(values: dict[str, Any]) -> Settings:
    bias_lr, linear_lr, factors_lr = (values[f"{group}_lr"] for group in _GROUPS)
    bias_wd, linear_wd, factors_wd = (values[f"{group}_wd"] for group in _GROUPS)
    return Settings(
        rates=(bias_lr, linear_lr, factors_lr),
        decays=(bias_wd, linear_wd, factors_wd),
        batch=values["mini_batch_size"],
        logistic=values["predictor_type"] == "binary_classifier",
        eps=values.get("eps", 1e-8),
        rescale=values.get("rescale_grad"),
        clip=values.get("clip_gradient"),
    )


def _of(arrays: dict[str, np.ndarray]) -> Parameters:
    return Parameters(*(np.array(arrays[name]) for name in ("bias", "weights", "factors")))
