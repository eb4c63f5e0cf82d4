"""What a node does with one packet: what the differential test does not reach."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from muslin.semantics.snapshot import Snapshot
from runtime.calc.compute import compute
from runtime.calc.state import Action, NodeState
from runtime.calc.verdict import Judge, Packet, Path, Why, judge
from tests.support.clusters import global_policy, namespace_profile, workload


def _packet(source: str, destination: str, **more: Any) -> Packet:
    return Packet(ip_address(source), ip_address(destination), 6, 40000, 80, **more)


def _state(**changed: Any) -> NodeState:
    state = compute(
        Snapshot.of(
            [namespace_profile("default"), workload("web", "10.48.0.1"), workload("db", "10.48.0.2")],
        ),
        "node-a",
    )
    return replace(state, **changed)


def test_unknown_workload_interface_passes_nothing() -> None:
    """An interface that the state does not know is denied in both directions."""
    for more in ({"in_interface": "cali-ghost"}, {"out_interface": "cali-ghost"}):
        judgement = judge(_state(), _packet("10.48.0.9", "203.0.113.10", **more))

        assert (judgement.allowed, judgement.why) == (False, Why.UNKNOWN_INTERFACE)


def test_workload_that_is_set_down_passes_nothing() -> None:
    """`admin_up` false denies before any policy."""
    state = _state()
    down = {name: replace(endpoint, admin_up=False) for name, endpoint in state.endpoints.items()}
    judgement = judge(replace(state, endpoints=down), _packet("10.48.0.1", "203.0.113.10", in_interface="cali-web"))

    assert (judgement.allowed, judgement.why) == (False, Why.ADMIN_DOWN)


@pytest.mark.parametrize(("action", "allowed"), [(Action.DENY, False), (Action.ALLOW, True), (Action.PASS, True)])
def test_packets_to_the_node_itself_follow_its_setting(action: Action, *, allowed: bool) -> None:
    """After egress policy the setting decides; what other nodes send here is not the workload's business."""
    state = _state(endpoint_to_host=action)
    packet = _packet("10.48.0.1", "192.0.2.1", in_interface="cali-web", path=Path.INPUT)

    assert (allowed, Why.ENDPOINT_TO_HOST) == (judge(state, packet).allowed, judge(state, packet).why)
    assert judge(state, _packet("192.0.2.2", "192.0.2.1", path=Path.INPUT)).allowed


def test_node_reaches_its_own_workloads() -> None:
    """Packets from the node itself are not judged, whatever policy says."""
    closed = compute(Snapshot.of([workload("web", "10.48.0.1"), global_policy("deny")]), "node-a")
    packet = _packet("192.0.2.1", "10.48.0.1", out_interface="cali-web")

    assert not judge(closed, packet).allowed
    assert judge(closed, replace(packet, path=Path.OUTPUT)).allowed


def test_interfaces_are_found_by_address() -> None:
    """A connection's addresses say which workloads take part; the node's own ends stay without interface."""
    judge_of = Judge(_state())

    assert _ends(judge_of.located(_packet("10.48.0.1", "10.48.0.2"))) == ("cali-web", "cali-db")
    assert _ends(judge_of.located(_packet("10.48.0.1", "203.0.113.10"))) == ("cali-web", None)
    assert _ends(judge_of.located(_packet("192.0.2.1", "10.48.0.2", path=Path.OUTPUT))) == (None, "cali-db")


def _ends(packet: Packet) -> tuple[str | None, str | None]:
    return packet.in_interface, packet.out_interface


def test_judgement_names_policy_and_rule() -> None:
    """The reason is a value: which policy, which rule, which tier."""
    rules = [{"action": "Log"}, {"action": "Deny", "protocol": "UDP"}, {"action": "Allow", "protocol": "TCP"}]
    state = compute(Snapshot.of([workload("web", "10.48.0.1"), global_policy("g", egress=rules)]), "node-a")
    judgement = judge(state, _packet("10.48.0.1", "203.0.113.10", in_interface="cali-web"))

    assert (
        judgement.allowed,
        judgement.why,
        judgement.policy and judgement.policy.name,
        judgement.rule,
        judgement.tier,
    ) == (True, Why.RULE, "g", 2, "default")
