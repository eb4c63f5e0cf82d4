"""A program that says to upstream's manifests what was decided."""

from muslin.pulumi import ReferenceNetworkArgs, UpstreamInstallation

facts = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "upstream",
    "nodes": [{"name": f"node-{name}", "address": f"192.0.2.{last}"} for last, name in enumerate("abc", 1)],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
}
UpstreamInstallation("calico", ReferenceNetworkArgs(facts, "single_subnet"), "manifests")
