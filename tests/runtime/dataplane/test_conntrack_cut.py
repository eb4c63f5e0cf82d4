"""After a policy tightened: denied flows end, allowed ones do not notice; `conntrack` is the independent witness."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from muslin.net import Address
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
from runtime.calc.verdict import Judge, Packet
from runtime.dataplane.conntrack import Conntrack, Flow, denied
from runtime.dataplane.netlink.conntrack import Entry, FlowTuple, dump_entries
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.nftables import Nftables
from runtime.dataplane.ruleset import compile_ruleset
from tests.support.netns import entered, isolated, run
from tests.support.node_states import HOST, OUTSIDE, PODS
from tests.support.pod_wiring import Wiring, wire_node

_POLICY = PolicyId("NetworkPolicy", "p", "ns")
_WHOLE = tuple(dump_entries(version) for version in (4, 6))
_ADDRESSES = frozenset(address for addresses in PODS.values() for address in addresses)


def _state(*ports: int) -> NodeState:
    """Both pods may send; they are reached on these TCP ports only."""
    allow = Rule(Action.ALLOW, RuleMatch(protocol=6, destination_ports=tuple(PortRange(p, p) for p in ports)))
    rules = PolicyRules((allow,), (Rule(Action.ALLOW),))
    tiers = (TierPolicies("default", Action.DENY, (_POLICY,), (_POLICY,)),)
    endpoints = {name: Endpoint(name, "ns", name, addresses, tiers=tiers) for name, addresses in PODS.items()}
    return NodeState("n", "1", endpoints=endpoints, policies={_POLICY: rules})


def _sending(*ports: int) -> NodeState:
    """Both pods may be reached; they send to these TCP ports only."""
    open_ = _state(*ports)
    rules = open_.policies[_POLICY]
    return replace(open_, policies={_POLICY: PolicyRules(rules.egress, rules.ingress)})


def _allowed(state: NodeState, flow: Flow) -> bool:
    judge = Judge(state)
    ports = (flow.source_port, flow.destination_port)
    packet = Packet(flow.source, flow.destination, flow.protocol, *ports, flow.icmp)
    return judge.judge(judge.located(packet)).allowed


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _connection(
    wiring: Wiring, source: str | None, target: str, address: Address, port: int
) -> tuple[socket.socket, socket.socket]:
    family = _family(address)
    with entered(wiring.pods[target]):
        listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((str(address), port))
    listener.listen()
    with entered(wiring.outside if source is None else wiring.pods[source]):
        client = socket.socket(family)
    client.settimeout(5)
    if source is None:
        client.bind((str(OUTSIDE[address.version == 6]), 0))
    client.connect((str(address), port))
    server, _ = listener.accept()
    listener.close()
    server.settimeout(5)
    return client, server


def _tracked(port: int) -> str:
    return run("conntrack", "-L", "-p", "tcp", "--orig-port-dst", str(port))


def _asked(conntrack: Conntrack, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Dumps that the driver will have asked the kernel for."""
    asked: list[Message] = []
    dump = conntrack._socket.dump

    def noted(request: Message) -> list[bytes]:
        asked.append(request)
        return dump(request)

    monkeypatch.setattr(conntrack._socket, "dump", noted)
    return asked


@pytest.mark.parametrize("filtered", [True, False])
@isolated
def test_tightened_policy_ends_denied_flows_only(filtered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow to the port that lost its allow is gone; the idle one to the other port still carries both ways."""
    wiring = wire_node()
    driver, conntrack = Nftables(), Conntrack()
    monkeypatch.setattr("runtime.dataplane.conntrack._WORTH_A_FILTER", 1 if filtered else 1_000_000)
    asked = _asked(conntrack, monkeypatch)
    driver.converge(compile_ruleset(_state(80, 81)))
    kept = [_connection(wiring, source, "cali1", PODS["cali1"][v], 80) for source in (None, "cali2") for v in (0, 1)]
    lost = [_connection(wiring, source, "cali1", PODS["cali1"][v], 81) for source in (None, "cali2") for v in (0, 1)]
    tight = _state(80)
    driver.converge(compile_ruleset(tight))

    assert conntrack.cut(_ADDRESSES, lambda flow: _allowed(tight, flow)) == len(lost)

    assert {request in _WHOLE for request in asked} == {not filtered}
    assert "dport=81" not in _tracked(81)
    for client, server in kept:
        server.sendall(b"server speaks first")
        assert client.recv(100) == b"server speaks first"
        client.sendall(b"and is answered")
        assert server.recv(100) == b"and is answered"
    for client, server in lost:
        client.settimeout(0.1)
        server.settimeout(0.1)
        server.sendall(b"should not revive it")
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.sendall(b"should not come")
        with pytest.raises(TimeoutError):
            server.recv(100)
    assert conntrack.cut(_ADDRESSES, lambda flow: _allowed(tight, flow)) == 0


@isolated
def test_a_server_elsewhere_does_not_revive_what_egress_policy_ended() -> None:
    """Its next segment, of a flow that is no longer tracked, begins none towards the pod, though ingress is open."""
    wiring = wire_node()
    driver, conntrack = Nftables(), Conntrack()
    driver.converge(compile_ruleset(_sending(80, 81)))
    for address in OUTSIDE:
        with entered(wiring.outside):
            listener = socket.create_server((str(address), 81), family=_family(address))
        with entered(wiring.pods["cali1"]):
            client = socket.create_connection((str(address), 81), timeout=5)
        server, _ = listener.accept()
        tight = _sending(80)
        driver.converge(compile_ruleset(tight))

        assert conntrack.cut(_ADDRESSES, lambda flow, tight=tight: _allowed(tight, flow)) == 1  # type: ignore[misc]

        _carries_nothing(client, server)
        driver.converge(compile_ruleset(_sending(80, 81)))


@isolated
def test_the_node_does_not_revive_what_a_pod_may_no_longer_have_with_it() -> None:
    """A pod's flow to the node itself, ended as the setting is Drop now, is not begun anew by the node's answer."""
    wiring = wire_node()
    driver, conntrack = Nftables(), Conntrack()
    closed = _sending(80, 81)
    driver.converge(compile_ruleset(replace(closed, endpoint_to_host=Action.ALLOW)))
    listener = socket.create_server((str(HOST[0]), 81))
    with entered(wiring.pods["cali1"]):
        client = socket.create_connection((str(HOST[0]), 81), timeout=5)
    server, _ = listener.accept()
    driver.converge(compile_ruleset(closed))

    assert conntrack.cut(_ADDRESSES, lambda _flow: False) == 1

    _carries_nothing(client, server)


def _carries_nothing(client: socket.socket, server: socket.socket) -> None:
    for one, other in ((server, client), (client, server)):
        other.settimeout(0.3)
        one.sendall(b"should not come")
        with pytest.raises(TimeoutError):
            other.recv(100)


@isolated
def test_translated_destination_is_what_is_judged() -> None:
    """Through a DNAT to the pod's port 80 the flow is judged as to the pod, and stays while port 80 is allowed."""
    wiring = wire_node()
    driver, conntrack = Nftables(), Conntrack()
    run("nft", "add table ip nat; add chain ip nat pre { type nat hook prerouting priority -100; }")
    run("nft", "add rule ip nat pre ip daddr 192.0.2.1 tcp dport 8443 dnat to 10.48.0.1:80")
    driver.converge(compile_ruleset(_state(80)))
    with entered(wiring.pods["cali1"]):
        listener = socket.create_server(("10.48.0.1", 80))
    with entered(wiring.outside):
        client = socket.create_connection(("192.0.2.1", 8443), timeout=5)
    server, _ = listener.accept()
    seen: list[Flow] = []

    def judged(state: NodeState, flow: Flow) -> bool:
        seen.append(flow)
        return _allowed(state, flow)

    assert conntrack.cut(_ADDRESSES, lambda flow: judged(_state(80), flow)) == 0
    server.sendall(b"still here")
    assert client.recv(100) == b"still here"
    assert [(str(flow.destination), flow.destination_port) for flow in seen] == [("10.48.0.1", 80)]
    assert [(str(flow.original.destination), flow.original.destination_port) for flow in seen] == [("192.0.2.1", 8443)]
    assert conntrack.cut(_ADDRESSES, lambda flow: judged(_state(443), flow)) == 1
    assert "dport=8443" not in _tracked(8443)


@isolated
def test_read_agrees_with_the_conntrack_tool() -> None:
    """Tuples, protocols and ports of our reading are those that `conntrack -L` prints."""
    wiring = wire_node()
    Nftables().converge(compile_ruleset(_state(80)))
    client, _server = _connection(wiring, "cali2", "cali1", PODS["cali1"][0], 80)

    (entry,) = Conntrack().read([PODS["cali1"][0]])

    line = _tracked(80)
    port = client.getsockname()[1]
    assert f"src=10.48.0.2 dst=10.48.0.1 sport={port} dport=80" in line
    assert entry.original == FlowTuple(PODS["cali2"][0], PODS["cali1"][0], 6, port, 80)
    assert entry.reply == FlowTuple(PODS["cali1"][0], PODS["cali2"][0], 6, 80, port)


@isolated
def test_an_empty_table_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is tracked nothing is asked for: the kernel would walk every bucket of all namespaces."""
    conntrack = Conntrack()
    asked = _asked(conntrack, monkeypatch)

    assert conntrack.cut(_ADDRESSES, lambda _flow: False) == 0
    assert not asked


def test_flows_of_others_are_not_even_judged() -> None:
    """An entry between strangers is left alone, whatever the judge would say."""
    one, two = ip_address("198.51.100.1"), ip_address("198.51.100.2")
    strangers = Entry(FlowTuple(one, two, 6, 1, 2), FlowTuple(two, one, 6, 2, 1), b"")
    ours = replace(strangers, reply=FlowTuple(PODS["cali1"][0], one, 6, 80, 1))

    assert denied([strangers, ours], _ADDRESSES, lambda _flow: False) == [ours]
    assert denied([strangers, ours], _ADDRESSES, lambda flow: flow.destination in ip_network("10.48.0.0/16")) == []
