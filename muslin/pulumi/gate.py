"""What is waited for before the mesh goes off: CalicoNodeStatus objects of the reflectors, and what they must say.

A reflector has left the mesh, so the sessions in its status are those that replace it: one with every node that it
serves, and with the other reflectors. Where switches or reflectors outside of the cluster distribute routes, every node
is asked for its sessions with these. Pulumi waits for the state of each by RFC 9535's JSONPath.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from muslin.pulumi.arguments import Gate
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from blueprints.fact_parts import NodeFacts
    from blueprints.facts import Facts
    from muslin.net import Address

__all__ = ["Waiting", "gates"]

_WAIT_FOR: Final = "pulumi.com/waitFor"
_TIMEOUT: Final = "pulumi.com/timeoutSeconds"
_MOST: Final = 1000
"""Sessions in one object's annotation: at 90 bytes each, well within the 256 KiB that Kubernetes allows for all."""


class Waiting(NamedTuple):
    """One object that asks a node for its sessions, and the annotations that make Pulumi wait for them."""

    key: Key
    value: Mapping[str, Any]
    annotations: Mapping[str, str]


def gates(facts: Facts, nodes: Mapping[str, Mapping[str, Any]], gate: Gate) -> tuple[Waiting, ...]:
    """The objects that open the gate once all of them are as they should be.

    Args:
        facts: for the nodes' addresses.
        nodes: Mapping[name, Node as JSON]: what is declared of them; those with a cluster ID reflect.
        gate: how long, how often.
    """
    reflecting = [each for each in facts.nodes if _cluster_id(nodes.get(each.name))]
    if reflecting:
        asked = {each.name: [other for other in facts.nodes if other is not each] for each in reflecting}
        expected = {
            name: [_established(address) for each in others for address in _addresses(facts, each)]
            for name, others in asked.items()
        }
    else:
        expected = {each.name: [_established(address) for address in _outside(facts, each)] for each in facts.nodes}
    return tuple(waiting for name, all_of in expected.items() for waiting in _asking(name, all_of, gate))


def _cluster_id(node: Mapping[str, Any] | None) -> Any:
    return ((node or {}).get("spec") or {}).get("bgp", {}).get("routeReflectorClusterID")


def _addresses(facts: Facts, node: NodeFacts) -> Iterator[Address]:
    for version in facts.families:
        if (address := node.address_of(version)) is not None:
            yield address


def _outside(facts: Facts, node: NodeFacts) -> Iterator[Address]:
    """Who tells this node of routes from outside of the cluster: reflectors there, switches of its rack."""
    for each in facts.external_reflectors:
        yield from (address for version in facts.families if (address := each.address_of(version)) is not None)
    yield from (each.address for each in facts.top_of_rack if node.rack in each.racks)


def _established(address: Address) -> str:
    return f'jsonpath={{.status.bgp.peersV{address.version}[?(@.peerIP=="{address}")].state}}=Established'


def _asking(node: str, expected: list[str], gate: Gate) -> Iterator[Waiting]:
    for part, start in enumerate(range(0, len(expected), _MOST)):
        name = f"sessions-of-{node}" + (f"-{part}" if part else "")
        value = {
            "apiVersion": "projectcalico.org/v3",
            "kind": "CalicoNodeStatus",
            "metadata": {"name": name},
            "spec": {"node": node, "classes": ["BGP"], "updatePeriodSeconds": gate.period_s},
        }
        annotations = {
            _WAIT_FOR: json.dumps(expected[start : start + _MOST]),
            _TIMEOUT: str(gate.timeout_s),
        }
        yield Waiting(Key("CalicoNodeStatus", name), value, annotations)
