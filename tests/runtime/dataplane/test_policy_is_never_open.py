"""R6: an interface that policy does not know gets and sends nothing. R7: a rewrite is never seen half done."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from ipaddress import ip_address
from random import Random

import pytest

from runtime.calc.state import (
    Action,
    Endpoint,
    NodeState,
    PolicyId,
    PolicyRules,
    PortRange,
    Rule,
    RuleMatch,
    TierPolicies,
)
from runtime.calc.verdict import Packet, Path
from runtime.dataplane.netlink.socket import NetlinkSocket
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.nftables import Nftables, TablePlan
from runtime.dataplane.ruleset import compile_ruleset
from tests.support.netns import entered, ip, isolated
from tests.support.node_states import HOST, OUTSIDE, PODS
from tests.support.pod_wiring import Probes, wire_node

_POLICY = PolicyId("NetworkPolicy", "p", "ns")
_PROFILE = PolicyId("Profile", "kns.ns")
_EVERYTHING = PolicyRules((Rule(Action.ALLOW),), (Rule(Action.ALLOW),))


def _open_state(*interfaces: str, action: Action = Action.ALLOW) -> NodeState:
    endpoints = {name: Endpoint(name, "ns", name, PODS[name], profiles=(_PROFILE,), tiers=()) for name in interfaces}
    return NodeState("n", "1", endpoints=endpoints, policies={_PROFILE: _EVERYTHING}, endpoint_to_host=action)


@isolated
def test_unknown_workload_gets_and_sends_nothing() -> None:
    """Baseline and a state without the pod: 0 of its packets pass, in any direction, to anybody but from the node."""
    wiring = wire_node()
    driver = Nftables()
    probes = Probes(wiring)
    one, two = PODS["cali1"], PODS["cali2"]
    for state in (NodeState("n", "0"), _open_state("cali2")):
        driver.converge(compile_ruleset(state))
        for version in (0, 1):
            for protocol in (6, 17):
                for packet in (
                    Packet(one[version], OUTSIDE[version], protocol, 40000, 80, None, "cali1", None),
                    Packet(OUTSIDE[version], one[version], protocol, 40000, 80, None, None, "cali1"),
                    Packet(one[version], two[version], protocol, 40000, 80, None, "cali1", "cali2"),
                    Packet(two[version], one[version], protocol, 40000, 80, None, "cali2", "cali1"),
                    Packet(one[version], HOST[version], protocol, 40000, 80, None, "cali1", None, Path.INPUT),
                ):
                    assert probes.arrives(packet) is None, packet
    driver.converge(compile_ruleset(_open_state("cali1", "cali2")))
    assert probes.arrives(Packet(one[0], OUTSIDE[0], 17, 40000, 80, None, "cali1", None)) == one[0]


@isolated
def test_borrowed_source_address_is_dropped() -> None:
    """A pod may only send from its own addresses (R17), whatever policy allows."""
    wiring = wire_node()
    for address in (PODS["cali2"][0], ip_address("198.51.100.9")):
        ip(f"addr add {address}/32 dev lo", wiring.pods["cali1"])
    Nftables().converge(compile_ruleset(_open_state("cali1", "cali2")))
    probes = Probes(wiring)
    for address in (PODS["cali2"][0], ip_address("198.51.100.9")):
        probes.send_from("cali1", address)
        packet = Packet(address, OUTSIDE[0], 17, 40000, 80, None, "cali1", None)

        assert probes.arrives(packet) is None

    probes.send_from("cali1", PODS["cali1"][0])
    assert probes.arrives(Packet(PODS["cali1"][0], OUTSIDE[0], 17, 40000, 80, None, "cali1", None)) is not None


@isolated
def test_workload_may_not_speak_vxlan() -> None:
    """UDP to the VXLAN port from a pod is dropped, towards hosts and beyond (R17)."""
    wiring = wire_node()
    Nftables().converge(compile_ruleset(_open_state("cali1", "cali2")))
    probes = Probes(wiring)
    pod = PODS["cali1"][0]
    for port, arrives in ((4789, False), (4790, True)):
        outward = Packet(pod, OUTSIDE[0], 17, 40000, port, None, "cali1", None)
        to_node = Packet(pod, HOST[0], 17, 40000, port, None, "cali1", None, Path.INPUT)

        assert [probes.arrives(packet) is not None for packet in (outward, to_node)] == [arrives, arrives]


@isolated
def test_flows_that_are_there_go_on_while_a_large_change_is_loaded_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed for new flows only: after each commit the old connection still carries, whoever dies just then."""
    wiring = wire_node()
    driver = Nftables(exclusive=False)
    driver.converge(compile_ruleset(_open_state("cali1", "cali2")))
    with entered(wiring.outside):
        listener = socket.create_server((str(OUTSIDE[0]), 80))
    with entered(wiring.pods["cali1"]):
        client = socket.create_connection((str(OUTSIDE[0]), 80), timeout=5)
    server, _ = listener.accept()
    server.settimeout(2)
    ports = [Rule(Action.ALLOW, RuleMatch(protocol=17, not_protocol=6, destination_ports=(PortRange(p, p),)))
             for p in range(1000, 1100)]  # fmt: skip
    rules = [replace(rule, action=(Action.ALLOW, Action.DENY)[i % 2]) for i, rule in enumerate(ports)]
    large = replace(_open_state("cali1", "cali2"), policies={_PROFILE: PolicyRules(tuple(rules), tuple(rules))})
    commit = driver._commit
    carried: list[bytes] = []

    def watched(part: list[Message], generation: int, plan: TablePlan) -> None:
        commit(part, generation, plan)
        client.sendall(b"on")
        carried.append(server.recv(100))

    monkeypatch.setattr(NetlinkSocket, "send_limit", 12000)
    monkeypatch.setattr(driver, "_commit", watched)
    driver.converge(compile_ruleset(large))

    assert len(carried) > 3
    assert set(carried) == {b"on"}


@isolated
def test_rewriting_policies_is_atomic_under_probes() -> None:
    """While chains and sets are rewritten without pause, allowed probes always pass and denied ones never."""
    wiring = wire_node()
    driver = Nftables()
    random = Random(6)

    def state(revision: int) -> NodeState:
        ports = tuple(PortRange(port, port) for port in random.sample(range(1000, 60000), 5))
        allowed = Rule(Action.ALLOW, RuleMatch(protocol=17, destination_ports=(*ports, PortRange(80, 80))))
        denied = Rule(Action.DENY, RuleMatch(protocol=17, destination_ports=(PortRange(81, 81), *ports[:2])))
        rules = (denied, allowed) if revision % 2 else (allowed, denied, Rule(Action.DENY))
        tiers = (TierPolicies("default", Action.DENY, (_POLICY,), ()),)
        base = _open_state("cali1", "cali2")
        return replace(
            base,
            revision=str(revision),
            policies={**base.policies, _POLICY: PolicyRules(rules, ())},
            endpoints={name: replace(found, tiers=tiers) for name, found in base.endpoints.items()},
        )

    driver.converge(compile_ruleset(state(0)))
    probes = Probes(wiring)
    stop = threading.Event()
    writes = [0]

    def rewrite() -> None:
        while not stop.is_set():
            writes[0] += bool(driver.converge(compile_ruleset(state(writes[0] + 1))))

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        outcomes = [
            (
                probes.arrives(Packet(PODS["cali1"][0], PODS["cali2"][0], 17, 40000, 80, None, "cali1", "cali2")),
                probes.arrives(Packet(PODS["cali1"][0], PODS["cali2"][0], 17, 40000, 81, None, "cali1", "cali2")),
            )
            for _ in range(1500)
        ]
    finally:
        stop.set()
        writer.join()

    assert {(PODS["cali1"][0], None)} == set(outcomes)
    assert writes[0] > 100
