"""Every benchmark of this folder, one after the other: `python -m benchmarks [NAME...]`. Each prints ours against the peer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHARED = {"compare", "servers", "tuning_drivers", "tuning_peers", "tuning_training", "tuning_trials"}
"""Modules that benchmarks use and that measure nothing themselves."""


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; the exit status is that of the worst."""
    known = sorted({file.stem for file in Path(__file__).parent.glob("[a-z]*.py")} - SHARED)
    if unknown := set(names) - set(known):
        print(f"no benchmark is called {unknown.pop()}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    worst = 0
    for name in names or known:
        print(f"\n== {name}", flush=True)
        worst = max(worst, abs(subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
