"""Rules over a rule of policy and over its two ends. The values are those of `muslin.resources.policy_rules`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from muslin.resources.names import SUBDOMAIN, annotation_problems
from muslin.resources.ports import PortRange
from muslin.resources.protocols import Protocol
from muslin.resources.validation import Breach, ValidationRule, cel, go

if TYPE_CHECKING:
    from muslin.resources.policy_rules import EntityRule, HTTPMatch, Rule, RuleMetadata

__all__ = [
    "ENTITY_RULES", "HTTP_RULES", "ICMP_RULES", "METADATA_RULES", "RULE_RULES", "global_free_in_cel",
    "mentions_global", "without_global",
]  # fmt: skip

_GLOBAL: Final = "global("
_GLOBAL_ALONE = re.compile(r"[ \t]*global\([ \t]*\)[ \t]*")
_BAD_IN_PATH = re.compile(r"[?# ]")
_NAME = re.compile(SUBDOMAIN)


def mentions_global(selector: str | None) -> bool:
    """Whether `global(` stands in a selector. The reference looks no closer: it may be in quotes."""
    return selector is not None and _GLOBAL in selector


def without_global(field: str) -> Callable[[Any], bool]:
    """A check that the selector in this (Python) field does not mention `global()`."""

    def holds(value: Any) -> bool:
        return not mentions_global(getattr(value, field))

    return holds


def global_free_in_cel(field: str) -> str:
    """The same in CEL, for the field with this name in manifests."""
    return f"(!has(self.{field}) || !self.{field}.contains('{_GLOBAL}'))"


def _combined_global(entity: EntityRule) -> Iterator[Breach]:
    selector = entity.namespace_selector
    if selector is not None and mentions_global(selector) and not _GLOBAL_ALONE.fullmatch(selector):
        yield Breach("global() cannot be combined with other selectors", ("namespaceSelector",))


def _catch_all(entity: EntityRule) -> Iterator[Breach]:
    for index, net in enumerate(entity.not_nets):
        if net.prefixlen == 0:
            yield Breach(
                "catch-all CIDR in negation creates logical contradiction (matches no traffic)", ("notNets", index)
            )


def _service_names(entity: EntityRule) -> Iterator[Breach]:
    if entity.services is None:
        return
    for field, name in (("name", entity.services.name), ("namespace", entity.services.namespace)):
        if name and not _NAME.fullmatch(name):
            yield Breach(f"{name!r} is not the {field} of a service", ("services", field))


def _service_without_name(entity: EntityRule) -> bool:
    return entity.services is not None and not entity.services.name


ENTITY_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "global-only-for-namespaces",
        f"{global_free_in_cel('selector')} && {global_free_in_cel('notSelector')}",
        "global() can only be used in an EntityRule namespaceSelector",
        lambda entity: not mentions_global(entity.selector) and not mentions_global(entity.not_selector),
        fix="move global() to namespaceSelector",
    ),
    cel(
        "services-without-namespace-selector",
        "!has(self.services) || !has(self.namespaceSelector) || size(self.namespaceSelector) == 0",
        "cannot specify NamespaceSelector and Services on the same rule",
        lambda entity: entity.services is None or not entity.namespace_selector,
        fix="remove one of them, or write two rules",
    ),
    cel(
        "services-without-service-accounts",
        "!has(self.services) || !has(self.serviceAccounts)",
        "cannot specify ServiceAccounts and Services on the same rule",
        lambda entity: entity.services is None or entity.service_accounts is None,
        fix="remove one of them, or write two rules",
    ),
    cel(
        "services-without-selector",
        "!has(self.services) || ((!has(self.selector) || size(self.selector) == 0) && "
        "(!has(self.notSelector) || size(self.notSelector) == 0))",
        "cannot specify Selector/NotSelector and Services on the same rule",
        lambda entity: entity.services is None or not (entity.selector or entity.not_selector),
        fix="remove one of them, or write two rules",
    ),
    cel(
        "services-without-nets",
        "!has(self.services) || ((!has(self.nets) || size(self.nets) == 0) && "
        "(!has(self.notNets) || size(self.notNets) == 0))",
        "cannot specify Nets/NotNets and Services on the same rule",
        lambda entity: entity.services is None or not (entity.nets or entity.not_nets),
        fix="remove one of them, or write two rules",
    ),
    cel(
        "services-have-a-name",
        "!has(self.services) || (has(self.services.name) && size(self.services.name) > 0)",
        "services must specify a service name",
        lambda entity: not _service_without_name(entity),
        path=("services", "name"),
        fix="set services.name",
    ),
    go(
        "global-alone", "global() cannot be combined with other selectors", _combined_global, fix="write global() alone"
    ),
    go(
        "service-names",
        "services have names of Kubernetes",
        _service_names,
        fix="use lower case letters, digits, '-' and '.'",
    ),
    go("no-catch-all-negation", "a negation must leave something", _catch_all, fix="remove the entry or the rule"),
)


def _ports_need_protocol(rule: Rule) -> Iterator[Breach]:
    for end, entity in (("source", rule.source), ("destination", rule.destination)):
        for field, ports in (("ports", entity.ports), ("notPorts", entity.not_ports)):
            if not ports:
                continue
            if rule.protocol is not None and not rule.protocol.has_ports:
                yield Breach("rules that specify ports must set protocol to TCP or UDP or SCTP", (end, field))
            elif rule.protocol is None and any(isinstance(port, PortRange) for port in ports):
                yield Breach(
                    "rules with numeric port or port range must set protocol to TCP or UDP or SCTP", (end, field)
                )


def _families(rule: Rule) -> Iterator[Breach]:
    seen: int | None = None
    for end, entity in (("source", rule.source), ("destination", rule.destination)):
        for field, nets in (("nets", entity.nets), ("notNets", entity.not_nets)):
            for net in nets:
                if seen is not None and net.version != seen:
                    yield Breach("rule contains both IPv4 and IPv6 CIDRs", (end, field))
                    return
                seen = net.version
    if seen is not None and rule.ip_version not in (None, seen):
        yield Breach("rule IP version doesn't match CIDR version", ("ipVersion",), f"set ipVersion to {seen}")


def _is(rule: Rule, number: int) -> bool:
    return rule.protocol is not None and rule.protocol.number == number


def _protocol_is(number: int, field: str = "protocol") -> str:
    """In CEL, where a protocol is a name, a number, or a number in a text."""
    return f"self.{field} == '{Protocol(number)}' || self.{field} == {number} || self.{field} == '{number}'"


def _speaks_of(rule: Rule, number: int) -> bool:
    """Whether a protocol stands in a rule, to be matched or not to be matched."""
    return any(held is not None and held.number == number for held in (rule.protocol, rule.not_protocol))


def _speaks_of_in_cel(number: int) -> str:
    either = (f"has(self.{field}) && ({_protocol_is(number, field)})" for field in ("protocol", "notProtocol"))
    return " || ".join(f"({each})" for each in either)


RULE_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "http-over-tcp",
        f"!has(self.http) || !has(self.protocol) || {_protocol_is(6)}",
        "rules with HTTP match must have protocol TCP or unset",
        lambda rule: rule.http is None or rule.protocol is None or _is(rule, 6),
        path=("protocol",),
        fix="set protocol to TCP",
    ),
    cel(
        "http-only-allows",
        "!has(self.http) || self.action == 'Allow'",
        "HTTP match is only valid on Allow rules",
        lambda rule: rule.http is None or rule.action.value == "Allow",
        path=("http",),
        fix="remove http, or set action to Allow",
    ),
    cel(
        "services-bring-their-ports",
        "!has(self.destination) || !has(self.destination.services) || "
        "((!has(self.destination.ports) || size(self.destination.ports) == 0) && "
        "(!has(self.destination.notPorts) || size(self.destination.notPorts) == 0))",
        "ports and notPorts cannot be specified with services",
        lambda rule: rule.destination.services is None or not (rule.destination.ports or rule.destination.not_ports),
        path=("destination",),
        fix="remove the ports; the service's own are used",
    ),
    cel(
        "icmp-fields-need-icmp",
        f"!(has(self.icmp) || has(self.notICMP)) || (has(self.protocol) && ({_protocol_is(1)} || {_protocol_is(58)}))",
        "ICMP fields require protocol to be ICMP or ICMPv6",
        lambda rule: (rule.icmp is None and rule.not_icmp is None) or _is(rule, 1) or _is(rule, 58),
        path=("protocol",),
        fix="set protocol to ICMP or ICMPv6",
    ),
    cel(
        "icmp-is-version-4",
        f"!({_speaks_of_in_cel(1)}) || !has(self.ipVersion) || self.ipVersion == 4",
        "protocol ICMP requires ipVersion 4",
        lambda rule: not _speaks_of(rule, 1) or rule.ip_version in (None, 4),
        path=("ipVersion",),
        fix="set ipVersion to 4, or protocol to ICMPv6",
    ),
    cel(
        "icmpv6-is-version-6",
        f"!({_speaks_of_in_cel(58)}) || !has(self.ipVersion) || self.ipVersion == 6",
        "protocol ICMPv6 requires ipVersion 6",
        lambda rule: not _speaks_of(rule, 58) or rule.ip_version in (None, 6),
        path=("ipVersion",),
        fix="set ipVersion to 6, or protocol to ICMP",
    ),
    go(
        "ports-need-protocol",
        "ports need a protocol that has ports",
        _ports_need_protocol,
        fix="set protocol to TCP, UDP or SCTP",
    ),
    go("one-family", "a rule speaks of one IP version", _families, fix="write one rule for each IP version"),
)

ICMP_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "code-needs-type",
        "!has(self.code) || has(self.type)",
        "ICMP code specified without an ICMP type",
        lambda match: match.code is None or match.type is not None,
        path=("code",),
        fix="set type as well",
    ),
)


def _annotations(metadata: RuleMetadata) -> Iterator[Breach]:
    for key, problem in annotation_problems(metadata.annotations):
        yield Breach(
            problem if key is None else f"annotation {key!r}: {problem}", ("annotations", *((key,) if key else ()))
        )


METADATA_RULES: Final[tuple[ValidationRule, ...]] = (
    go("annotations", "annotations have qualified keys", _annotations, fix="use a key such as example.org/note"),
)


def _methods(http: HTTPMatch) -> Iterator[Breach]:
    if len(set(http.methods)) != len(http.methods):
        yield Breach(f"Invalid methods (duplicates): {', '.join(http.methods)}", ("methods",), "name each method once")


def _paths(http: HTTPMatch) -> Iterator[Breach]:
    for index, path in enumerate(http.paths):
        if bool(path.exact) == bool(path.prefix):
            yield Breach("a path has exactly one of exact and prefix", ("paths", index), "set one of exact and prefix")
            continue
        field, text = ("exact", path.exact) if path.exact else ("prefix", path.prefix)
        if text and (not text.startswith("/") or _BAD_IN_PATH.search(text)):
            yield Breach(
                f"Invalid path {text}. (must start with `/` and not contain `?` or `#`)", ("paths", index, field)
            )


HTTP_RULES: Final[tuple[ValidationRule, ...]] = (
    go("methods-once", "each method stands once", _methods, fix="name each method once"),
    go("paths", "paths are absolute and plain", _paths, fix="begin with '/', without query, fragment or blank"),
)
