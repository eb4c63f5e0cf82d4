"""Settings of the agent as a process: features, health, logging, metrics, reporting."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from muslin.resources.felix_patterns import PatternText
from muslin.resources.felix_values import (
    FelixDuration,
    HealthTimeoutOverride,
    HostAddress,
    LogSeverity,
    PortNumber,
    Switch,
    setting,
    text_form,
    word,
)
from muslin.resources.fields import Bool, DurationField, Int, Text, one_of
from muslin.resources.part import Part

__all__ = ["FelixProcess"]

ClientAuth: TypeAlias = Annotated[
    Text, word("NoClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
]
FlowLogsEvaluation: TypeAlias = Annotated[Text, one_of("None", "Continuous")]
DetectOverride: TypeAlias = Annotated[
    Text,
    text_form(
        r"([a-zA-Z0-9_-]+=(true|false|),)*([a-zA-Z0-9_-]+=(true|false|))?",
        "a list such as SNATFullyRandom=true,RestoreSupportsLock=",
    ),
]
Gates: TypeAlias = Annotated[
    Text, text_form(r"([a-zA-Z0-9_-]+=[^=]+,)*([a-zA-Z0-9_-]+=[^=]+)?", "a list such as Feature=enabled,Other=false")
]
LogRate: TypeAlias = Annotated[Text, text_form(r"[1-9][0-9]{0,3}/(second|minute|hour|day)", "a rate such as 10/minute")]
LogPrefix: TypeAlias = Annotated[Text, text_form(r"[a-zA-Z0-9%: /_-]*", "letters, digits, blanks and any of %:/_-")]


class FelixProcess(Part):
    """Settings that do not touch packets."""

    feature_detect_override: DetectOverride | None = setting("Features of the kernel to assume, whatever was detected.")
    feature_gates: Gates | None = setting("Features under trial to switch on or off.")
    go_gc_threshold: Int | None = setting("Garbage collection of Calico's own agent; nothing here has it.", ge=-1)
    go_max_procs: Int | None = setting("Threads of Calico's own agent; nothing here has it.", ge=-1)
    go_memory_limit_mb: Int | None = setting("Memory of Calico's own agent; nothing here has it.", ge=-1)
    health_enabled: Bool | None = setting("Answer /liveness and /readiness.")
    health_host: Text | None = setting("Address to answer health checks on.")
    health_port: Int | None = setting("Port to answer health checks on.")
    health_timeout_overrides: tuple[HealthTimeoutOverride, ...] | None = setting(
        "How long single parts of the agent may be silent before it counts as dead."
    )
    log_action_rate_limit: LogRate | None = setting("How often rules with the action Log may log.")
    log_action_rate_limit_burst: Int | None = setting("Packets logged before the limit counts.", ge=0, le=9999)
    log_debug_filename_regex: PatternText | None = setting("Source files whose debug messages are logged.")
    log_file_path: Text | None = setting("File to log to; none is no file.")
    log_prefix: LogPrefix | None = setting(
        "What rules with the action Log begin with; %t is the tier, %k the kind, %n the policy, %p its full name."
    )
    log_severity_file: LogSeverity | None = setting("Least severity that goes into the file.")
    log_severity_screen: LogSeverity | None = setting("Least severity that goes to standard output.")
    log_severity_sys: LogSeverity | None = setting("Least severity that goes to syslog.")
    prometheus_go_metrics_enabled: Bool | None = setting("Measure the runtime of Calico's own agent.")
    prometheus_metrics_ca_file: Text | None = setting("Authority of those who may read metrics.")
    prometheus_metrics_cert_file: Text | None = setting("Certificate to serve metrics with.")
    prometheus_metrics_client_auth: ClientAuth | None = setting("Which certificate a reader of metrics must show.")
    prometheus_metrics_enabled: Bool | None = setting("Serve metrics.")
    prometheus_metrics_host: HostAddress | None = setting("Address to serve metrics on; every one if unset.")
    prometheus_metrics_key_file: Text | None = setting("Key to serve metrics with.")
    prometheus_metrics_port: Int | None = setting("Port to serve metrics on.")
    prometheus_process_metrics_enabled: Bool | None = setting("Measure the process.")
    prometheus_wireguard_metrics_enabled: Bool | None = setting(
        "Measure WireGuard.", alias="prometheusWireGuardMetricsEnabled"
    )
    flow_logs_collector_debug_trace: Bool | None = setting("Log everything that the collector of flows does.")
    flow_logs_flush_interval: FelixDuration | None = setting("Time between two reports of flows.")
    flow_logs_goldmane_server: Text | None = setting("Where flows are reported to, host:port.")
    flow_logs_local_reporter: Switch | None = setting("Report flows on a socket of the node.")
    flow_logs_policy_evaluation_mode: FlowLogsEvaluation | None = setting(
        "Whether running flows are judged again when policy changes."
    )
    debug_disable_log_dropping: Bool | None = setting("Wait rather than drop messages when logging is slow.")
    debug_host: Text | None = setting("Address of the port for profiles.")
    debug_memory_profile_path: Text | None = setting("File to write memory profiles to.")
    debug_port: PortNumber | None = setting("Port for profiles; 0 is none.")
    debug_simulate_calc_graph_hang_after: FelixDuration | None = setting("For tests: stop computing after this time.")
    debug_simulate_dataplane_apply_delay: FelixDuration | None = setting("For tests: wait before each write.")
    debug_simulate_dataplane_hang_after: FelixDuration | None = setting("For tests: stop writing after this time.")
    usage_reporting_enabled: Bool | None = setting("Tell Calico's makers version and size; nothing here does.")
    usage_reporting_initial_delay: FelixDuration | None = setting("Time before the first report of usage.")
    usage_reporting_interval: FelixDuration | None = setting("Time between two reports of usage.")
    endpoint_reporting_delay: FelixDuration | None = setting("OpenStack: time before an endpoint's state is told.")
    endpoint_reporting_enabled: Bool | None = setting("OpenStack: tell the datastore endpoints' state.")
    reporting_interval: FelixDuration | None = setting("Time between two reports of the agent's state; 0 is none.")
    reporting_ttl: FelixDuration | None = setting("How long a report of the agent's state holds.")
    dataplane_driver: Text | None = setting("Program that writes rules instead of the agent.")
    dataplane_watchdog_timeout: DurationField | None = setting("Older form of healthTimeoutOverrides for the writer.")
    use_internal_dataplane_driver: Bool | None = setting("Let the agent write rules itself.")
    policy_sync_path_prefix: Text | None = setting("Folder of the sockets that tell policy to programs in pods.")
    endpoint_status_path_prefix: Text | None = setting("Folder of the files that tell endpoints' state; empty is none.")
    openstack_region: Text | None = setting("OpenStack: the region that the node is in.")
