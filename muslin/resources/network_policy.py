"""NetworkPolicy: what may reach, and be reached by, workloads of one namespace."""

from __future__ import annotations

from typing import ClassVar, Literal

from muslin.resources.base import POLICY_NAME, NameForm, Resource
from muslin.resources.policy import PolicySpec

__all__ = ["NetworkPolicy", "NetworkPolicySpec"]


class NetworkPolicySpec(PolicySpec):
    """A policy within a namespace; the selectors see only its workloads."""


class NetworkPolicy(Resource):
    """A policy of one namespace."""

    NAMESPACED: ClassVar[bool] = True
    NAME_FORM: ClassVar[NameForm] = POLICY_NAME

    kind: Literal["NetworkPolicy"] = "NetworkPolicy"
    spec: NetworkPolicySpec = NetworkPolicySpec()
