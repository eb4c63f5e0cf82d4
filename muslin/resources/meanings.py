"""What fields mean, in a sentence each: for `kubectl explain`, editors and the reference pages.

Only fields stand here that neither a description of their own nor their `effective_` property, enum or model explains.
A model's subclasses share its sentences.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MEANINGS", "meaning"]

_ROUTES = "Metric of the routes that nodes program themselves; 1024 where unset."
_SELECTED = {
    "order": "Place among the policies of the tier: lower comes first, and those without a number come last.",
    "selector": "Endpoints that the policy applies to; all where unset.",
    "serviceAccountSelector": "Only workloads whose service account's labels match.",
}
_PREFIX_LENGTH = {"min": "Shortest length that matches.", "max": "Longest length that matches."}
_RANGE = {"min": "First table.", "max": "Last table."}

MEANINGS: Final[dict[str, dict[str, str]]] = {
    "AddCommunity": {"value": "The community, aa:nn or aa:nn:mm."},
    "AllocationAttribute": {
        "handle_id": "The handle by which the addresses are given back.",
        "secondary": "Who holds them: node, namespace, pod, and what for.",
        "alternateOwnerAttrs": "Who takes them over, while a virtual machine moves.",
        "releasedAt": "When they were given back, while they rest before they are given out again.",
    },
    "BGPConfigurationSpec": {
        "logSeverityScreen": "From which severity on the speaker logs; any case.",
        "nodeMeshMaxRestartTime": "How long nodes keep each other's routes while a speaker restarts; 120s where unset.",
        "ignoredInterfaces": "Interfaces that the speaker does not look at, by name or pattern.",
        "localWorkloadPeeringIPV4": "IPv4 address that local workloads open their sessions to.",
        "localWorkloadPeeringIPV6": "IPv6 address that local workloads open their sessions to.",
        "ipv4NormalRoutePriority": _ROUTES,
        "ipv6NormalRoutePriority": _ROUTES,
    },
    "BGPFilterRule": {
        "interface": "Routes through this interface; a name or a pattern with *.",
        "asPathPrefix": "Routes whose path begins with these AS numbers.",
        "priority": "Routes with this metric.",
        "cidr": "The prefix that matchOperator compares with.",
    },
    "BGPPeerSpec": {
        "node": "The one node that has the sessions.",
        "nodeSelector": "The nodes that have the sessions; every node where neither this nor node is set.",
        "peerIP": "Address of the peer, with a port where it is not 179: 192.0.2.1:1790, [2001:db8::1]:1790.",
        "asNumber": "AS number of the peer.",
        "peerSelector": "Nodes of the cluster to peer with.",
        "localWorkloadSelector": "Workloads on the same node to peer with.",
        "localASNumber": "AS number that we use towards the peer; the node's own where unset.",
        "numAllowedLocalASNumbers": "How often our own AS number may stand in a path that we accept.",
        "ttlSecurity": "How many hops the peer is away; packets from farther away are dropped.",
        "keepOriginalNextHop": "Deprecated: set nextHopMode to Keep.",
        "maxRestartTime": "How long the peer keeps our routes while our speaker restarts; 120s where unset.",
        "keepaliveTime": "Time between two keepalives; a third of the hold time where unset.",
        "reachableBy": "Gateway towards the peer: a static route of full length is added.",
        "filters": "Names of BGPFilters, in order.",
    },
    "BGPStatus": {
        "numberEstablishedV4": "IPv4 sessions that are established.",
        "numberNotEstablishedV4": "IPv4 sessions that are not.",
        "numberEstablishedV6": "IPv6 sessions that are established.",
        "numberNotEstablishedV6": "IPv6 sessions that are not.",
    },
    "BirdStatus": {
        "version": "Of the speaker.",
        "routerID": "The node's BGP identifier.",
        "lastBootTime": "When the speaker started.",
        "lastReconfigurationTime": "When it last took a configuration.",
    },
    "BlockAffinitySpec": {
        "node": "Node that the block belongs to.",
        "cidr": "The block.",
        "deleted": "The claim is being given up; readers treat it as gone.",
    },
    "CalicoNodeStatusSpec": {
        "node": "Node that is to report.",
        "updatePeriodSeconds": "Seconds between two reports; 0 stops them.",
    },
    "CalicoNodeStatusStatus": {"lastUpdated": "When the node last reported."},
    "ClusterInformationSpec": {
        "clusterGUID": "Identity of the cluster, 32 hexadecimal digits.",
        "clusterType": "What the cluster runs with, a list with commas, such as k8s,bgp.",
        "calicoVersion": "Version that runs in the cluster.",
        "variant": "Edition that runs in the cluster.",
        "datastoreReady": "False while the datastore is locked, for a migration: agents accept no work.",
    },
    "Community": {"name": "For use in prefixAdvertisements.", "value": "aa:nn or aa:nn:mm."},
    "CommunityMatch": {"values": "The community; exactly one."},
    "EndpointPort": {
        "name": "The name that rules use.",
        "protocol": "TCP, UDP or SCTP, by name or number.",
        "port": "The number.",
    },
    "EntityRule": {
        "nets": "Packets from or to these prefixes.",
        "notNets": "Packets from or to none of these prefixes.",
        "selector": "Endpoints and network sets whose labels match.",
        "notSelector": "Endpoints and network sets whose labels do not match.",
        "namespaceSelector": "Selects in namespaces whose labels match; global() means what is in no namespace.",
        "ports": "Numbers, ranges such as 8000:8099, or names of ports.",
        "notPorts": "The same, and none of these.",
    },
    "GlobalNetworkPolicySpec": {
        "namespaceSelector": "Only workloads in namespaces whose labels match.",
        "doNotTrack": "Before connection tracking, on host endpoints only: both directions need a rule.",
        "preDNAT": "Before addresses are translated, on host endpoints only, ingress only.",
        "applyOnForward": "Also for packets that a host forwards, not only those from or to itself.",
    },
    "HTTPMatch": {"methods": "Methods, such as GET; any where unset."},
    "HTTPPath": {"exact": "This path.", "prefix": "Paths that begin with this."},
    "HealthTimeoutOverride": {"name": "The part.", "timeout": "After this long in silence it counts as stuck."},
    "HostEndpointSpec": {
        "node": "The machine.",
        "interfaceName": "The interface, or * for all of them.",
        "expectedIPs": "The interface is the one with one of these addresses; also what selectors of others match.",
        "profiles": "Profiles for packets that no policy decides on.",
    },
    "HostEndpointTemplate": {
        "generateName": "Names of the HostEndpoints are made of the node's and this.",
        "interfaceCIDRs": "Interfaces with an address in one of these prefixes.",
        "interfacePattern": "Interfaces whose names match this regular expression.",
        "nodeSelector": "Nodes that get one; all where unset.",
        "labels": "Labels of the HostEndpoints, beside the node's.",
        "annotations": "Annotations of the HostEndpoints.",
    },
    "ICMPMatch": {"type": "Type of the message.", "code": "Code within the type."},
    "IPAMBlockSpec": {
        "cidr": "The block.",
        "affinity": "Who takes addresses from it first: host:NODE, or virtual:NAME.",
        "affinityClaimTime": "When the block was claimed.",
        "allocations": "One entry an address: a position in attributes, or null where it is free.",
        "unallocated": "Free addresses by position, in the order in which they will be given out.",
        "sequenceNumber": "Grows with each change.",
        "sequenceNumberForAllocation": "By address, the sequence number at which it was given out.",
        "deleted": "The block is being removed; readers treat it as gone.",
        "strictAffinity": "Deprecated: IPAMConfiguration decides.",
    },
    "IPAMConfigurationSpec": {
        "strictAffinity": "Nodes take addresses from their own blocks only, and never borrow.",
        "autoAllocateBlocks": "Nodes claim blocks as they need them.",
        "maxBlocksPerHost": "Most blocks of one node; 0 means 20.",
        "ipCooldownSeconds": "How long an address rests before it is given out again.",
    },
    "IPAMHandleSpec": {
        "handleID": "The handle.",
        "block": "By block, how many addresses it holds there.",
        "deleted": "The handle is being removed; readers treat it as gone.",
    },
    "IPBlock": {"cidr": "The prefix.", "except": "Prefixes within it that do not match."},
    "IPNAT": {"internalIP": "One of the endpoint's own addresses.", "externalIP": "Translated to it."},
    "IPPoolCondition": {
        "type": "What it is about: Allocatable.",
        "status": "True, False or Unknown.",
        "reason": "In one word: OK, CIDROverlap, Terminating, PoolDisabled.",
        "message": "In a sentence.",
        "lastTransitionTime": "When the status last changed.",
        "observedGeneration": "Generation of the pool that it was found for.",
    },
    "IPPoolSpec": {
        "cidr": "The range; it stays as it is for the pool's life.",
        "natOutgoing": "Packets that leave the pools take the node's address.",
        "disabled": "No new addresses are given out of it.",
        "disableBGPExport": "Its blocks are not announced to peers.",
        "namespaceSelector": "Namespaces whose pods may use the pool; all where unset.",
    },
    "IPReservationSpec": {"reservedCIDRs": "Prefixes whose addresses only those get who name one."},
    "KubeControllersConfigurationSpec": {
        "prometheusMetricsPort": "Port for metrics; 0 is none.",
        "debugProfilePort": "Port for profiles; none where unset.",
    },
    "KubeControllersConfigurationStatus": {"environmentVars": "The variables of the environment that had a say."},
    "KubernetesPort": {
        "protocol": "TCP where unset.",
        "port": "A number, or the name of a port.",
        "endPort": "Last port of a range that begins at port.",
    },
    "LabelRequirement": {
        "key": "The label.",
        "operator": "In, NotIn, Exists or DoesNotExist.",
        "values": "For In and NotIn.",
    },
    "LabelSelector": {"matchLabels": "Labels and the values that they must have."},
    "LearnedFrom": {"peerIP": "The peer, where it was one."},
    "NetworkSetSpec": {"nets": "Prefixes; an address is one of full length."},
    "NodeAddress": {"address": "The address."},
    "NodeBGP": {
        "asNumber": "The node's own AS number; that of BGPConfiguration default where unset.",
        "ipv4Address": "Address of its sessions, with the length of its network.",
        "ipv6Address": "Address of its sessions, with the length of its network.",
        "ipv4IPIPTunnelAddr": "Address of its IPIP tunnel.",
        "routeReflectorClusterID": "Makes the node a route reflector of this cluster; four octets.",
    },
    "NodeInterface": {"name": "The interface.", "addresses": "Its addresses."},
    "NodeSpec": {
        "ipv4VXLANTunnelAddr": "Address of its VXLAN device.",
        "ipv6VXLANTunnelAddr": "Address of its VXLAN device for IPv6.",
        "vxlanTunnelMACAddr": "MAC address of its VXLAN device.",
        "vxlanTunnelMACAddrV6": "MAC address of its VXLAN device for IPv6.",
    },
    "NodeStatus": {
        "wireguardPublicKey": "Public key for WireGuard.",
        "wireguardPublicKeyV6": "Public key for WireGuard over IPv6.",
        "podCIDRs": "Ranges that Kubernetes gave to the node.",
    },
    "NodeWireguard": {
        "interfaceIPv4Address": "Address of its WireGuard device.",
        "interfaceIPv6Address": "Address of its WireGuard device for IPv6.",
    },
    "OrchRef": {"nodeName": "The node's name there.", "orchestrator": "Such as k8s."},
    "PeerStatus": {"peerIP": "Address of the peer.", "since": "When the session came into this state."},
    "PolicySpec": _SELECTED,
    "PrefixAdvertisement": {"cidr": "Routes within this prefix.", "communities": "Values, or names from communities."},
    "PrefixLengthV4": _PREFIX_LENGTH,
    "PrefixLengthV6": _PREFIX_LENGTH,
    "PrependASPath": {"prefix": "One to ten AS numbers."},
    "ProfileSpec": {"labelsToApply": "Labels that every endpoint with this profile gets."},
    "ProtoPort": {"port": "The number."},
    "RouteStatus": {
        "destination": "Where it leads.",
        "gateway": "The next hop.",
        "interface": "The interface that it leaves by.",
    },
    "RouteTableRange": _RANGE,
    "Rule": {
        "ipVersion": "4 or 6; both where unset.",
        "protocol": "TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or a number from 1 to 255.",
        "notProtocol": "Every protocol but this one.",
    },
    "RuleMetadata": {"annotations": "Notes, by key."},
    "SecretKeyReference": {
        "name": "The Secret, in the namespace that the agent runs in.",
        "key": "The entry of the Secret.",
        "optional": "Whether the Secret may be missing.",
    },
    "ServiceAccountMatch": {"names": "Service accounts by name.", "selector": "Service accounts by label."},
    "ServiceMatch": {
        "name": "The Service.",
        "namespace": "Its namespace; the policy's own where unset.",
    },
    "ServicePrefix": {"cidr": "The range, with its length."},
    "SetPriority": {"value": "The metric."},
    "StagedKubernetesNetworkPolicySpec": {"policyTypes": "Directions: Ingress, Egress or both."},
    "WorkloadEndpointPort": {
        "name": "The name that rules use.",
        "protocol": "TCP, UDP or SCTP, by name or number.",
        "port": "The number.",
        "hostPort": "Port of the node that leads to it.",
        "hostIP": "Address of the node that hostPort is on; all where unset.",
    },
    "WorkloadEndpointSpec": {
        "orchestrator": "Who runs the workload, such as k8s.",
        "workload": "Its name there, where it is no pod.",
        "node": "Node that it runs on.",
        "containerID": "Its container.",
        "pod": "Its pod.",
        "endpoint": "Its interface inside, such as eth0.",
        "serviceAccountName": "Its service account.",
        "ipNetworks": "Its addresses, as prefixes of full length.",
        "ipv4Gateway": "Its IPv4 gateway.",
        "ipv6Gateway": "Its IPv6 gateway.",
        "profiles": "Profiles for packets that no policy decides on.",
        "interfaceName": "Its interface on the node.",
        "mac": "MAC address of its interface.",
        "allowSpoofedSourcePrefixes": "Prefixes that it may send from beside its own addresses.",
        "qosControls": "Limits of bandwidth, packets and connections.",
    },
}
"""dict[model, dict[field, sentence]], by the names of models and the names of fields in manifests."""


def meaning(model: type, field: str) -> str | None:
    """The sentence about a model's field, by its name in manifests; None where there is none."""
    return next((found[field] for each in model.__mro__ if field in (found := MEANINGS.get(each.__name__, {}))), None)
