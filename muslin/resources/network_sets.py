"""NetworkSet and GlobalNetworkSet: prefixes outside the cluster with labels, so that selectors find them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from muslin.resources.base import Resource
from muslin.resources.fields import LooseNet, UniqueTuple
from muslin.resources.part import Part
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = ["GlobalNetworkSet", "NetworkSet", "NetworkSetSpec"]


_NAMESPACE_LABEL: Final = "projectcalico.org/namespace"


class NetworkSetSpec(Part):
    """The prefixes; host bits that were written are cut off."""

    nets: UniqueTuple[LooseNet] = ()


def _reserved_label(resource: Resource) -> Iterator[Breach]:
    if _NAMESPACE_LABEL in resource.metadata.labels:
        yield Breach(f"{_NAMESPACE_LABEL} is not a valid label name", ("metadata", "labels", _NAMESPACE_LABEL))


_RULES: Final = (go("reserved-label", "the label of namespaces is ours", _reserved_label, fix="remove the label"),)


class GlobalNetworkSet(Resource):
    """Prefixes for selectors of the whole cluster; cluster-scoped."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = _RULES

    kind: Literal["GlobalNetworkSet"] = "GlobalNetworkSet"
    spec: NetworkSetSpec = NetworkSetSpec()


class NetworkSet(Resource):
    """Prefixes for selectors of one namespace."""

    NAMESPACED: ClassVar[bool] = True
    RULES: ClassVar[tuple[ValidationRule, ...]] = _RULES

    kind: Literal["NetworkSet"] = "NetworkSet"
    spec: NetworkSetSpec = NetworkSetSpec()
