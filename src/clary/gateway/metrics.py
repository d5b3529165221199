"""What the server has done, as Prometheus reads it: `GET /_clary/metrics`."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """Requests by service, operation and status; latencies by service; requests in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests: dict[tuple[str, str, int], int] = {}
        self._latencies: dict[str, list[float]] = {}

    def record(self, service: str, operation: str, status: int, seconds: float) -> None:
        key = (service, operation, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        row = self._latencies.get(service)
        if row is None:
            row = self._latencies[service] = [0.0] * (len(BUCKETS_SECONDS) + 2)
        bucket = 0
        for bound in BUCKETS_SECONDS:
            if seconds <= bound:
                break
            bucket += 1
        row[bucket] += 1
        row[-1] += seconds

    def text(self) -> str:
        lines = ["# TYPE clary_requests_total counter"]
        lines += [
            f'clary_requests_total{{service="{service}",operation="{operation}",status="{status}"}} {count}'
            for (service, operation, status), count in sorted(self._requests.items())
        ]
        lines.append("# TYPE clary_request_seconds histogram")
        for service, row in sorted(self._latencies.items()):
            lines += _histogram(service, row)
        lines += ["# TYPE clary_requests_in_flight gauge", f"clary_requests_in_flight {self.in_flight}"]
        lines += ["# TYPE process_resident_memory_bytes gauge", f"process_resident_memory_bytes {resident_bytes()}"]
        lines += ["# TYPE process_cpu_seconds_total counter", f"process_cpu_seconds_total {_cpu_seconds():.3f}"]
        return "\n".join(lines) + "\n"


def _histogram(service: str, row: list[float]) -> list[str]:
    lines, total = [], 0
    for bound, count in zip((*BUCKETS_SECONDS, "+Inf"), row, strict=False):
        total += int(count)
        lines.append(f'clary_request_seconds_bucket{{service="{service}",le="{bound}"}} {total}')
    lines.append(f'clary_request_seconds_sum{{service="{service}"}} {row[-1]:.6f}')
    lines.append(f'clary_request_seconds_count{{service="{service}"}} {total}')
    return lines


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def resident_bytes() -> int:
    """Memory of this process now; where the kernel does not say (macOS), its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
