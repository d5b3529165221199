"""Artifacts as the hosted service wrote them over the years, and pickles that want more than that."""

from __future__ import annotations

import builtins
import collections
import copyreg
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xgboost

from clary.algorithms.hosted import pickled_booster
from clary.algorithms.hosted.xgboost import artifact, load
from clary.core.inference import InferenceRequest

X = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def booster():
    return xgboost.train({"nthread": 1, "base_score": 0.5}, xgboost.DMatrix(X, X[:, 0]), 5)


class Booster:
    """The state that a pickled booster of an older XGBoost holds, under its name."""

    def __init__(self, handle):
        self.handle = bytearray(handle)
        self.booster = "gbtree"
        self.feature_names = ["f0", "f1", "f2", "f3"]
        self.feature_types = None
        self.best_iteration = 4
        self.best_ntree_limit = 5


Booster.__module__, Booster.__qualname__ = "xgboost.core", "Booster"


class OldBooster(Booster):
    """Pickled by `copyreg._reconstructor`, as classes of Python 2's time are."""

    def __reduce__(self):
        return copyreg._reconstructor, (Booster, object, None), vars(self)


def pickled(handle, protocol=3, kind=Booster):
    real, xgboost.core.Booster = xgboost.core.Booster, Booster
    try:
        return pickle.dumps(kind(handle), protocol)
    finally:
        xgboost.core.Booster = real


def binary(booster):
    with xgboost.config_context(verbosity=0):
        return bytes(booster.save_raw("deprecated"))


def json_snapshot(booster):
    document = {"Model": json.loads(booster.save_raw("json")), "Config": json.loads(booster.save_config())}
    return json.dumps(document).encode()


ARTIFACTS = {
    "a pickle of 2019, image 0.90": lambda b: pickled(binary(b)),
    "the same by way of copyreg": lambda b: pickled(binary(b), kind=OldBooster),
    "a pickle of 2022 with a snapshot in JSON": lambda b: pickled(json_snapshot(b)),
    "a pickle of today with a snapshot in UBJSON": lambda b: pickle.dumps(b),
    "the older binary format": binary,
    "JSON": lambda b: bytes(b.save_raw("json")),
    "UBJSON": lambda b: bytes(b.save_raw("ubj")),
}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_artifacts_of_the_hosted_service_are_served(booster, tmp_path, name):
    (tmp_path / "xgboost-model").write_bytes(ARTIFACTS[name](booster))
    reply = load(tmp_path, {"CLARY_IMAGE_TAG": "1.7-1"}).invoke([InferenceRequest(b"0.1,0.2,0.3,0.4", "text/csv")])[0]
    expected = booster.inplace_predict(np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32))
    assert float(reply.body) == pytest.approx(float(expected[0]), rel=1e-6)


@pytest.mark.parametrize("version", [(0, 90), (1, 3), (3, 0)])
def test_what_is_saved_is_loaded(booster, tmp_path, version):
    artifact.save(booster, tmp_path / artifact.NAME, version)
    loaded = artifact.load_all(tmp_path)[0]
    np.testing.assert_array_equal(loaded.predict(xgboost.DMatrix(X)), booster.predict(xgboost.DMatrix(X)))


class RunsACommand:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


def malicious(tmp_path):
    return {
        "a command": RunsACommand(os.system, f"touch {tmp_path}/ran"),
        "a file": RunsACommand(builtins.open, str(tmp_path / "ran"), "w"),
        "evaluation": RunsACommand(builtins.eval, f"open({str(tmp_path / 'ran')!r}, 'w')"),
        "a harmless class": collections.OrderedDict(),
        "no booster": {"handle": bytearray(10)},
    }


@pytest.mark.parametrize("name", malicious(Path()))
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_runs_nothing(tmp_path, name, protocol):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "xgboost-model").write_bytes(pickle.dumps(malicious(tmp_path)[name], protocol))
    with pytest.raises(ValueError, match=r"Model file xgboost-model cannot be loaded by XGBoost .*the pickle was refused"):
        load(tmp_path / "model", {})
    assert not (tmp_path / "ran").exists()


def test_the_reconstructor_makes_nothing_but_a_booster():
    class Other:
        def __reduce__(self):
            return copyreg._reconstructor, (bytearray, object, None)

    with pytest.raises(ValueError, match="not that of one booster"):
        pickled_booster.serialized_model(pickle.dumps(Other(), 3))


def test_memory_is_bounded_while_a_pickle_is_read():
    # BINBYTES8 that promises sixteen tebibytes, then repeats: the limit or the end of the data comes first
    with pytest.raises(ValueError, match="the pickle was refused"):
        pickled_booster.serialized_model(b"\x80\x04\x8e" + (16 << 40).to_bytes(8, "little") + b"x")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the measures are Linux's")
def test_the_confined_process_has_no_files_and_no_network(tmp_path):
    program = f"""
import os, socket, resource
from clary.algorithms.hosted import confine
taken = confine.confine()
def refused(call):
    try:
        call()
    except OSError:
        return True
    return False
assert refused(lambda: open("/etc/passwd"))
assert refused(lambda: open({str(tmp_path / "new")!r}, "w"))
assert refused(socket.socket)
if "landlock" in taken:
    assert refused(lambda: os.mkdir({str(tmp_path / "folder")!r}))
assert resource.getrlimit(resource.RLIMIT_AS)[0] == confine.MEMORY_BYTES
print(*taken, sep=",")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "resource limits" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"hello, I am no model", b"{", b"{}", b'{"Model": 1, "Config": 2}', b"\x80", bytes(100)])
def test_files_that_are_no_model_are_named(tmp_path, data):
    (tmp_path / "xgboost-model").write_bytes(data)
    with pytest.raises(ValueError, match="Model file xgboost-model cannot be loaded by XGBoost") as refused:
        load(tmp_path, {})
    assert "[bt]" not in str(refused.value)


def test_an_empty_archive_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no model file"):
        load(tmp_path, {})
