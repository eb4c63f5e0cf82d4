"""A cluster in one subnet, with a node-to-node mesh and no encapsulation where the network allows it.

It only wires: facts and settings from the stack's configuration, the blueprint, and what comes out of it.
"""

import pulumi

from muslin.pulumi import ReferenceNetwork, configured

network = ReferenceNetwork("network", configured("single_subnet"))

pulumi.export("decisions", network.decisions)
pulumi.export("reasons", network.reasons)
