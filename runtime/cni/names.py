"""Names that two implementations must compute alike: the IPAM handle of a sandbox."""

from __future__ import annotations

from typing import NewType

from muslin.ipam.names import cni_handle

__all__ = ["Handle", "handle_of"]

Handle = NewType("Handle", str)
"""IPAM handle of a pod's sandbox, `<network>.<container id>`."""


def handle_of(network: str, container_id: str) -> Handle:
    """The IPAM handle under which a sandbox's addresses are held."""
    return Handle(cni_handle(network, container_id))
