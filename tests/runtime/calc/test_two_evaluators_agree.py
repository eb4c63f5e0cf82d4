"""The compiled state of both nodes says the same as the small evaluator over the resources."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from muslin.resources.node import Node
from muslin.semantics.routes import node_address
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from runtime.calc.compute import compute
from runtime.calc.verdict import Judge, Packet, Path
from tests.support.policy_strategies import NODES, clusters, flows


def _through_the_nodes(snapshot: Snapshot, flow: Flow) -> bool:
    """Walk a packet through every node that it crosses, by their states alone."""
    judges = {name: Judge(compute(snapshot, name)) for name in NODES}
    addresses = {name: node_address(snapshot.get(Node, name), flow.source.version) for name in NODES}  # type: ignore[arg-type]
    for name in NODES:
        path = Path.FORWARD
        if addresses[name] == flow.source:
            path = Path.OUTPUT
        elif addresses[name] == flow.destination:
            path = Path.INPUT
        packet = Packet(
            flow.source, flow.destination, flow.protocol, flow.source_port, flow.destination_port, flow.icmp, path=path
        )
        if not judges[name].judge(judges[name].located(packet)).allowed:
            return False
    return True


@settings(max_examples=80, deadline=None)
@given(clusters(), st.lists(flows(), min_size=8, max_size=12))
def test_states_of_both_nodes_judge_as_the_resources_say(snapshot: Snapshot, packets: list[Flow]) -> None:
    """Egress at the source's node and ingress at the destination's together are the cluster's verdict."""
    expected = [verdict(snapshot, flow).allowed for flow in packets]
    actual = [_through_the_nodes(snapshot, flow) for flow in packets]

    assert expected == actual


@settings(max_examples=25, deadline=None)
@given(clusters(), st.integers(0, 2**32))
def test_order_of_delivery_does_not_matter(snapshot: Snapshot, seed: int) -> None:
    """Any permutation of the same resources gives the same state."""
    resources = list(snapshot.resources.values())
    random.Random(seed).shuffle(resources)

    assert compute(snapshot, "node-a") == compute(Snapshot.of(resources), "node-a")
