"""Every setting of the node's agent: its name in environment and file, its kind, its default.

One row a setting. The name is matched in any case. `field` is the field of FelixConfiguration that says the same, None
for those that only the machine itself can say (`LOCAL`) or that other objects say (the tunnel's addresses are the
Node's, the cluster's identity is ClusterInformation's). Source: calico.md section 2.21.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from muslin.resources.felix_configuration import FelixConfigurationSpec
from muslin.semantics.felix_kinds import (
    AUTHORITY,
    BOOL,
    CIDR_LIST,
    DSCP,
    ENDPOINT_LIST,
    EXECUTABLE,
    EXISTING_FILE,
    FILE,
    HOST_ADDRESS,
    HOSTNAME,
    IFACE_FILTERS,
    IFACE_LIST,
    IFACE_PARAM,
    IFACE_PATTERNS,
    INT,
    IPV4,
    IPV6,
    KEY_DURATIONS,
    KEY_VALUES,
    LOG_RATE,
    MARK,
    MILLIS,
    OPTIONAL_BOOL,
    PATTERN,
    PORT_RANGE,
    PORT_RANGES,
    PORTS,
    REGION,
    SECONDS,
    STRING,
    TABLE_RANGE,
    TABLE_RANGES,
    Kind,
    at_least,
    between,
    one_of,
)

__all__ = ["FIELD_NAMES", "PARAMETERS", "Flag", "Parameter"]


class Flag(enum.Flag):
    """What else is known of a setting."""

    NONE = 0
    NON_ZERO = enum.auto()
    """`none` is not allowed: there must be a value."""
    REQUIRED = enum.auto()
    """A bad value is fatal; that of another setting is replaced by the default."""
    LOCAL = enum.auto()
    """Only environment and file are asked: it is needed to reach the datastore."""


@dataclass(frozen=True)
class Parameter:
    """One setting.

    Attributes:
        name: as it stands in a file; `FELIX_` and this name, in any case, in the environment.
        kind: how its text is read.
        default_text: text of the default, empty where the default is the kind's zero value.
        flags: what else is known.
        field: Calico's name of the field of FelixConfiguration, None where it has none.
    """

    name: str
    kind: Kind
    default_text: str
    flags: Flag
    field: str | None

    @cached_property
    def default(self) -> Any:
        """The value where nobody says anything."""
        return self.kind.parse(self.default_text) if self.default_text else self.kind.zero


FIELD_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BPFConntrackCleanupMode": "bpfConntrackMode",
        "EndpointReportingDelaySecs": "endpointReportingDelay",
        "ExternalNodesCIDRList": "externalNodesList",
        "IpInIpEnabled": "ipipEnabled",
        "IpInIpMtu": "ipipMTU",
        "IptablesLockProbeIntervalMillis": "iptablesLockProbeInterval",
        "IptablesPostWriteCheckIntervalSecs": "iptablesPostWriteCheckInterval",
        "NetlinkTimeoutSecs": "netlinkTimeout",
        "ReportingIntervalSecs": "reportingInterval",
        "ReportingTTLSecs": "reportingTTL",
        "UsageReportingInitialDelaySecs": "usageReportingInitialDelay",
        "UsageReportingIntervalSecs": "usageReportingInterval",
        "WireguardPersistentKeepAlive": "wireguardKeepAlive",
    }
)
"""Mapping[name of a setting, its field]: where they differ in more than capitals."""

_NO, _NZ, _LOCAL = Flag.NONE, Flag.NON_ZERO, Flag.LOCAL
_DIE = Flag.REQUIRED
_NZ_DIE = _NZ | _DIE
_NZ_LOCAL = _NZ | _LOCAL

_SWITCH = one_of("Enabled", "Disabled")
_PORT = between(0, 65535)
_PRIORITY = between(1, 2147483646)
_FROM_MINUS_ONE = at_least(-1)
_LEVEL = one_of("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
_ALLOW = one_of("ACCEPT", "RETURN")
_DENY = one_of("DROP", "REJECT")
_CLIENT_AUTH = one_of("RequireAndVerifyClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "NoClientCert")
_CONNTRACK_TIMEOUTS = (
    "CreationGracePeriod=10s,TCPSynSent=20s,TCPEstablished=1h,TCPFinsSeen=Auto,TCPResetSeen=40s,UDPTimeout=60s,"
    "GenericTimeout=10m,ICMPTimeout=5s"
)
_INBOUND = "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667"
_OUTBOUND = "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667"

_ROWS: Final[tuple[tuple[str, Kind, str, Flag], ...]] = (
    # the process
    ("FeatureDetectOverride", KEY_VALUES, "", _NO),
    ("FeatureGates", KEY_VALUES, "", _NO),
    ("GoGCThreshold", _FROM_MINUS_ONE, "40", _NO),
    ("GoMaxProcs", _FROM_MINUS_ONE, "-1", _NO),
    ("GoMemoryLimitMB", _FROM_MINUS_ONE, "-1", _NO),
    ("HealthEnabled", BOOL, "false", _NO),
    ("HealthHost", HOST_ADDRESS, "localhost", _NO),
    ("HealthPort", _PORT, "9099", _NO),
    ("HealthTimeoutOverrides", KEY_DURATIONS, "", _NO),
    ("LogActionRateLimit", LOG_RATE, "", _NO),
    ("LogActionRateLimitBurst", at_least(0), "5", _NO),
    ("LogDebugFilenameRegex", PATTERN, "", _NO),
    ("LogFilePath", FILE, "/var/log/calico/felix.log", _DIE),
    ("LogPrefix", STRING, "calico-packet", _NO),
    ("LogSeverityFile", _LEVEL, "INFO", _NO),
    ("LogSeverityScreen", _LEVEL, "INFO", _NO),
    ("LogSeveritySys", _LEVEL, "INFO", _NO),
    ("PrometheusGoMetricsEnabled", BOOL, "true", _NO),
    ("PrometheusMetricsCAFile", STRING, "", _NO),
    ("PrometheusMetricsCertFile", STRING, "", _NO),
    ("PrometheusMetricsClientAuth", _CLIENT_AUTH, "NoClientCert", _NO),
    ("PrometheusMetricsEnabled", BOOL, "false", _NO),
    ("PrometheusMetricsHost", HOST_ADDRESS, "", _NO),
    ("PrometheusMetricsKeyFile", STRING, "", _NO),
    ("PrometheusMetricsPort", _PORT, "9091", _NO),
    ("PrometheusProcessMetricsEnabled", BOOL, "true", _NO),
    ("PrometheusWireGuardMetricsEnabled", BOOL, "true", _NO),
    ("UseInternalDataplaneDriver", BOOL, "true", _NO),
    ("DataplaneDriver", EXECUTABLE, "calico-iptables-plugin", _NZ_DIE),
    ("DataplaneWatchdogTimeout", SECONDS, "90", _NO),
    ("PolicySyncPathPrefix", FILE, "", _NO),
    ("EndpointStatusPathPrefix", FILE, "/var/run/calico", _NO),
    ("FlowLogsCollectorDebugTrace", BOOL, "false", _NO),
    ("FlowLogsFlushInterval", SECONDS, "300", _NO),
    ("FlowLogsGoldmaneServer", STRING, "", _NO),
    ("FlowLogsLocalReporter", _SWITCH, "Disabled", _NO),
    ("FlowLogsPolicyEvaluationMode", one_of("None", "Continuous"), "Continuous", _NO),
    ("UsageReportingEnabled", BOOL, "true", _NO),
    ("UsageReportingInitialDelaySecs", SECONDS, "300", _NO),
    ("UsageReportingIntervalSecs", SECONDS, "86400", _NO),
    ("DebugBPFCgroupV2", STRING, "", _LOCAL),
    ("DebugCPUProfilePath", FILE, "/tmp/felix-cpu-<timestamp>.pprof", _NO),  # noqa: S108 - the reference's default
    ("DebugDisableLogDropping", BOOL, "false", _NO),
    ("DebugHost", HOST_ADDRESS, "localhost", _NO),
    ("DebugMemoryProfilePath", FILE, "", _NO),
    ("DebugPanicAfter", SECONDS, "0", _NO),
    ("DebugPort", _PORT, "", _NO),
    ("DebugSimulateCalcGraphHangAfter", SECONDS, "0", _NO),
    ("DebugSimulateDataRace", BOOL, "false", _NO),
    ("DebugSimulateDataplaneApplyDelay", SECONDS, "0", _NO),
    ("DebugSimulateDataplaneHangAfter", SECONDS, "0", _NO),
    # where the datastore is
    ("DatastoreType", one_of("kubernetes", "etcdv3"), "etcdv3", _NZ_DIE | _LOCAL),
    ("EtcdAddr", AUTHORITY, "127.0.0.1:2379", _LOCAL),
    ("EtcdCaFile", EXISTING_FILE, "", _LOCAL),
    ("EtcdCertFile", EXISTING_FILE, "", _LOCAL),
    ("EtcdEndpoints", ENDPOINT_LIST, "", _LOCAL),
    ("EtcdKeyFile", EXISTING_FILE, "", _LOCAL),
    ("EtcdScheme", one_of("http", "https"), "http", _LOCAL),
    ("FelixHostname", HOSTNAME, "", _NZ_LOCAL),
    ("TyphaAddr", AUTHORITY, "", _LOCAL),
    ("TyphaCAFile", EXISTING_FILE, "", _LOCAL),
    ("TyphaCN", STRING, "", _LOCAL),
    ("TyphaCertFile", EXISTING_FILE, "", _LOCAL),
    ("TyphaK8sNamespace", STRING, "kube-system", _NZ_LOCAL),
    ("TyphaK8sServiceName", STRING, "", _LOCAL),
    ("TyphaKeyFile", EXISTING_FILE, "", _LOCAL),
    ("TyphaReadTimeout", SECONDS, "30", _LOCAL),
    ("TyphaURISAN", STRING, "", _LOCAL),
    ("TyphaWriteTimeout", SECONDS, "10", _LOCAL),
    # what other objects say of cluster and node
    ("CalicoVersion", STRING, "", _NO),
    ("ClusterGUID", STRING, "baddecaf", _NO),
    ("ClusterType", STRING, "", _NO),
    ("Variant", STRING, "Calico", _NO),
    ("IPv4VXLANTunnelAddr", IPV4, "", _NO),
    ("IPv6VXLANTunnelAddr", IPV6, "", _NO),
    ("IpInIpTunnelAddr", IPV4, "", _NO),
    ("VXLANTunnelMACAddr", STRING, "", _NO),
    ("VXLANTunnelMACAddrV6", STRING, "", _NO),
    # OpenStack
    ("EndpointReportingDelaySecs", SECONDS, "1", _NO),
    ("EndpointReportingEnabled", BOOL, "false", _NO),
    ("MetadataAddr", HOSTNAME, "127.0.0.1", _DIE),
    ("MetadataPort", _PORT, "8775", _DIE),
    ("OpenstackRegion", REGION, "", _DIE),
    ("ReportingIntervalSecs", SECONDS, "30", _NO),
    ("ReportingTTLSecs", SECONDS, "90", _NO),
    # packets: rules and routes
    ("AllowIPIPPacketsFromWorkloads", BOOL, "false", _NO),
    ("AllowVXLANPacketsFromWorkloads", BOOL, "false", _NO),
    ("AWSSrcDstCheck", one_of("DoNothing", "Enable", "Disable"), "DoNothing", _NZ),
    ("CgroupV2Path", STRING, "", _NO),
    ("ChainInsertMode", one_of("insert", "append"), "insert", _NZ_DIE),
    ("DefaultEndpointToHostAction", one_of("DROP", "RETURN", "ACCEPT"), "DROP", _NZ_DIE),
    ("DeviceRouteProtocol", INT, "3", _NO),
    ("DeviceRouteSourceAddress", IPV4, "", _NO),
    ("DeviceRouteSourceAddressIPv6", IPV6, "", _NO),
    ("DisableConntrackInvalidCheck", BOOL, "false", _NO),
    ("ExternalNodesCIDRList", CIDR_LIST, "", _DIE),
    ("FailsafeInboundHostPorts", PORTS, _INBOUND, _DIE),
    ("FailsafeOutboundHostPorts", PORTS, _OUTBOUND, _DIE),
    ("FloatingIPs", _SWITCH, "Disabled", _NO),
    ("GenericXDPEnabled", BOOL, "false", _NO),
    ("InterfaceExclude", IFACE_PATTERNS, "kube-ipvs0", _NO),
    ("InterfacePrefix", IFACE_LIST, "cali", _NZ_DIE),
    ("InterfaceRefreshInterval", SECONDS, "90", _NO),
    ("IPForwarding", _SWITCH, "Enabled", _NO),
    ("IPv4ElevatedRoutePriority", _PRIORITY, "512", _NO),
    ("IPv4NormalRoutePriority", _PRIORITY, "1024", _NO),
    ("IPv6ElevatedRoutePriority", _PRIORITY, "512", _NO),
    ("IPv6NormalRoutePriority", _PRIORITY, "1024", _NO),
    ("Ipv6Support", BOOL, "true", _NO),
    ("IpsetsRefreshInterval", SECONDS, "90", _NO),
    ("IptablesBackend", one_of("legacy", "nft", "auto"), "auto", _NO),
    ("IptablesFilterAllowAction", _ALLOW, "ACCEPT", _NZ_DIE),
    ("IptablesFilterDenyAction", _DENY, "DROP", _NZ_DIE),
    ("IptablesLockProbeIntervalMillis", MILLIS, "50", _NO),
    ("IptablesMangleAllowAction", _ALLOW, "ACCEPT", _NZ_DIE),
    ("IptablesMarkMask", MARK, "0xffff0000", _NZ_DIE),
    ("IptablesNATOutgoingInterfaceFilter", IFACE_PARAM, "", _NO),
    ("IptablesPostWriteCheckIntervalSecs", SECONDS, "5", _NO),
    ("IptablesRefreshInterval", SECONDS, "180", _NO),
    ("IstioAmbientMode", _SWITCH, "Disabled", _NO),
    ("IstioDSCPMark", DSCP, "23", _NO),
    ("KubeNodePortRanges", PORT_RANGES, "30000:32767", _NO),
    ("LiveMigrationRouteConvergenceTime", SECONDS, "30", _NO),
    ("LocalSubnetL2Reachability", one_of("Disabled", "PodsAndLoadBalancers"), "Disabled", _NO),
    ("LocalSubnetL2ReachabilityRefreshInterval", SECONDS, "120", _NO),
    ("MaxIpsetSize", INT, "1048576", _NZ),
    ("MTUIfacePattern", PATTERN, "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)", _NO),
    ("NATOutgoingAddress", IPV4, "", _NO),
    ("NATOutgoingExclusions", one_of("IPPoolsOnly", "IPPoolsAndHostIPs"), "IPPoolsOnly", _NO),
    ("NATPortRange", PORT_RANGE, "", _NO),
    ("NetlinkTimeoutSecs", SECONDS, "10", _NO),
    ("NftablesFilterAllowAction", _ALLOW, "ACCEPT", _NZ_DIE),
    ("NftablesFilterDenyAction", _DENY, "DROP", _NZ_DIE),
    ("NFTablesFlowTableDataIfacePattern", PATTERN, "", _NO),
    ("NFTablesFlowTableOffload", one_of("All", "Disabled"), "Disabled", _NO),
    ("NftablesMangleAllowAction", _ALLOW, "ACCEPT", _NZ_DIE),
    ("NftablesMarkMask", MARK, "0xffff0000", _NZ_DIE),
    ("NFTablesMode", one_of("Enabled", "Disabled", "Auto"), "Auto", _NO),
    ("NftablesRefreshInterval", SECONDS, "180", _NO),
    (
        "ProgramClusterRoutes",
        one_of("Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly"),
        "EnabledIPIPOnly",
        _NO,
    ),
    ("RemoveExternalRoutes", BOOL, "true", _NO),
    ("RequireMTUFile", BOOL, "false", _NO),
    ("RouteRefreshInterval", SECONDS, "90", _NO),
    ("RouteSource", one_of("WorkloadIPs", "CalicoIPAM"), "CalicoIPAM", _NO),
    ("RouteSyncDisabled", BOOL, "false", _NO),
    ("RouteTableRange", TABLE_RANGE, "", _DIE),
    ("RouteTableRanges", TABLE_RANGES, "", _DIE),
    ("ServiceLoopPrevention", one_of("Drop", "Reject", "Disabled"), "Drop", _NO),
    ("SidecarAccelerationEnabled", BOOL, "false", _NO),
    ("WindowsManageFirewallRules", _SWITCH, "Disabled", _NO),
    ("WorkloadSourceSpoofing", one_of("Disabled", "Any"), "Disabled", _NO),
    ("XDPEnabled", BOOL, "true", _NO),
    ("XDPRefreshInterval", SECONDS, "90", _NO),
    # encapsulation
    ("IpInIpEnabled", OPTIONAL_BOOL, "", _NO),
    ("IpInIpMtu", INT, "0", _NO),
    ("VXLANEnabled", OPTIONAL_BOOL, "", _NO),
    ("VXLANMTU", INT, "0", _NO),
    ("VXLANMTUV6", INT, "0", _NO),
    ("VXLANPort", INT, "4789", _NO),
    ("VXLANVNI", INT, "4096", _NO),
    ("WireguardEnabled", BOOL, "false", _NO),
    ("WireguardEnabledV6", BOOL, "false", _NO),
    ("WireguardHostEncryptionEnabled", BOOL, "false", _NO),
    ("WireguardInterfaceName", IFACE_PARAM, "wireguard.cali", _NZ),
    ("WireguardInterfaceNameV6", IFACE_PARAM, "wg-v6.cali", _NZ),
    ("WireguardListeningPort", INT, "51820", _NO),
    ("WireguardListeningPortV6", INT, "51821", _NO),
    ("WireguardMTU", INT, "0", _NO),
    ("WireguardMTUV6", INT, "0", _NO),
    ("WireguardPersistentKeepAlive", SECONDS, "0", _NO),
    ("WireguardRoutingRulePriority", INT, "99", _NO),
    ("WireguardThreadingEnabled", BOOL, "false", _NO),
    # eBPF, which nothing here runs
    ("BPFAttachType", one_of("Netkit", "TCX", "TC"), "Netkit", _NZ),
    ("BPFCTLBLogFilter", one_of("all"), "", _NO),
    ("BPFConnectTimeLoadBalancing", one_of("TCP", "Enabled", "Disabled"), "TCP", _NZ),
    ("BPFConnectTimeLoadBalancingEnabled", BOOL, "", _NO),
    ("BPFConntrackCleanupMode", one_of("Auto", "Userspace", "BPFProgram"), "Auto", _NO),
    ("BPFConntrackLogLevel", one_of("off", "debug"), "off", _NZ),
    ("BPFConntrackTimeouts", KEY_VALUES, _CONNTRACK_TIMEOUTS, _NO),
    ("BPFDSROptoutCIDRs", CIDR_LIST, "", _NO),
    ("BPFDataIfacePattern", PATTERN, "^((en|wl|ww|sl|ib)[Popsx].*|(eth|wlan|wwan|bond).*)", _NO),
    ("BPFDisableGROForIfaces", PATTERN, "", _NO),
    ("BPFDisableUnprivileged", BOOL, "true", _NO),
    ("BPFEnabled", BOOL, "false", _NO),
    ("BPFEnforceRPF", one_of("Disabled", "Strict", "Loose"), "Loose", _NZ),
    ("BPFExcludeCIDRsFromNAT", CIDR_LIST, "", _NO),
    ("BPFExportBufferSizeMB", INT, "1", _NZ),
    ("BPFExtToServiceConnmark", INT, "0", _NO),
    ("BPFExternalServiceMode", one_of("tunnel", "dsr"), "tunnel", _NZ),
    ("BPFForceTrackPacketsFromIfaces", IFACE_FILTERS, "docker+", _NO),
    ("BPFHostConntrackBypass", BOOL, "false", _NO),
    ("BPFHostNetworkedNATWithoutCTLB", _SWITCH, "Enabled", _NZ),
    ("BPFIPFragTimeout", SECONDS, "", _NO),
    ("BPFIPFragmentReassemblyEnabled", BOOL, "true", _NO),
    ("BPFJITHardening", one_of("Auto", "Strict"), "Auto", _NZ),
    ("BPFKubeProxyHealthzPort", INT, "10256", _NO),
    ("BPFKubeProxyIptablesCleanupEnabled", BOOL, "true", _NO),
    ("BPFKubeProxyMinSyncPeriod", SECONDS, "1", _NO),
    ("BPFL3IfacePattern", PATTERN, "", _NO),
    ("BPFLogFilters", KEY_VALUES, "", _NO),
    ("BPFLogLevel", one_of("off", "info", "debug"), "off", _NZ),
    ("BPFMaglevMaxEndpointsPerService", between(1, 3000), "100", _NO),
    ("BPFMaglevMaxServices", between(1, 3000), "100", _NO),
    ("BPFMapSizeConntrack", INT, "512000", _NZ),
    ("BPFMapSizeConntrackCleanupQueue", INT, "100000", _NZ),
    ("BPFMapSizeConntrackScaling", one_of("Disabled", "DoubleIfFull"), "DoubleIfFull", _NZ),
    ("BPFMapSizeIPSets", INT, "1048576", _NZ),
    ("BPFMapSizeIfState", INT, "1000", _NZ),
    ("BPFMapSizeNATAffinity", INT, "65536", _NZ),
    ("BPFMapSizeNATBackend", INT, "262144", _NZ),
    ("BPFMapSizeNATFrontend", INT, "65536", _NZ),
    ("BPFMapSizePerCPUConntrack", INT, "0", _NO),
    ("BPFMapSizeRoute", INT, "262144", _NZ),
    ("BPFOverlayHostSourceIP", one_of("TunnelAddress", "HostAddress"), "TunnelAddress", _NZ),
    ("BPFPSNATPorts", PORT_RANGE, "20000:29999", _NO),
    ("BPFPolicyDebugEnabled", BOOL, "true", _NO),
    ("BPFProfiling", _SWITCH, "Disabled", _NZ),
    ("BPFRedirectToPeer", one_of("Disabled", "Enabled", "L2Only"), "Enabled", _NZ),
)


def _parameters() -> Mapping[str, Parameter]:
    aliases = [each.alias or name for name, each in FelixConfigurationSpec.model_fields.items()]
    fields = {alias.casefold(): alias for alias in aliases}
    return MappingProxyType(
        {
            name.lower(): Parameter(name, kind, default, flags, fields.get(FIELD_NAMES.get(name, name).casefold()))
            for name, kind, default, flags in _ROWS
        }
    )


PARAMETERS: Final[Mapping[str, Parameter]] = _parameters()
"""Mapping[name in lower case, the setting]: every one there is."""
