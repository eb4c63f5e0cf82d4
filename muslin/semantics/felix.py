"""Which FelixConfiguration is in force for a setting of a node.

Precedence, most special first: `node.<name>`, then those whose nodeSelector matches (by name), then `default`. A
setting that a more special object leaves unset is taken from the next one. Source: calico.md section 2.21.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.node import Node
from muslin.selectors import parse
from muslin.semantics.snapshot import Snapshot

__all__ = ["setting"]


def setting(snapshot: Snapshot, node_name: str, field: str) -> Any:
    """Value of a setting for a node, None where no object that applies sets it.

    Args:
        snapshot: all resources.
        node_name: whose setting; the node itself need not exist.
        field: Python name of the field, such as `default_endpoint_to_host_action`.
    """
    for configuration in _applying(snapshot, node_name):
        value = getattr(configuration.spec, field)
        if value is not None:
            return value
    return None


def _applying(snapshot: Snapshot, node_name: str) -> Iterator[FelixConfiguration]:
    own = snapshot.get(FelixConfiguration, f"node.{node_name}")
    if own is not None:
        yield own
    node = snapshot.get(Node, node_name)
    labels = node.metadata.labels if node is not None else {}
    for configuration in snapshot.all(FelixConfiguration):
        name = configuration.metadata.name
        if name == "default" or name.startswith("node.") or not configuration.spec.node_selector:
            continue
        if parse(configuration.spec.node_selector).matches(labels):
            yield configuration
    default = snapshot.get(FelixConfiguration, "default")
    if default is not None:
        yield default
