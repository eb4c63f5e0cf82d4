"""A program whose facts name a Secret that somebody else brings."""

import pulumi

from muslin.pulumi import Peering, ReferenceNetworkArgs

rack = {"name": "tor-1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"], "passwordSecret": "bgp"}
facts = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "named",
    "nodes": [{"name": "node-a", "address": "192.0.2.1", "rack": "r1"}],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
    "topOfRack": [rack],
}
agents = pulumi.Config().require("agents")
Peering("peering", ReferenceNetworkArgs(facts, "top_of_rack", password_namespace=agents, gate=None))
