"""A program whose password is known only when another object has been made."""

import pulumi
import pulumi_kubernetes as kubernetes

from muslin.pulumi import ReferenceNetwork, ReferenceNetworkArgs

rack = {"name": "tor-1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"], "passwordSecret": "bgp"}
facts = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "later",
    "nodes": [{"name": "node-a", "address": "192.0.2.1", "rack": "r1"}],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
    "topOfRack": [rack],
}
first = kubernetes.core.v1.ConfigMap("first", metadata={"name": "first", "namespace": "kube-system"}, data={"a": "b"})
password = first.metadata.apply(lambda metadata: f"made-of-{metadata.uid}")
network = ReferenceNetwork(
    "network", ReferenceNetworkArgs(facts, "top_of_rack", passwords={"bgp": password}, gate=None)
)
pulumi.export("decisions", network.decisions)
pulumi.export("password", pulumi.Output.secret(password))
