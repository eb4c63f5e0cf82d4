"""A cluster of 50 nodes and more, or one that may grow so far; a few nodes reflect everybody's routes.

It only wires: facts and settings from the stack's configuration, the blueprint, and what comes out of it.
"""

import pulumi

from muslin.pulumi import ReferenceNetwork, configured

network = ReferenceNetwork("network", configured("route_reflectors"))

pulumi.export("decisions", network.decisions)
pulumi.export("reasons", network.reasons)
