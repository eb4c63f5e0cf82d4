"""Policies of Kubernetes as Calico judges by them: kinds of their own, beside Calico's policies of the same name.

Made by `muslin.conversion`, never written by people: no CRD, no verb. Kubernetes knows none of the limits on numbers
of rules, ports and characters that Calico's own kinds have, and a policy refused for one would open what it closes.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from muslin.resources.base import SUBDOMAIN_NAME, NameForm
from muslin.resources.fields import Net, PortField, Text
from muslin.resources.global_network_policy import GlobalNetworkPolicy, GlobalNetworkPolicySpec
from muslin.resources.network_policy import NetworkPolicy, NetworkPolicySpec
from muslin.resources.policy import PolicyType
from muslin.resources.policy_rules import EntityRule, Rule
from muslin.selectors import SelectorError, parse

__all__ = ["KubernetesClusterNetworkPolicy", "KubernetesNetworkPolicy"]


def _selector(value: str) -> str:
    try:
        parse(value)
    except SelectorError as error:
        raise ValueError(f"it is not a selector: {error.problem} (column {error.column})") from None
    return value


AnyLengthSelector = Annotated[Text, AfterValidator(_selector)]


class UnlimitedEntityRule(EntityRule):
    """One end of a flow, however much Kubernetes says about it."""

    nets: tuple[Net, ...] = ()
    not_nets: tuple[Net, ...] = ()
    ports: tuple[PortField, ...] = ()
    selector: AnyLengthSelector | None = None
    namespace_selector: AnyLengthSelector | None = None


class UnlimitedRule(Rule):
    """One rule, however much Kubernetes says in it."""

    source: UnlimitedEntityRule = UnlimitedEntityRule()
    destination: UnlimitedEntityRule = UnlimitedEntityRule()


class KubernetesNetworkPolicySpec(NetworkPolicySpec):
    """What a NetworkPolicy of Kubernetes says."""

    selector: AnyLengthSelector | None = None
    ingress: tuple[UnlimitedRule, ...] = ()
    egress: tuple[UnlimitedRule, ...] = ()


class KubernetesNetworkPolicy(NetworkPolicy):
    """A NetworkPolicy of Kubernetes; under the name that it has there."""

    NAME_FORM: ClassVar[NameForm] = SUBDOMAIN_NAME

    kind: Literal["KubernetesNetworkPolicy"] = "KubernetesNetworkPolicy"  # type: ignore[assignment]
    spec: KubernetesNetworkPolicySpec = KubernetesNetworkPolicySpec()


class KubernetesClusterNetworkPolicySpec(GlobalNetworkPolicySpec):
    """What a ClusterNetworkPolicy of Kubernetes says; without rules it judges in no direction."""

    selector: AnyLengthSelector | None = None
    namespace_selector: AnyLengthSelector | None = None
    ingress: tuple[UnlimitedRule, ...] = ()
    egress: tuple[UnlimitedRule, ...] = ()

    @property
    def effective_types(self) -> tuple[PolicyType, ...]:
        """Directions that have rules."""
        return self.types


class KubernetesClusterNetworkPolicy(GlobalNetworkPolicy):
    """A ClusterNetworkPolicy of Kubernetes; under the name that it has there."""

    NAME_FORM: ClassVar[NameForm] = SUBDOMAIN_NAME

    kind: Literal["KubernetesClusterNetworkPolicy"] = "KubernetesClusterNetworkPolicy"  # type: ignore[assignment]
    spec: KubernetesClusterNetworkPolicySpec = KubernetesClusterNetworkPolicySpec()
