"""Where an estimator computes: on the CPU with NumPy and numba, or with PyTorch on a GPU.

The names that an estimator's `device` may have:

- "cpu": NumPy and numba.
- "cuda", "cuda:1": PyTorch on the first or that GPU; `ValueError` where there is none.
- "auto": "cuda" where PyTorch is installed and finds a GPU, else "cpu".
- "torch:cpu": the programs of the GPU in PyTorch on the CPU, slower than "cpu": to try them where there is no GPU.

PyTorch is imported only where one of the last three is asked for, and for "auto" only where there is a GPU.
"""

from __future__ import annotations

import ctypes
import importlib
import re
from typing import Any

_NAMES = re.compile(r"cpu|auto|torch:cpu|cuda(:\d{1,3})?")
_CUDA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


def require_device(name: str, value: Any) -> None:
    """Raise `ValueError` where the argument `name` is no device. Whether it is there shows when it is used."""
    if not isinstance(value, str) or not _NAMES.fullmatch(value):
        raise ValueError(f"{name}={value!r} must be 'cpu', 'cuda', 'cuda:<number>', 'auto' or 'torch:cpu'")


def torch_device(device: str) -> str | None:
    """What PyTorch calls `device`; None for the CPU without PyTorch. Raises `ValueError` where it is not there."""
    if device == "cpu" or (device == "auto" and obstacle()):
        return None
    if device == "torch:cpu":
        pytorch()
        return "cpu"
    if reason := obstacle():
        raise ValueError(f"device={device!r} cannot be used: {reason}; use device='cpu' or 'auto'")
    name = "cuda" if device == "auto" else device
    if ":" in name and int(name.partition(":")[2]) >= pytorch().cuda.device_count():
        raise ValueError(f"device={device!r} cannot be used: PyTorch finds {pytorch().cuda.device_count()} GPUs")
    return name


def obstacle() -> str | None:
    """Why PyTorch can use no GPU of this machine, in a few words; None when it can."""
    if not gpus():
        return "this machine has no GPU that CUDA knows"
    try:
        torch = pytorch()
    except ValueError as error:
        return str(error)
    return None if torch.cuda.is_available() else f"the installed PyTorch {torch.__version__} finds no GPU"


def gpus() -> int:
    """How many GPUs the CUDA driver shows to this process."""
    count = ctypes.c_int()
    for name in _CUDA_DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def pytorch() -> Any:
    """The module `torch`. Raises `ValueError` where it is not installed."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise ValueError("PyTorch is not installed: pip install 'clary[deep]'") from None
