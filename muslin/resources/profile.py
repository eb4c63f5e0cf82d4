"""Profile: labels and last rules that many endpoints inherit."""

from __future__ import annotations

from typing import Literal

from muslin.resources.base import Resource
from muslin.resources.fields import StringMap
from muslin.resources.frozen import FrozenDict
from muslin.resources.part import Part
from muslin.resources.policy_rules import Rule

__all__ = ["Profile", "ProfileSpec"]


class ProfileSpec(Part):
    """Rules that apply after all policies, and labels given to the endpoints."""

    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    labels_to_apply: StringMap = FrozenDict()


class Profile(Resource):
    """What endpoints that name it inherit; cluster-scoped."""

    kind: Literal["Profile"] = "Profile"
    spec: ProfileSpec = ProfileSpec()
