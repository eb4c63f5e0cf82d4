"""Profile: labels and last rules that many endpoints inherit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from muslin.resources.base import Resource
from muslin.resources.fields import StringMap
from muslin.resources.frozen import FrozenDict
from muslin.resources.names import label_problems
from muslin.resources.part import Part
from muslin.resources.policy_rules import Rule
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = ["Profile", "ProfileSpec"]


_OF_KUBERNETES = ("pcns.", "pcsa.")
"""How labels of namespaces and service accounts begin; with it they may be longer than a label of one's own."""


def _labels(spec: ProfileSpec) -> Iterator[Breach]:
    for key, value in spec.labels_to_apply.items():
        own = next((key.removeprefix(each) for each in _OF_KUBERNETES if key.startswith(each)), key)
        for _, problem in label_problems({own: value}):
            yield Breach(f"label {key!r} = {value!r}: {problem}", ("labelsToApply", key))


class ProfileSpec(Part):
    """Rules that apply after all policies, and labels given to the endpoints."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go("labels", "labels have qualified keys and short values", _labels, fix="shorten or correct the label"),
    )

    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    labels_to_apply: StringMap = FrozenDict()


class Profile(Resource):
    """What endpoints that name it inherit; cluster-scoped."""

    kind: Literal["Profile"] = "Profile"
    spec: ProfileSpec = ProfileSpec()
