"""Ours and the peers on the same work in one run, interleaved: CPU seconds, ratio, peak memory, and the quality of each."""

from __future__ import annotations

import gc
import importlib
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from rich.table import Table

Work = Callable[[], Any]
"""What is timed; gives what `quality` judges."""


def pytorch() -> Any:
    """The module `torch`, a peer that `make setup` installs and the `bench` extra leaves out: on Linux its usual wheel
    is the CUDA build, gigabytes."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise SystemExit("PyTorch, a peer of this benchmark, is not installed: pip install torch==2.13.0") from None


@dataclass
class Run:
    """What one contestant did: CPU seconds of every repeat, and the quality of the last."""

    seconds: list[float] = field(default_factory=list)
    quality: Mapping[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def compare(
    title: str,
    contestants: Mapping[str, Work],
    quality: Callable[[Any], Mapping[str, float]] = lambda _: {},
    *,
    repeats: int = 5,
    units: float | None = None,
    unit: str = "rows",
) -> dict[str, Run]:
    """Run all `repeats` times, A B A B, and print a table; the first is ours, the others are its peers.

    Seconds are CPU seconds of this process (all its threads), the median of the repeats; the first repeat, which compiles
    and warms, is run once before and not counted. `units` are what one run works through, for a rate.
    """
    runs = {name: Run() for name in contestants}
    for name, work in contestants.items():
        runs[name].quality = quality(work())
    for _ in range(repeats):
        for name, work in contestants.items():
            gc.collect()
            begin = time.process_time()
            result = work()
            runs[name].seconds.append(time.process_time() - begin)
            del result
    _show(title, runs, units, unit)
    return runs


def peak_megabytes(work: Work) -> float:
    """How far `work` raises the peak memory of a fresh process (forked, so what is loaded already does not count)."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_grown, args=(work, sender))
    process.start()
    grown = receiver.recv()
    process.join()
    return grown


def _grown(work: Work, sender: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    sender.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def _show(title: str, runs: Mapping[str, Run], units: float | None, unit: str) -> None:
    table = Table("", "CPU s (median)", "min - max", "of ours", *([f"{unit}/s"] if units else []), "quality", title=title)
    ours = next(iter(runs.values())).median
    for name, run in runs.items():
        rate = [f"{units / run.median:,.0f}"] if units else []
        said = ", ".join(f"{key} {value:.6g}" for key, value in run.quality.items())
        spread = f"{min(run.seconds):.3f} - {max(run.seconds):.3f}"
        table.add_row(name, f"{run.median:.3f}", spread, f"{run.median / ours:.2f} x", *rate, said)
    Console(width=140).print(table)
