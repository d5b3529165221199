"""The model file `xgboost-model`: written so that plain XGBoost opens it, read as any hosted version wrote it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import xgboost

from clary.algorithms.hosted import pickled_booster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost.library_errors import explanation
from clary.catalog.hyperparameters import Version
from clary.formats.channel import data_files

NAME = "xgboost-model"
_PICKLE = b"\x80"
_SNAPSHOT_KEY_WITHIN = 32
"""The first key of a snapshot in UBJSON is `Config`, right after its length."""


def save(booster: xgboost.Booster, path: Path, version: Version) -> None:
    """Write the model: UBJSON from image 3.0 on, the older binary format before, as those images' users expect to load."""
    # the hosted images up to 1.2 pickled the booster; the binary format is what every XGBoost up to 3.0 can open
    with xgboost.config_context(verbosity=0):  # it warns that the older format is old
        raw = booster.save_raw(raw_format="ubj" if version >= (3, 0) else "deprecated")
    path.write_bytes(raw)


def load_all(directory: Path) -> list[xgboost.Booster]:
    """The boosters of an unpacked archive, one per file. Raises `ValueError` naming a file that is no model."""
    files = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ValueError(f"the model archive holds no model file; XGBoost expects {NAME} at its root")
    return [_load(path) for path in files]


def given(directory: Path) -> xgboost.Booster:
    """The one model of a channel: `model.tar.gz`, or its file. Raises `CustomerError` for none, several or no model."""
    found = [model for path in data_files(directory) for model in _contents(path)]
    if len(found) != 1:
        names = ", ".join(name for name, _ in found) or "no file"
        raise CustomerError(f"Channel {directory.name} must hold one model, as model.tar.gz or {NAME}; it holds {names}")
    try:
        return _parsed(*found[0])
    except ValueError as error:
        raise CustomerError(f"Channel {directory.name}: {error}") from error


def _contents(path: Path) -> list[tuple[str, bytes]]:
    """Names and contents of the files of an archive, or of a file that is none."""
    if not path.name.endswith((".tar.gz", ".tgz")):
        return [(path.name, path.read_bytes())]
    try:
        with tarfile.open(path, "r|gz") as archive:  # as a stream: the file may be a FIFO
            files = ((member.name, archive.extractfile(member)) for member in archive)
            return [(name, file.read()) for name, file in files if file is not None]
    except tarfile.TarError as error:
        raise CustomerError(f"{path.name} is no archive: {error}") from error


def _load(path: Path) -> xgboost.Booster:
    return _parsed(path.name, path.read_bytes())


def _parsed(name: str, data: bytes) -> xgboost.Booster:
    try:
        return _booster(pickled_booster.serialized_model(data) if data.startswith(_PICKLE) else data)
    except (ValueError, xgboost.core.XGBoostError) as error:
        known = explanation(error) if isinstance(error, xgboost.core.XGBoostError) else str(error)
        reason = known or "the file is damaged, or no XGBoost model"
        raise ValueError(f"Model file {name} cannot be loaded by XGBoost {xgboost.__version__}: {reason}") from error


def _booster(data: bytes) -> xgboost.Booster:
    """From UBJSON, JSON, the binary format, or the memory snapshot (model and settings) that a pickle holds."""
    if not data:
        raise ValueError("the file is empty")
    booster = xgboost.Booster()
    if data[:1] == b"{" and b"Config" in data[:_SNAPSHOT_KEY_WITHIN] and not data[1:2].isspace() and data[1:2] != b'"':
        booster.__setstate__({"handle": bytearray(data)})  # a snapshot in UBJSON
    else:
        booster.load_model(bytearray(_model_of_snapshot(data)))
    booster.set_param({"nthread": 1})
    booster.feature_names = None  # requests carry no names
    booster.feature_types = None
    return booster


def _model_of_snapshot(data: bytes) -> bytes:
    """The `Model` part of a snapshot in JSON, which the library does not load as it is; anything else unchanged."""
    if data.lstrip()[:1] != b"{" or b'"Config"' not in data:
        return data
    try:
        document = json.loads(data)
    except ValueError:
        return data
    return json.dumps(document["Model"]).encode() if {"Model", "Config"} <= document.keys() else data
