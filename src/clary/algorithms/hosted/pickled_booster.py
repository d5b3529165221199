"""Pickled boosters, as images up to 1.2 wrote them, opened without running what a pickle may hold.

The pickle is read in a process of its own that has given up the file system, the network and most resources, by an
unpickler that knows a handful of harmless names. All it gives back is the serialized model, which is data.

That process imports nothing but the standard library.
"""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 120

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from clary.algorithms.hosted import pickled_booster as p; p.serve()"


class _Shell:
    """Stands for `xgboost.core.Booster`: holds the state and does nothing."""


def _reconstructor(kind: Any, base: Any, state: Any) -> Any:
    """`copyreg._reconstructor` for the shell alone."""
    if kind is not _Shell or base is not object or state is not None:
        raise pickle.UnpicklingError("the pickle is not that of one booster")
    return _Shell()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("xgboost.core", "Booster"): _Shell,
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "object"): object,
    ("__builtin__", "object"): object,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("copy_reg", "_reconstructor"): _reconstructor,
}


class _BoosterUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the pickle wants {module}.{name}, which a pickled booster does not") from None


def serialized_model(pickled: bytes) -> bytes:
    """The model in a pickled booster, read in a confined process.

    Raises `ValueError` when the pickle is none of a booster, or wants to run anything.
    """
    root = Path(__file__).parents[3]
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(root)]
    try:
        done = subprocess.run(command, input=pickled, capture_output=True, env={}, cwd="/", timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(f"the pickle was not read within {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"the pickle was refused: {lines[-1][:300] if lines else f'exit status {done.returncode}'}")
    return done.stdout


def extract(pickled: bytes) -> bytes:
    """What `serialized_model` does, in this very process: for the confined one."""
    booster = _BoosterUnpickler(io.BytesIO(pickled)).load()
    if type(booster) is not _Shell:
        raise pickle.UnpicklingError(f"the pickle holds a {type(booster).__name__}, not a booster")
    serialized = vars(booster).get("handle")
    if not isinstance(serialized, bytes | bytearray):
        raise pickle.UnpicklingError("the pickled booster has no model in it")
    return bytes(serialized)


def serve() -> None:
    """In a process of its own: a pickle on stdin, the serialized model on stdout."""
    from clary.algorithms.hosted import confine

    confine.confine()
    try:
        model = extract(sys.stdin.buffer.read())
    except Exception as error:
        sys.exit(str(error) or type(error).__name__)
    sys.stdout.buffer.write(model)
