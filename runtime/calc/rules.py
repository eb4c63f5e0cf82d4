"""Rules of policies as matches on packets: selectors become names of sets.

A rule that can match no packet (IPv4 only by one field and IPv6 only by another) is left out. So is one that allows
what nothing here can see (services, HTTP requests); one that denies or passes that on denies it to everybody.
"""

from __future__ import annotations

from collections.abc import Iterable

from muslin.resources.policy_rules import EntityRule, ICMPMatch
from muslin.resources.policy_rules import Rule as PolicyRule
from muslin.resources.ports import NamedPort
from muslin.resources.ports import PortRange as RulePorts
from muslin.semantics.selector_scope import not_selector, rule_selector
from muslin.semantics.verdict import named_port_protocol
from runtime.calc.sets import SetRequests
from runtime.calc.state import Action, PortRange, Rule, RuleMatch, SetId

__all__ = ["RuleCompiler"]


class RuleCompiler:
    """Compiles rules and notes the sets that they need.

    Args:
        requests: where needed sets are noted.
    """

    def __init__(self, requests: SetRequests) -> None:
        self._requests = requests

    def rules(self, rules: Iterable[PolicyRule], namespace: str | None) -> tuple[Rule, ...]:
        """Rules in order, without those that can match no packet.

        Args:
            rules: of one policy in one direction.
            namespace: of the policy, None for global ones and profiles.
        """
        compiled = (self._rule(rule, namespace) for rule in rules)
        return tuple(rule for rule in compiled if rule is not None)

    def _rule(self, rule: PolicyRule, namespace: str | None) -> Rule | None:
        source, destination = rule.source, rule.destination
        action = Action(rule.action.value)
        if rule.http is not None or source.services is not None or destination.services is not None:
            if action in (Action.ALLOW, Action.LOG):
                return None
            action = Action.DENY  # whom it means is not known here, so it means everybody: fail closed
        fields = (source.nets, source.not_nets, destination.nets, destination.not_nets)
        versions: set[int] = {field[0].version for field in fields if field}
        if rule.ip_version is not None:
            versions.add(rule.ip_version)
        if len(versions) > 1:
            return None
        named = named_port_protocol(rule)
        source_sets, source_port_sets = self._positive(source, namespace, named)
        destination_sets, destination_port_sets = self._positive(destination, namespace, named)
        match = RuleMatch(
            ip_version=versions.pop() if versions else None,
            protocol=rule.protocol.number if rule.protocol is not None else None,
            not_protocol=rule.not_protocol.number if rule.not_protocol is not None else None,
            icmp=_icmp(rule.icmp),
            not_icmp=_icmp(rule.not_icmp),
            source_nets=fields[0],
            not_source_nets=fields[1],
            destination_nets=fields[2],
            not_destination_nets=fields[3],
            source_sets=source_sets,
            not_source_sets=self._unwanted(source),
            destination_sets=destination_sets,
            not_destination_sets=self._unwanted(destination),
            source_ports=_ranges(source.ports),
            not_source_ports=_ranges(source.not_ports),
            destination_ports=_ranges(destination.ports),
            not_destination_ports=_ranges(destination.not_ports),
            source_port_sets=source_port_sets,
            not_source_port_sets=self._listeners(source.not_ports, None, named),
            destination_port_sets=destination_port_sets,
            not_destination_port_sets=self._listeners(destination.not_ports, None, named),
        )
        return Rule(action, match)

    def _positive(
        self, side: EntityRule, namespace: str | None, named: int
    ) -> tuple[tuple[SetId, ...], tuple[SetId, ...]]:
        """Sets of addresses and sets of listeners of one side.

        Listeners are chosen by the selector already, so the selector's own set is needed only where numbers or no
        ports at all stand beside them.
        """
        selector = rule_selector(side, namespace)
        port_sets = self._listeners(side.ports, selector.canonical if selector is not None else None, named)
        if selector is None or (port_sets and not _ranges(side.ports)):
            return (), port_sets
        return (self._requests.selected(selector),), port_sets

    def _unwanted(self, side: EntityRule) -> tuple[SetId, ...]:
        selector = not_selector(side)
        return () if selector is None else (self._requests.selected(selector),)

    def _listeners(
        self, ports: Iterable[RulePorts | NamedPort], selector: str | None, protocol: int
    ) -> tuple[SetId, ...]:
        names = sorted({port.name for port in ports if isinstance(port, NamedPort)})
        return tuple(self._requests.listening(selector, protocol, name) for name in names)


def _ranges(ports: Iterable[RulePorts | NamedPort]) -> tuple[PortRange, ...]:
    return tuple(PortRange(port.first, port.last) for port in ports if isinstance(port, RulePorts))


def _icmp(icmp: ICMPMatch | None) -> tuple[int, int | None] | None:
    return None if icmp is None or icmp.type is None else (icmp.type, icmp.code)
