"""A cluster in several subnets, encapsulated between them where the network needs it, with a mesh.

It only wires: facts and settings from the stack's configuration, the blueprint, and what comes out of it.
"""

import pulumi

from muslin.pulumi import ReferenceNetwork, configured

network = ReferenceNetwork("network", configured("multi_subnet"))

pulumi.export("decisions", network.decisions)
pulumi.export("reasons", network.reasons)
