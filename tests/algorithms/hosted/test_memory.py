"""Streaming training keeps the model in memory, not the data: ten times more data than the memory a job may take."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.algorithms.hosted.jobs import lay_out

from clary.formats import records

ALLOWED_MEGABYTES = 128
DATA_MEGABYTES = 10 * ALLOWED_MEGABYTES
COLUMNS = 64
ROWS_A_PIECE = 20_000

PROGRAM = """
import importlib, resource, sys
from pathlib import Path
train = importlib.import_module(f"clary.algorithms.hosted.{sys.argv[1]}").train
held = next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").read_text().splitlines() if line[:7] == "VmData:")
resource.setrlimit(resource.RLIMIT_DATA, (held + (int(sys.argv[3]) << 20),) * 2)
train(Path(sys.argv[2]))
"""

JOBS = {
    "kmeans": {"k": "10", "feature_dim": str(COLUMNS)},
    "pca": {"num_components": "5", "feature_dim": str(COLUMNS), "mini_batch_size": "1000"},
    "linear_learner": {"predictor_type": "regressor", "epochs": "1", "num_models": "4"},
    "factorization_machines": {"predictor_type": "regressor", "num_factors": "8", "feature_dim": str(COLUMNS)},
    "randomcutforest": {"feature_dim": str(COLUMNS), "num_trees": "50", "num_samples_per_tree": "64"},
    "knn": {
        "k": "5",
        "predictor_type": "regressor",
        "sample_size": "2000",
        "feature_dim": str(COLUMNS),
    },
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("name", JOBS)
def test_more_data_than_memory_is_no_obstacle(tmp_path, name):
    lay_out(tmp_path, JOBS[name], {"train": {}}, content_type=None, mode="Pipe")
    config = tmp_path / "input/config/inputdataconfig.json"
    settings = {"TrainingInputMode": "Pipe", "S3DistributionType": "ShardedByS3Key"}
    config.write_text(json.dumps({"train": settings}))
    pipe = tmp_path / "input/data/train_0"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=_feed, args=(pipe,), daemon=True)
    feeder.start()
    command = [sys.executable, "-c", PROGRAM, name, str(tmp_path), str(ALLOWED_MEGABYTES)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | one_thread)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    feeder.join()
    assert list((tmp_path / "model").iterdir())


def _feed(pipe: Path) -> None:
    """Labelled dense rows, `DATA_MEGABYTES` of them, the same piece again and again."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(ROWS_A_PIECE, COLUMNS)).astype(np.float32)
    piece = records.write(features, features[:, 0])
    with contextlib.suppress(BrokenPipeError), pipe.open("wb") as out:  # a program that fails says why itself
        for _ in range((DATA_MEGABYTES << 20) // len(piece) + 1):
            out.write(piece)
