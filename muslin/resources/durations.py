"""Go's durations, as Kubernetes objects carry them: `90s`, `1m30s`, `200ms`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

__all__ = ["Duration", "parse_duration"]

_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"([-+]?)((?:{_PART.pattern})+|0)", re.ASCII)
_LIMIT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole nanoseconds; prints as Go prints it, so `90s` becomes `1m30s`."""

    nanoseconds: int

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.nanoseconds / 10**9

    def __str__(self) -> str:
        count = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if count == 0:
            return "0s"
        if count < _UNITS["s"]:
            unit = next(unit for unit in ("ms", "µs", "ns") if count >= _UNITS[unit])
            return f"{sign}{_decimal(count, _UNITS[unit])}{unit}"
        minutes, rest = divmod(count, _UNITS["m"])
        hours, minutes = divmod(minutes, 60)
        text = f"{_decimal(rest, _UNITS['s'])}s"
        if hours:
            text = f"{hours}h{minutes}m{text}"
        elif minutes:
            text = f"{minutes}m{text}"
        return sign + text


def _decimal(count: int, unit: int) -> str:
    whole, rest = divmod(count, unit)
    if not rest:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0")


def parse_duration(value: Any) -> Duration:
    """A duration from Go's syntax, parts such as `1h2m3.5s`. Raises ValueError."""
    if isinstance(value, Duration):
        return value
    whole = _WHOLE.fullmatch(value) if isinstance(value, str) and len(value) <= 100 else None
    if whole is None:
        raise ValueError(f"{value!r} is not a duration such as 90s or 1m30s")
    count = sum((Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(whole.group(2))), Decimal(0))
    if count > _LIMIT:
        raise ValueError(f"{value!r} is too long: at most about 292 years")
    return Duration(-int(count) if whole.group(1) == "-" else int(count))
