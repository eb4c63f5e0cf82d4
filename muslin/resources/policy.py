"""What NetworkPolicy and GlobalNetworkPolicy share."""

from __future__ import annotations

import enum
from typing import ClassVar, Final

from pydantic import Field

from muslin.resources.fields import Number, ObjectName, SelectorText, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.policy_direction_checks import POLICY_RULES
from muslin.resources.policy_rules import Rule
from muslin.resources.validation import ValidationRule

__all__ = ["DEFAULT_TIER", "PerformanceHint", "PolicySpec", "PolicyType"]

DEFAULT_TIER: Final = "default"


class PolicyType(enum.Enum):
    """A direction that a policy applies to, as the endpoint sees it."""

    INGRESS = "Ingress"
    EGRESS = "Egress"


class PerformanceHint(enum.Enum):
    """A hint that saves work on nodes."""

    ASSUME_NEEDED_ON_EVERY_NODE = "AssumeNeededOnEveryNode"


class PolicySpec(Part):
    """Endpoints, directions and rules of a policy."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = POLICY_RULES

    tier: ObjectName | None = None
    order: Number | None = None
    selector: SelectorText | None = None
    service_account_selector: SelectorText | None = None
    types: UniqueTuple[PolicyType] = Field(default=(), max_length=2)
    ingress: tuple[Rule, ...] = Field(default=(), max_length=1024)
    egress: tuple[Rule, ...] = Field(default=(), max_length=1024)
    performance_hints: UniqueTuple[PerformanceHint] = ()

    @property
    def effective_tier(self) -> str:
        """Name of the tier, `default` where unset."""
        return self.tier or DEFAULT_TIER

    @property
    def effective_types(self) -> tuple[PolicyType, ...]:
        """Directions; where unset, those that have rules, and ingress if none has."""
        if self.types:
            return self.types
        if not self.egress:
            return (PolicyType.INGRESS,)
        return (PolicyType.INGRESS, PolicyType.EGRESS) if self.ingress else (PolicyType.EGRESS,)
