"""A program with a provider of its own that adopts nothing: objects are made by POST."""

import pulumi
import pulumi_kubernetes as kubernetes

from muslin.pulumi import Pools, ReferenceNetworkArgs

config = pulumi.Config()
facts = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "own",
    "nodes": [{"name": "node-a", "address": "192.0.2.1"}],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
    "natOutgoing": config.get_bool("nat") is not False,
}
provider = kubernetes.Provider("own")
Pools("pools", ReferenceNetworkArgs(facts, protect_pools=False), pulumi.ResourceOptions(provider=provider))
