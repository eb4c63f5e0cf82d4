"""Whose connections must be looked at after a change: never too few, and nobody's when a pod is only added."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from muslin.net import Mac
from runtime.calc.state import (
    Action,
    Endpoint,
    NodeState,
    PolicyId,
    PolicyRules,
    Rule,
    RuleMatch,
    SetId,
    TierPolicies,
)
from runtime.calc.tightening import Suspects, suspects
from runtime.calc.verdict import Judge
from tests.support.node_states import random_packet, random_state

pytestmark = pytest.mark.slow

_POLICY = PolicyId("NetworkPolicy", "p", "ns")
_SET = SetId("s:friends")
_ONE, _TWO = ip_address("10.48.0.1"), ip_address("10.48.0.2")


def _state(*members: str, action: Action = Action.ALLOW, negative: bool = False, pods: int = 1) -> NodeState:
    sets = (_SET,)
    match = RuleMatch(not_source_sets=sets) if negative else RuleMatch(source_sets=sets)
    tiers = (TierPolicies("default", Action.DENY, ingress=(_POLICY,)),)
    endpoints = {
        f"cali{number}": Endpoint(
            f"pod{number}", "ns", f"cali{number}", (ip_address(f"10.48.0.{number}"),), tiers=tiers
        )
        for number in range(1, pods + 1)
    }
    return NodeState(
        "node-1",
        "1",
        endpoints=endpoints,
        policies={_POLICY: PolicyRules(ingress=(Rule(action, match), Rule(Action.ALLOW)))},
        sets={_SET: frozenset(ip_network(member) for member in members)},
    )


def _mutated(old: NodeState, random: Random) -> NodeState:
    """One small change, so that precision is put to the test, not only whole new states."""
    other = random_state(random)
    choice = random.randrange(4)
    if choice == 0:
        changed = random.choice(list(old.sets))
        return replace(old, sets={**old.sets, changed: other.sets[changed]})
    if choice == 1:
        name = random.choice(list(old.policies))
        return replace(old, policies={**old.policies, name: other.policies.get(name, PolicyRules())})
    if choice == 2:
        return replace(old, endpoints=other.endpoints)
    return replace(old, endpoint_to_host=other.endpoint_to_host)


@pytest.mark.parametrize("seed", range(300))
def test_whatever_is_newly_denied_touches_a_suspect(seed: int) -> None:
    """If a packet passed before and does not now, one of its ends is named."""
    random = Random(seed)
    old = random_state(random)
    new = _mutated(old, random)
    found = suspects(old, new)
    named = found.changed | found.gone
    before, after = Judge(old), Judge(new)

    for _ in range(60):
        packet = random_packet(random)
        if before.judge(packet).allowed and not after.judge(packet).allowed:
            assert {packet.source, packet.destination} & named


def test_at_the_start_everybody_is_suspected() -> None:
    """What a predecessor left unfinished is not known."""
    assert suspects(None, _state(pods=2)) == Suspects(frozenset({_ONE, _TWO}))


def test_a_pod_that_is_only_added_costs_nothing() -> None:
    """No connection of others is looked at for a new pod, and it has none."""
    assert not suspects(_state(pods=1), _state(pods=2))


def test_a_removed_pods_connections_are_all_over() -> None:
    """Whoever gets its address next must not inherit them."""
    assert suspects(_state(pods=2), _state(pods=1)) == Suspects(gone=frozenset({_TWO}))


def test_an_address_that_another_pod_got_at_once_starts_afresh() -> None:
    """The same address on another interface is another pod."""
    old = _state(pods=1)
    moved = replace(old, endpoints={"cali9": replace(old.endpoints["cali1"], interface="cali9")})

    assert suspects(old, moved).gone == {_ONE}


def test_a_pods_next_sandbox_with_the_same_address_starts_afresh() -> None:
    """Interface and address can be as before, if both came and went between two snapshots; the MAC is another."""
    (name, endpoint), *_ = _state().endpoints.items()
    old, new = (replace(_state(), endpoints={name: replace(endpoint, mac=Mac(f"02:00:00:00:00:0{n}"))}) for n in (1, 2))

    assert suspects(old, new).gone == {_ONE}
    assert not suspects(old, old)


@pytest.mark.parametrize(
    ("action", "negative", "grows", "suspected"),
    [
        (Action.ALLOW, False, True, False),
        (Action.ALLOW, False, False, True),
        (Action.ALLOW, True, True, True),
        (Action.ALLOW, True, False, False),
        (Action.DENY, False, True, True),
        (Action.DENY, False, False, False),
        (Action.DENY, True, True, False),
        (Action.DENY, True, False, True),
        (Action.PASS, False, True, True),
        (Action.PASS, False, False, True),
    ],
)
def test_only_a_change_that_can_forbid_more_counts(
    action: Action, negative: bool, grows: bool, suspected: bool
) -> None:
    """An allowing rule that matches more forbids nothing new; the other way round it may."""
    small = _state("10.48.1.1/32", action=action, negative=negative)
    large = _state("10.48.1.1/32", "10.48.1.2/32", action=action, negative=negative)

    found = suspects(small, large) if grows else suspects(large, small)

    assert bool(found) is suspected
