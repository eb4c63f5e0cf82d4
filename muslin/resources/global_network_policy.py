"""GlobalNetworkPolicy: what may reach, and be reached by, any endpoint of the cluster."""

from __future__ import annotations

from typing import ClassVar, Literal

from muslin.resources.base import GLOBAL_POLICY_NAME, NameForm, Resource
from muslin.resources.fields import Bool, SelectorText
from muslin.resources.policy import PolicySpec
from muslin.resources.policy_direction_checks import GLOBAL_POLICY_RULES
from muslin.resources.validation import ValidationRule

__all__ = ["GlobalNetworkPolicy", "GlobalNetworkPolicySpec"]


class GlobalNetworkPolicySpec(PolicySpec):
    """A policy of the whole cluster, for workloads and hosts."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = GLOBAL_POLICY_RULES

    namespace_selector: SelectorText | None = None
    do_not_track: Bool = False
    pre_dnat: Bool = False
    apply_on_forward: Bool = False


class GlobalNetworkPolicy(Resource):
    """A policy of the whole cluster; cluster-scoped."""

    NAME_FORM: ClassVar[NameForm] = GLOBAL_POLICY_NAME

    kind: Literal["GlobalNetworkPolicy"] = "GlobalNetworkPolicy"
    spec: GlobalNetworkPolicySpec = GlobalNetworkPolicySpec()
