from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.compute.supervisor.bench import BUCKET, Bench


@pytest.fixture
def bench(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    server.client("s3").create_bucket(Bucket=BUCKET)
    return Bench(tmp_path / f"job-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]}", server)
