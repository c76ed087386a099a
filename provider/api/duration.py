"""Durations as Kubernetes' users write them: Go's notation, without signs and fractions."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> timedelta:
    """ "90s", "5m", "1h30m" → timedelta. Raises ValueError with the rule for anything else."""
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError('must be a duration such as "90s", "5m" or "1h30m"')
    return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))
