"""Limits on a pod's traffic, from its annotations.

Source: calico.md section 1a; Calico's `conversion` package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from muslin.conversion.quantities import quantity

__all__ = ["qos_controls"]

_KUBERNETES, _CALICO = "kubernetes.io/", "qos.projectcalico.org/"

_BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    "Bandwidth": (1_000, 10**15),
    "Burst": (1_000, 34_359_738_360),
    "Peakrate": (1_010, 1_010_000_000_000_000),
    "Minburst": (1_000, 100_000_000),
    "PacketRate": (1, 10_000),
    "PacketBurst": (1, 10_000),
    "MaxConnections": (1, 2**32 - 1),
}
_DEFAULT_BURST, _DEFAULT_PACKET_BURST = 4 * 2**30, 5
_NEEDS: Final = (
    ("Burst", "Bandwidth"),
    ("Peakrate", "Bandwidth"),
    ("Minburst", "Peakrate"),
    ("PacketBurst", "PacketRate"),
)
"""What makes no sense without the other, in the order in which it is looked at."""
_DSCP: Final = frozenset(
    {"DF", "EF"}
    | {f"AF{group}{drop}" for group in range(1, 5) for drop in range(1, 4)}
    | {f"CS{group}" for group in range(7)}
)

Tell = Callable[[str, str], None]


def qos_controls(annotations: Mapping[str, str], tell: Tell) -> dict[str, Any]:
    """`spec.qosControls` of a WorkloadEndpoint, empty where nothing is limited.

    A value out of bounds becomes the nearest bound; one that is no quantity, or makes no sense without another that is
    missing, is left out. Both are told as (what, key of the annotation).
    """
    found: dict[str, Any] = {}
    for direction in ("ingress", "egress"):
        found |= _of_direction(direction, annotations, tell)
    dscp = annotations.get(f"{_CALICO}dscp")
    if dscp is not None:
        value = _dscp(dscp)
        if value is None:
            tell(f"{dscp!r} is neither 0..63 nor a name such as EF", f"{_CALICO}dscp")
        else:
            found["dscp"] = value
    return found


def _of_direction(direction: str, annotations: Mapping[str, str], tell: Tell) -> dict[str, int]:
    values: dict[str, int] = {}
    for name, bounds in _BOUNDS.items():
        keys = [_CALICO + direction + name]
        if name == "Bandwidth":
            keys.insert(0, f"{_KUBERNETES}{direction}-bandwidth")
        for key in keys:
            if key in annotations:
                values[name] = _bounded(annotations[key], bounds, key, tell)
    for name, other in _NEEDS:
        if not values.get(name):
            continue
        if not values.get(other):
            tell(f"{direction}{name} needs {direction}{other}", _CALICO + direction + name)
            values[name] = 0
        elif name == "Peakrate" and values["Bandwidth"] >= values["Peakrate"]:
            tell(f"{direction}Peakrate must be greater than {direction}Bandwidth", _CALICO + direction + name)
            values[name] = 0
    if values.get("Bandwidth") and not values.get("Burst"):
        values["Burst"] = _DEFAULT_BURST
    if values.get("PacketRate") and not values.get("PacketBurst"):
        values["PacketBurst"] = _DEFAULT_PACKET_BURST
    return {direction + name: value for name, value in values.items() if value}


def _bounded(text: str, bounds: tuple[int, int], key: str, tell: Tell) -> int:
    least, most = bounds
    try:
        value = quantity(text)
    except ValueError as error:
        tell(str(error), key)
        return 0
    if value < least:
        tell(f"{text} is less than {least}; {least} is used", key)
    elif value > most:
        tell(f"{text} is more than {most}; {most} is used", key)
    return max(least, min(most, value))


def _dscp(text: str) -> int | str | None:
    if text.isascii() and text.isdigit() and len(text) <= 3:
        return int(text) if int(text) <= 63 else None
    name = text.strip().upper()
    return name if name in _DSCP else None
