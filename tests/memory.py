"""How much memory this process has."""

from __future__ import annotations

from pathlib import Path

import pytest


def resident_mib() -> float:
    """Resident memory in MiB, from /proc; where there is none, the test is skipped."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
