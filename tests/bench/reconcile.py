"""The reconciler over 10,000 objects: the first time, one changed, 1,000 changed, nothing to do; and its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench.figures import Line, milliseconds, percentile, spread

__all__ = ["measure"]

_COUNT = 10_000
_MEGABYTE = 1_000_000


def measure() -> list[Line]:
    """On the embedded datastore, in a process of its own, with the repository in memory."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.reconcile_within", str(_COUNT)],
        capture_output=True, text=True, check=False, timeout=120, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip().splitlines()[-1])
    return _lines(json.loads(ended.stdout))


def _lines(found: dict[str, Any]) -> list[Line]:
    one, nothing = [wall for wall, _ in found["one"]], [wall for wall, _ in found["nothing"]]
    first, thousand, memory = found["first"], found["thousand"], found["memory"]
    return [
        Line("first reconcile of 10,000 objects", _told(first), goal="under 15 s", held=first[0] < 15),
        Line(
            "one changed, from its commit in memory",
            spread(one),
            goal="p99 under 500 ms",
            held=percentile(one, 0.99) < 0.5,
            rounds=len(one),
        ),
        Line("1,000 changed", _told(thousand), goal="under 5 s", held=thousand[0] < 5),
        Line(
            "nothing to do", f"{spread(nothing)}, {found['parses']} parses", goal="under 20 ms, 0 parses",
            held=percentile(nothing, 0.99) < 0.02 and not found["parses"], rounds=len(nothing),
        ),
        Line("memory at most", f"{memory / _MEGABYTE:.0f} MB", goal="under 250 MB", held=memory < 250 * _MEGABYTE),
    ]  # fmt: skip


def _told(times: list[float]) -> str:
    return f"{milliseconds(times[0])}, {milliseconds(times[1])} of CPU"
