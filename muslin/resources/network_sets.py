"""NetworkSet and GlobalNetworkSet: prefixes outside the cluster with labels, so that selectors find them."""

from __future__ import annotations

from typing import ClassVar, Literal

from muslin.resources.base import Resource
from muslin.resources.fields import LooseNet
from muslin.resources.part import Part

__all__ = ["GlobalNetworkSet", "NetworkSet", "NetworkSetSpec"]


class NetworkSetSpec(Part):
    """The prefixes; host bits that were written are cut off."""

    nets: tuple[LooseNet, ...] = ()


class GlobalNetworkSet(Resource):
    """Prefixes for selectors of the whole cluster; cluster-scoped."""

    kind: Literal["GlobalNetworkSet"] = "GlobalNetworkSet"
    spec: NetworkSetSpec = NetworkSetSpec()


class NetworkSet(Resource):
    """Prefixes for selectors of one namespace."""

    NAMESPACED: ClassVar[bool] = True

    kind: Literal["NetworkSet"] = "NetworkSet"
    spec: NetworkSetSpec = NetworkSetSpec()
