"""Blueprint for clusters whose packets travel in VXLAN, so that nodes need no BGP between them.

The rules choose this by themselves where BGP or IP-in-IP is not possible. Who wants it elsewhere names it.
"""

from __future__ import annotations

from typing import Final

from blueprints.asking import Premise
from blueprints.decision import section
from blueprints.encapsulation import Mode

__all__ = ["NAME", "PREMISE"]

NAME: Final = "vxlan"

_BEST_FIRST: Final = (Mode.VXLAN_CROSS_SUBNET.value, Mode.VXLAN.value)

PREMISE: Final = Premise(
    NAME,
    {4: _BEST_FIRST, 6: _BEST_FIRST},
    "packets within a subnet are left as they are where the network lets them pass",
    section("VXLAN Configuration"),
)
"""`CrossSubnet` where there are several subnets and pods' addresses pass within one, else `Always`."""
