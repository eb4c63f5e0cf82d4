"""GlobalNetworkPolicy: what may reach, and be reached by, any endpoint of the cluster."""

from __future__ import annotations

from typing import Literal

from muslin.resources.base import Resource
from muslin.resources.fields import Bool, SelectorText
from muslin.resources.policy import PolicySpec

__all__ = ["GlobalNetworkPolicy", "GlobalNetworkPolicySpec"]


class GlobalNetworkPolicySpec(PolicySpec):
    """A policy of the whole cluster, for workloads and hosts."""

    namespace_selector: SelectorText | None = None
    do_not_track: Bool = False
    pre_dnat: Bool = False
    apply_on_forward: Bool = False


class GlobalNetworkPolicy(Resource):
    """A policy of the whole cluster; cluster-scoped."""

    kind: Literal["GlobalNetworkPolicy"] = "GlobalNetworkPolicy"
    spec: GlobalNetworkPolicySpec = GlobalNetworkPolicySpec()
