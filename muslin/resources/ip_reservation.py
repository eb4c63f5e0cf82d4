"""IPReservation: addresses of pools that are never given out unasked."""

from __future__ import annotations

from typing import Literal

from muslin.resources.base import Resource
from muslin.resources.fields import LooseNetWithLength, UniqueTuple
from muslin.resources.part import Part

__all__ = ["IPReservation", "IPReservationSpec"]


class IPReservationSpec(Part):
    """The prefixes that are kept back; who asks for one of their addresses by name gets it nevertheless."""

    reserved_cidrs: UniqueTuple[LooseNetWithLength] = ()


class IPReservation(Resource):
    """Prefixes kept back from assignment; cluster-scoped."""

    kind: Literal["IPReservation"] = "IPReservation"
    spec: IPReservationSpec = IPReservationSpec()
