"""StagedKubernetesNetworkPolicy: a policy in Kubernetes' own form on trial, never enforced."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field

from muslin.resources.base import Resource
from muslin.resources.fields import Int, StringMap, Text, UniqueTuple
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part
from muslin.resources.shape import Shape
from muslin.resources.staged_checks import STAGED_KUBERNETES_RULES
from muslin.resources.staged_policy import StagedPart
from muslin.resources.validation import ValidationRule

__all__ = [
    "IPBlock", "KubernetesEgressRule", "KubernetesIngressRule", "KubernetesPeer", "KubernetesPort", "LabelRequirement",
    "LabelSelector", "StagedKubernetesNetworkPolicy", "StagedKubernetesNetworkPolicySpec",
]  # fmt: skip


class LabelRequirement(Part):
    """One condition on a label: `In` or `NotIn` values, `Exists`, `DoesNotExist`."""

    key: Text
    operator: Text
    values: tuple[Text, ...] = ()


class LabelSelector(Part):
    """Labels that must all be so; one that is empty selects everything."""

    match_labels: StringMap = FrozenDict()
    match_expressions: tuple[LabelRequirement, ...] = ()


class IPBlock(Part):
    """A prefix, and prefixes in it that do not count; kept as written."""

    cidr: Text
    except_: tuple[Text, ...] = Field(default=(), alias="except")


class KubernetesPeer(Part):
    """The other end: pods, namespaces, or a prefix."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


def _number_or_name(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{value!r} is not a port: a number or a name")  # noqa: TRY004
    return value


IntOrText: TypeAlias = Annotated[
    Any,
    AfterValidator(_number_or_name),
    Shape({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, alone=True),
]


class KubernetesPort(Part):
    """A port by number or name; `end_port` makes it a range."""

    protocol: Text | None = None
    port: IntOrText | None = None
    end_port: Int | None = None


class KubernetesIngressRule(Part):
    """What may come in; an empty list means all."""

    ports: tuple[KubernetesPort, ...] = ()
    from_: tuple[KubernetesPeer, ...] = Field(default=(), alias="from")


class KubernetesEgressRule(Part):
    """What may go out; an empty list means all."""

    ports: tuple[KubernetesPort, ...] = ()
    to: tuple[KubernetesPeer, ...] = ()


class StagedKubernetesNetworkPolicySpec(StagedPart):
    """The spec of a Kubernetes NetworkPolicy, and what is tried with it."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = STAGED_KUBERNETES_RULES

    pod_selector: LabelSelector | None = None
    ingress: tuple[KubernetesIngressRule, ...] = ()
    egress: tuple[KubernetesEgressRule, ...] = ()
    policy_types: UniqueTuple[Text] | None = Field(default=None, min_length=1, max_length=2)


class StagedKubernetesNetworkPolicy(Resource):
    """A policy of one namespace on trial, in Kubernetes' form."""

    NAMESPACED: ClassVar[bool] = True

    kind: Literal["StagedKubernetesNetworkPolicy"] = "StagedKubernetesNetworkPolicy"
    spec: StagedKubernetesNetworkPolicySpec = StagedKubernetesNetworkPolicySpec()
