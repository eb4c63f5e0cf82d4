"""CPU time: of processes, and of everybody who is not ours while we measure."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["LIMIT", "Load", "cpu_seconds", "tree"]

LIMIT = 0.10
"""A bench during which others used a larger share of all CPUs says so."""
_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int | str) -> list[str]:
    try:
        text = Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def cpu_seconds(pid: int) -> float:
    """Time that the threads of a living process have run, to the microsecond (ticks would hide an idle one)."""
    try:
        return (
            sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
        )
    except FileNotFoundError:
        return sum(map(int, _stat(pid)[11:13])) / _TICKS


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  names are numbers, no paths needed
        if name.isdigit() and (fields := _stat(name)):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return found


def _ours() -> float:
    """CPU seconds of this process, its descendants, and those of them that have ended."""
    total = 0
    for pid in tree(os.getpid()):
        if fields := _stat(pid):
            total += sum(map(int, fields[11:15]))
    return total / _TICKS


def _everybody() -> float:
    user, nice, system, _idle, _wait, irq, soft, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + soft) / _TICKS


@dataclass(slots=True)
class Load:
    """Measures while the `with` block runs: seconds, our CPU seconds, and the share of all CPUs that others used."""

    seconds: float = 0.0
    ours: float = 0.0
    foreign: float = 0.0

    def __enter__(self) -> Self:
        self.seconds, self.ours, self.foreign = time.monotonic(), _ours(), _everybody()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds = time.monotonic() - self.seconds
        self.ours = _ours() - self.ours
        used = _everybody() - self.foreign - self.ours
        self.foreign = max(0.0, used) / ((os.cpu_count() or 1) * max(self.seconds, 0.001))

    def __str__(self) -> str:
        much = "  THE MACHINE WAS NOT QUIET: trust ratios only" if self.foreign > LIMIT else ""
        return f"{self.seconds:.1f} s, {self.ours:.1f} CPU s of ours, others used {self.foreign * 100:.0f} %{much}"
