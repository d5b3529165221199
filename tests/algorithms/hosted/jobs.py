"""Training jobs as the supervisor lays them out, for the train programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def lay_out(
    opt_ml: Path,
    hyperparameters: dict[str, str],
    channels: dict[str, dict[str, bytes]],
    *,
    content_type: str | None = "text/csv",
    mode: str = "File",
    hosts: int = 1,
) -> Path:
    """`/opt/ml` with `channels` (channel -> file name -> content)."""
    settings: dict[str, Any] = {"TrainingInputMode": mode, "S3DistributionType": "FullyReplicated"}
    if content_type is not None:
        settings["ContentType"] = content_type
    names = [f"algo-{number}" for number in range(1, hosts + 1)]
    config = opt_ml / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(json.dumps(dict.fromkeys(channels, settings)))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": names}))
    for channel, files in channels.items():
        directory = opt_ml / "input" / "data" / channel
        directory.mkdir(parents=True)
        for name, content in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
    return opt_ml
