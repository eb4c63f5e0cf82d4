"""Folding neighbouring rules never changes what happens to a packet."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from random import Random

import pytest

from runtime.calc.state import Action, PolicyRules, PortRange, Rule, RuleMatch, SetId
from runtime.calc.verdict import judge
from runtime.dataplane.fold import fold
from tests.support.node_states import random_packet, random_state


def _port(number: int, action: Action = Action.ALLOW) -> Rule:
    return Rule(action, RuleMatch(protocol=6, destination_ports=(PortRange(number, number),)))


def test_rules_for_many_ports_become_one() -> None:
    """Ten allows that differ in the port alone are one allow for ten ports."""
    (rule,) = fold(_port(number) for number in range(80, 90))

    assert rule.match.destination_ports == tuple(PortRange(number, number) for number in range(80, 90))


@pytest.mark.parametrize(
    "other",
    [
        _port(81, Action.DENY),
        Rule(Action.ALLOW, RuleMatch(protocol=17, destination_ports=(PortRange(81, 81),))),
        Rule(Action.ALLOW, RuleMatch(protocol=6)),
        Rule(Action.ALLOW, RuleMatch(protocol=6, source_sets=(SetId("s:a"),), destination_ports=(PortRange(80, 80),))),
    ],
)
def test_rules_that_differ_otherwise_stay_apart(other: Rule) -> None:
    """Another action, protocol, a missing test or a second difference: no folding."""
    assert fold([_port(80), other]) == [_port(80), other]


def test_log_rules_stay_apart() -> None:
    """Each log rule tells its own line."""
    assert len(fold([_port(80, Action.LOG), _port(81, Action.LOG)])) == 2


@pytest.mark.slow
def test_folded_policies_decide_as_before() -> None:
    """Random neighbours that often fold: the judge can't tell the difference."""
    random = Random(12)
    nets = [ip_network(text) for text in ("10.48.0.0/31", "203.0.113.0/24", "2001:db8::/64", "2001:db8:1::/48")]
    folds = 0
    for _ in range(150):
        state = random_state(random)
        rules = []
        for _ in range(8):
            match = RuleMatch(protocol=random.choice((6, 17, 17)), destination_ports=(PortRange(80, 80),))
            change = random.choice(("ports", "ports", "sets", "source", "destination"))
            if change == "ports":
                match = replace(match, destination_ports=(PortRange(random.choice((80, 81, 90)), 95),))
            elif change == "sets":
                match = replace(match, destination_ports=(), destination_port_sets=(SetId("n:web"),))
            elif change == "source":
                match = replace(match, source_nets=(random.choice(nets),))
            else:
                match = replace(match, destination_nets=(random.choice(nets),))
            rules.append(Rule(random.choice((Action.ALLOW, Action.ALLOW, Action.DENY)), match))
        shorter = tuple(fold(rules))
        folds += len(rules) - len(shorter)
        before, after = (
            replace(state, policies={name: PolicyRules(each, each) for name in state.policies})
            for each in (tuple(rules), shorter)
        )
        for _ in range(10):
            packet = random_packet(random)

            assert judge(before, packet).allowed == judge(after, packet).allowed
    assert folds > 100
