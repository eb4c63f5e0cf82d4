"""Names that upstream's processes read, to find those that are spelt wrongly; unlike names may be a newer version's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from muslin.semantics.felix_parameters import PARAMETERS

__all__ = ["INSTALLATION_FIELDS", "meant_field", "meant_variable"]

_POOL: Final = ("CIDR", "BLOCK_SIZE", "VXLAN", "NAT_OUTGOING", "NODE_SELECTOR", "DISABLE_BGP_EXPORT")
_ETCD: Final = ("ETCD_ENDPOINTS", "ETCD_DISCOVERY_SRV", "ETCD_CA_CERT_FILE", "ETCD_CERT_FILE", "ETCD_KEY_FILE")
_KUBERNETES: Final = ("KUBECONFIG", "KUBERNETES_NODE_NAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
_NODE: Final = (
    "AS", "AUTODETECT_POLL_INTERVAL", "CALICO_ADVERTISE_CLUSTER_IPS", "CALICO_CNI_SERVICE_ACCOUNT",
    "CALICO_DISABLE_FILE_LOGGING", "CALICO_K8S_NODE_REF", "CALICO_MANAGE_CNI", "CALICO_NETWORKING_BACKEND",
    "CALICO_ROUTER_ID", "CALICO_STARTUP_LOGLEVEL", "CALICO_UNKNOWN_NODE_TIMEOUT_SECS", "CLUSTER_TYPE",
    "DATASTORE_TYPE", "DISABLE_NODE_IP_CHECK", "IP", "IP6", "IP6_AUTODETECTION_METHOD", "IP_AUTODETECTION_METHOD",
    "NAMESPACE", "NODENAME", "NO_DEFAULT_POOLS", "USE_POD_CIDR", "WAIT_FOR_DATASTORE",
    "CALICO_IPV4POOL_IPIP",
    *(f"CALICO_IPV{version}POOL_{each}" for version in (4, 6) for each in _POOL),
    *_ETCD, *_KUBERNETES,
)  # fmt: skip
_INSTALL: Final = (
    "CNI_CONF_NAME", "CNI_MTU", "CNI_NETWORK_CONFIG", "CNI_NETWORK_CONFIG_FILE", "CNI_NET_DIR", "CNI_OLD_CONF_NAME",
    "SKIP_CNI_BINARIES", "SLEEP", "UPDATE_CNI_BINARIES",
)  # fmt: skip
_TYPHA: Final = (
    "CAFILE", "CLIENTCN", "CLIENTURISAN", "CONNECTIONDROPINTERVALSECS", "CONNECTIONREBALANCINGMODE", "DATASTORETYPE",
    "DEBUGHOST", "DEBUGPORT", "HEALTHENABLED", "HEALTHHOST", "HEALTHPORT", "K8SNAMESPACE", "K8SPORTNAME",
    "K8SSERVICENAME", "K8SSERVICEPOLLINTERVALSECS", "LOGFILEPATH", "LOGSEVERITYFILE", "LOGSEVERITYSCREEN",
    "LOGSEVERITYSYS", "MAXCONNECTIONSLOWERLIMIT", "MAXCONNECTIONSUPPERLIMIT", "NODENAME", "PODNAME", "PODNAMESPACE",
    "PROMETHEUSMETRICSCAFILE", "PROMETHEUSMETRICSCERTFILE", "PROMETHEUSMETRICSCLIENTAUTH", "PROMETHEUSMETRICSENABLED",
    "PROMETHEUSMETRICSHOST", "PROMETHEUSMETRICSKEYFILE", "PROMETHEUSMETRICSPORT", "SERVERCERTFILE",
    "SERVERHANDSHAKETIMEOUTSECS", "SERVERHOST", "SERVERKEYFILE", "SERVERMAXFALLBEHINDSECS", "SERVERMAXMESSAGESIZE",
    "SERVERMINBATCHINGAGETHRESHOLDSECS", "SERVERNEWCLIENTFALLBEHINDGRACEPERIOD", "SERVERPINGINTERVALSECS",
    "SERVERPONGTIMEOUTSECS", "SERVERPORT", "SERVERWRITETIMEOUTSECS", "SHUTDOWNCONNECTIONDROPINTERVALMAXSECS",
    "SHUTDOWNTIMEOUTSECS", "SNAPSHOTCACHEMAXBATCHSIZE",
)  # fmt: skip
_KNOWN: Final = frozenset(
    {
        *_NODE,
        *_INSTALL,
        *(f"TYPHA_{each}" for each in _TYPHA),
        *(f"FELIX_{each.upper()}" for each in PARAMETERS),
    }
)
_OURS: Final = ("CALICO_", "FELIX_", "TYPHA_", "CNI_", "ETCD_", "IP_", "IP6_", "DATASTORE_")
_LIKE: Final = 0.87
"""How alike a name must be to one that is known to be taken for it."""

INSTALLATION_FIELDS: Final = {
    (): (
        "calicoKubeControllersDeployment", "calicoNetwork", "calicoNodeDaemonSet", "calicoNodeWindowsDaemonSet",
        "calicoWindowsUpgradeDaemonSet", "certificateManagement", "cni", "componentResources",
        "controlPlaneNodeSelector", "controlPlaneReplicas", "controlPlaneTolerations", "csiNodeDriverDaemonSet",
        "fipsMode", "flexVolumePath", "imagePath", "imagePrefix", "imagePullSecrets", "kubeletVolumePluginPath",
        "kubernetesProvider", "logging", "nodeMetricsPort", "nodeUpdateStrategy", "nonPrivileged", "proxy", "registry",
        "serviceCIDRs", "tlsCipherSuites", "typhaAffinity", "typhaDeployment", "typhaMetricsPort", "variant",
        "windowsNodes",
    ),
    ("calicoNetwork",): (
        "bgp", "bpfNetworkBootstrap", "clusterRoutingMode", "containerIPForwarding", "hostPorts", "ipPools",
        "kubeProxyManagement", "linuxDataplane", "linuxPodInterfaceType", "linuxPolicySetupTimeoutSeconds", "mtu",
        "multiInterfaceMode", "nodeAddressAutodetectionV4", "nodeAddressAutodetectionV6", "sysctl", "windowsDataplane",
    ),
    ("calicoNetwork", "ipPools"): (
        "allowedUses", "assignmentMode", "blockSize", "cidr", "disableBGPExport", "disableNewAllocations",
        "encapsulation", "name", "natOutgoing", "nodeSelector",
    ),
    ("calicoNetwork", "nodeAddressAutodetectionV4"): (
        "canReach", "cidrs", "firstFound", "interface", "kubernetes", "skipInterface",
    ),
    ("calicoNetwork", "nodeAddressAutodetectionV6"): (
        "canReach", "cidrs", "firstFound", "interface", "kubernetes", "skipInterface",
    ),
}  # fmt: skip
"""Mapping[path below the Installation's spec, its fields]; what is in a list counts for each entry."""


def meant_variable(name: str) -> str | None:
    """The variable that somebody who wrote this one meant; None where it is known, or like none."""
    upper = name.upper()
    if upper in _KNOWN or not upper.startswith(_OURS):
        return None
    return _nearest(upper, sorted(_KNOWN))


def meant_field(name: str, known: Iterable[str]) -> str | None:
    """The field that somebody meant; None where it is known, or like none."""
    listed = tuple(known)
    return None if name in listed else _nearest(name, listed, 0.75)


def _nearest(name: str, known: Iterable[str], cutoff: float = _LIKE) -> str | None:
    """The likest, of equally like ones the first: a variable without its family is taken for that of IPv4."""
    like = difflib.get_close_matches(name, known, n=4, cutoff=cutoff)
    return min(like, key=lambda each: (-difflib.SequenceMatcher(None, each, name).ratio(), each), default=None)
