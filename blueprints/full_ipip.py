"""Blueprint for clusters whose packets all travel in IP-in-IP, within a subnet too, whatever the network lets pass.

The rules choose this by themselves where the network checks sources and destinations. Who wants it elsewhere names it.
"""

from __future__ import annotations

from typing import Final

from blueprints.asking import Premise
from blueprints.decision import section
from blueprints.encapsulation import Mode

__all__ = ["NAME", "PREMISE"]

NAME: Final = "full_ipip"

PREMISE: Final = Premise(
    NAME,
    {4: (Mode.IPIP.value,), 6: (Mode.VXLAN.value,)},
    "there is no IP-in-IP for IPv6, whose packets travel in VXLAN then",
    section("Full IP-in-IP Configuration"),
)
"""Every packet between nodes is wrapped; of IPv6 in VXLAN, as nothing else wraps it."""
