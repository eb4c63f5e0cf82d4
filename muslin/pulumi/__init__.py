"""The blueprints as Pulumi components: the same decisions and objects as from git, in somebody's own program.

Import `muslin.pulumi` only in programs that Pulumi runs: it needs the packages `pulumi` and `pulumi-kubernetes`, which
nothing else of Muslin imports. Blueprints and models are loaded when a component is made, not with this package.
"""

from muslin.pulumi.arguments import Client, Gate, ReferenceNetworkArgs
from muslin.pulumi.components import Peering, Policy, Pools
from muslin.pulumi.configuration import configured
from muslin.pulumi.installation import EtcdCredentials, UpstreamInstallation
from muslin.pulumi.network import ReferenceNetwork
from muslin.pulumi.refusals import Refused

__all__ = [
    "Client", "EtcdCredentials", "Gate", "Peering", "Policy", "Pools", "ReferenceNetwork", "ReferenceNetworkArgs",
    "Refused", "UpstreamInstallation", "configured",
]  # fmt: skip
