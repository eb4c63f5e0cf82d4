"""A program that says to upstream's manifests what was decided; with a separate etcd where its key is configured."""

import pulumi

from muslin.pulumi import EtcdCredentials, ReferenceNetworkArgs, UpstreamInstallation

facts = {
    "apiVersion": "blueprints.muslin/v1alpha1",
    "kind": "Cluster",
    "name": "upstream",
    "nodes": [{"name": f"node-{name}", "address": f"192.0.2.{last}"} for last, name in enumerate("abc", 1)],
    "subnets": ["192.0.2.0/24"],
    "networkMTU": 1500,
    "podRange": "10.48.0.0/16",
}
etcd = None
key = pulumi.Config().get_secret("etcdKey")
if key is not None:
    facts |= {"datastore": "etcd", "etcdIsTheClusters": False, "etcdEndpoints": ["https://192.0.2.10:2379"]}
    etcd = EtcdCredentials("certificate of the authority", "certificate", key)
UpstreamInstallation("calico", ReferenceNetworkArgs(facts, "single_subnet"), "manifests", etcd)
