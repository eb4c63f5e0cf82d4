"""StagedNetworkPolicy and StagedGlobalNetworkPolicy: policies on trial, computed and reported, never enforced."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Literal

from muslin.resources.base import GLOBAL_POLICY_NAME, POLICY_NAME, NameForm, Resource
from muslin.resources.fields import EMPTY_IS_UNSET
from muslin.resources.global_network_policy import GlobalNetworkPolicySpec
from muslin.resources.part import Part
from muslin.resources.policy import PolicySpec
from muslin.resources.staged_checks import STAGED_RULES
from muslin.resources.validation import ValidationRule

__all__ = [
    "StagedAction", "StagedGlobalNetworkPolicy", "StagedGlobalNetworkPolicySpec", "StagedNetworkPolicy",
    "StagedNetworkPolicySpec", "StagedPart",
]  # fmt: skip


class StagedAction(enum.Enum):
    """What the trial is of: having this policy, being without it, being told one, nothing."""

    SET = "Set"
    DELETE = "Delete"
    LEARN = "Learn"
    IGNORE = "Ignore"


class StagedPart(Part):
    """What every staged spec has."""

    staged_action: Annotated[StagedAction | None, EMPTY_IS_UNSET] = None

    @property
    def effective_staged_action(self) -> StagedAction:
        """The action, `SET` where unset."""
        return self.staged_action or StagedAction.SET


class StagedNetworkPolicySpec(PolicySpec, StagedPart):
    """A policy of one namespace on trial; with the action `DELETE` only the tier may be set."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = STAGED_RULES


class StagedNetworkPolicy(Resource):
    """A policy of one namespace on trial."""

    NAMESPACED: ClassVar[bool] = True
    NAME_FORM: ClassVar[NameForm] = POLICY_NAME

    kind: Literal["StagedNetworkPolicy"] = "StagedNetworkPolicy"
    spec: StagedNetworkPolicySpec = StagedNetworkPolicySpec()


class StagedGlobalNetworkPolicySpec(GlobalNetworkPolicySpec, StagedPart):
    """A policy of the whole cluster on trial; with the action `DELETE` only the tier may be set."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = STAGED_RULES


class StagedGlobalNetworkPolicy(Resource):
    """A policy of the whole cluster on trial; cluster-scoped."""

    NAME_FORM: ClassVar[NameForm] = GLOBAL_POLICY_NAME

    kind: Literal["StagedGlobalNetworkPolicy"] = "StagedGlobalNetworkPolicy"
    spec: StagedGlobalNetworkPolicySpec = StagedGlobalNetworkPolicySpec()
