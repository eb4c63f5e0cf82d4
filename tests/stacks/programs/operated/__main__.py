"""A program that tells upstream's operator, or where it is told so upstream's manifests, what was decided."""

import pulumi

from muslin.pulumi import ReferenceNetworkArgs, UpstreamInstallation

config = pulumi.Config()
facts = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "operated",
    "nodes": [{"name": f"node-{name}", "address": f"192.0.2.{last}"} for last, name in enumerate("abc", 1)],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
    "natOutgoing": config.get_bool("nat") is not False,
}
args = ReferenceNetworkArgs(facts, "single_subnet", force=config.get_object("force") or ())
UpstreamInstallation("calico", args, "manifests" if config.get("by") == "manifests" else "operator")
