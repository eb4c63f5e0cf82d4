"""Rules over policies as a whole: what a rule may say depends on its direction and on the kind of policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from muslin.resources.policy_checks import global_free_in_cel, without_global
from muslin.resources.validation import Breach, ValidationRule, cel, go

if TYPE_CHECKING:
    from muslin.resources.global_network_policy import GlobalNetworkPolicySpec
    from muslin.resources.policy import PolicySpec

__all__ = ["GLOBAL_POLICY_RULES", "POLICY_RULES"]


def _services_on_the_far_end(spec: PolicySpec) -> Iterator[Breach]:
    for index, rule in enumerate(spec.ingress):
        if rule.destination.services is not None:
            yield Breach(
                "services: not allowed in ingress rule destination", ("ingress", index, "destination", "services")
            )
    for index, rule in enumerate(spec.egress):
        if rule.source.services is not None:
            yield Breach("services: not allowed in egress rule source", ("egress", index, "source", "services"))


def _http_on_ingress(spec: PolicySpec) -> Iterator[Breach]:
    for index, rule in enumerate(spec.egress):
        if rule.http is not None:
            yield Breach("http: not allowed in egress rules", ("egress", index, "http"))


POLICY_RULES: Final[tuple[ValidationRule, ...]] = (
    *(
        cel(
            f"no-global-in-{field}",
            global_free_in_cel(field),
            f"global() selector is not valid for {field}",
            without_global(name),
            path=(field,),
            fix="use all(), or namespaceSelector in a rule",
        )
        for field, name in (("selector", "selector"), ("serviceAccountSelector", "service_account_selector"))
    ),
    go(
        "services-far", "services stand for the far end", _services_on_the_far_end, fix="move services to the other end"
    ),
    go("http-ingress", "requests are matched where they arrive", _http_on_ingress, fix="remove http from egress rules"),
)


def _services_have_namespaces(spec: GlobalNetworkPolicySpec) -> Iterator[Breach]:
    for direction, rules in (("ingress", spec.ingress), ("egress", spec.egress)):
        for index, rule in enumerate(rules):
            for end, entity in (("source", rule.source), ("destination", rule.destination)):
                if entity.services is not None and not entity.services.namespace:
                    yield Breach("must specify a namespace", (direction, index, end, "services", "namespace"))


GLOBAL_POLICY_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "pre-dnat-or-untracked",
        "!(has(self.preDNAT) && self.preDNAT && has(self.doNotTrack) && self.doNotTrack)",
        "preDNAT and doNotTrack cannot both be true",
        lambda spec: not (spec.pre_dnat and spec.do_not_track),
        path=("preDNAT",),
        fix="remove one of them, or write two policies",
    ),
    cel(
        "pre-dnat-has-no-egress-rules",
        "!(has(self.preDNAT) && self.preDNAT) || !has(self.egress) || size(self.egress) == 0",
        "preDNAT policy cannot have any egress rules",
        lambda spec: not (spec.pre_dnat and spec.egress),
        path=("egress",),
        fix="write the egress rules in another policy",
    ),
    cel(
        "pre-dnat-is-ingress",
        "!(has(self.preDNAT) && self.preDNAT) || !has(self.types) || !('Egress' in self.types)",
        "preDNAT policy cannot have 'Egress' type",
        lambda spec: not spec.pre_dnat or all(each.value != "Egress" for each in spec.types),
        path=("types",),
        fix="set types to [Ingress]",
    ),
    cel(
        "early-policy-is-for-forwarded-packets",
        "!((has(self.preDNAT) && self.preDNAT) || (has(self.doNotTrack) && self.doNotTrack)) || "
        "(has(self.applyOnForward) && self.applyOnForward)",
        "applyOnForward must be true if either preDNAT or doNotTrack is true",
        lambda spec: spec.apply_on_forward or not (spec.pre_dnat or spec.do_not_track),
        path=("applyOnForward",),
        fix="set applyOnForward to true",
    ),
    cel(
        "no-global-in-namespaceSelector",
        global_free_in_cel("namespaceSelector"),
        "global() selector is not valid for namespaceSelector",
        without_global("namespace_selector"),
        path=("namespaceSelector",),
        fix="use all()",
    ),
    go(
        "services-namespace",
        "services are named with their namespace",
        _services_have_namespaces,
        fix="set services.namespace",
    ),
)
