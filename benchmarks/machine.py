"""What a figure was measured on: it goes with every table."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPUINFO, MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def named() -> str:
    """ "2 x Intel(R) Xeon(R) ..., 24 GiB, Linux 6.18.1"."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines(CPUINFO) if line.startswith("model name")), platform.machine()
    )
    memory = next((int(line.split()[1]) for line in _lines(MEMINFO) if line.startswith("MemTotal")), 0)
    return f"{os.cpu_count()} x {model}, {memory / 2**20:.0f} GiB, {platform.system()} {platform.release()}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
