"""Protocols and ports of a rule of Kubernetes, as those of Calico's rules: one rule a protocol, ranges merged.

Source: calico.md section 1a.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from muslin.resources.ports import NamedPort, Port, PortRange, print_port

__all__ = ["ANY_PROTOCOL", "by_protocol", "merged"]

ANY_PROTOCOL: Final = ""
"""Instead of a protocol: the rule names none."""


def by_protocol(entries: Iterable[tuple[str, Port | None]]) -> Mapping[str, list[int | str]]:
    """Mapping[protocol, its ports as JSON], protocols sorted; no ports mean all.

    Args:
        entries: (protocol, port) each; a port of None means all ports, and swallows the others of its protocol.
    """
    found: dict[str, list[Port]] = {}
    whole = set()
    for protocol, port in entries:
        found.setdefault(protocol, [])
        if port is None:
            whole.add(protocol)
        else:
            found[protocol].append(port)
    return {
        protocol: [] if protocol in whole else [print_port(port) for port in merged(found[protocol])]
        for protocol in sorted(found)
    }


def merged(ports: Sequence[Port]) -> list[Port]:
    """As few ports and ranges as mean the same: names first, then numbers in their order."""
    names = [port for port in ports if isinstance(port, NamedPort)]
    ranges = sorted(port for port in ports if isinstance(port, PortRange))
    if sum(each.last - each.first + 1 for each in ranges) <= 1:
        return list(ports)
    joined: list[PortRange] = []
    for each in ranges:
        if joined and each.first <= joined[-1].last + 1:
            joined[-1] = PortRange(joined[-1].first, max(joined[-1].last, each.last))
        else:
            joined.append(each)
    return [*names, *joined]
