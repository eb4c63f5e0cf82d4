"""The files that the demo pushes: facts of its cluster, policies of a namespace, and one mistake."""

from __future__ import annotations

from muslin.lab.topology import Topology

__all__ = ["ALLOW_FILE", "ALLOW_SHOP", "MISTAKE", "MISTAKE_FILE", "cluster_file"]

ALLOW_FILE = "policies/demo.yaml"
ALLOW_SHOP = """\
# Who may talk to the server of namespace demo: its own clients, by UDP and TCP, and nobody else.
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: server
  namespace: demo
spec:
  order: 100
  selector: app == 'server'
  types: [Ingress]
  ingress:
    - action: Allow
      protocol: UDP
      source: {selector: app == 'client'}
      destination: {ports: [7]}
    - action: Allow
      protocol: TCP
      source: {selector: app == 'client'}
      destination: {ports: [7, 8]}
---
# Clients may ask the server, and the world outside.
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: client
  namespace: demo
spec:
  order: 100
  selector: app == 'client'
  types: [Egress]
  egress:
    - action: Allow
      destination: {selector: app == 'server'}
    - action: Allow
      destination: {nets: [203.0.113.0/24]}
"""

MISTAKE_FILE = "policies/typo.yaml"
MISTAKE = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: typo
  namespace: demo
spec:
  selector: app == 'server'
  ingres:
    - action: Deny
"""


def cluster_file(topology: Topology) -> str:
    """The facts of the lab's cluster, as a person would write them."""
    nodes = "\n".join(f"  - {{name: {node.name}, address: {node.address.ip}}}" for node in topology.nodes)
    return f"""\
apiVersion: blueprints.muslin/v1alpha1
kind: Cluster
name: {topology.name}
blueprint: single_subnet
nodes:
{nodes}
subnets: [{topology.nodes_prefix}]
networkMTU: {topology.mtu}
network:                     # what the network between the nodes lets through
  bgp: true
  podAddresses: true
  sourceDestinationChecks: false
podRange: {topology.pods}
natOutgoing: true
datastore: embedded
"""
