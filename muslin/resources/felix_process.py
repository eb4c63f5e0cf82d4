"""Settings of the agent as a process: features, health, logging, metrics, reporting."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from muslin.resources.felix_values import HealthTimeoutOverride, LogSeverity, MetricsHost, PortNumber, Switch
from muslin.resources.fields import Bool, DurationField, Int, Text, one_of
from muslin.resources.part import Part

__all__ = ["FelixProcess"]


ClientAuth: TypeAlias = Annotated[
    Text, one_of("NoClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
]
FlowLogsEvaluation: TypeAlias = Annotated[Text, one_of("None", "Continuous")]


class FelixProcess(Part):
    """Settings that do not touch packets."""

    feature_detect_override: Text | None = None
    feature_gates: Text | None = None
    go_gc_threshold: Int | None = None
    go_max_procs: Int | None = None
    go_memory_limit_mb: Int | None = None
    health_enabled: Bool | None = None
    health_host: Text | None = None
    health_port: PortNumber | None = None
    health_timeout_overrides: tuple[HealthTimeoutOverride, ...] | None = None
    log_action_rate_limit: Text | None = None
    log_action_rate_limit_burst: Int | None = Field(default=None, ge=0, le=9999)
    log_debug_filename_regex: Text | None = None
    log_file_path: Text | None = None
    log_prefix: Text | None = None
    log_severity_file: LogSeverity | None = None
    log_severity_screen: LogSeverity | None = None
    log_severity_sys: LogSeverity | None = None
    prometheus_go_metrics_enabled: Bool | None = None
    prometheus_metrics_ca_file: Text | None = None
    prometheus_metrics_cert_file: Text | None = None
    prometheus_metrics_client_auth: ClientAuth | None = None
    prometheus_metrics_enabled: Bool | None = None
    prometheus_metrics_host: MetricsHost | None = None
    prometheus_metrics_key_file: Text | None = None
    prometheus_metrics_port: PortNumber | None = None
    prometheus_process_metrics_enabled: Bool | None = None
    prometheus_wireguard_metrics_enabled: Bool | None = Field(default=None, alias="prometheusWireGuardMetricsEnabled")
    flow_logs_collector_debug_trace: Bool | None = None
    flow_logs_flush_interval: DurationField | None = None
    flow_logs_goldmane_server: Text | None = None
    flow_logs_local_reporter: Switch | None = None
    flow_logs_policy_evaluation_mode: FlowLogsEvaluation | None = None
    debug_disable_log_dropping: Bool | None = None
    debug_host: Text | None = None
    debug_memory_profile_path: Text | None = None
    debug_port: PortNumber | None = None
    debug_simulate_calc_graph_hang_after: DurationField | None = None
    debug_simulate_dataplane_apply_delay: DurationField | None = None
    debug_simulate_dataplane_hang_after: DurationField | None = None
    usage_reporting_enabled: Bool | None = None
    usage_reporting_initial_delay: DurationField | None = None
    usage_reporting_interval: DurationField | None = None
    endpoint_reporting_delay: DurationField | None = None
    endpoint_reporting_enabled: Bool | None = None
    reporting_interval: DurationField | None = None
    reporting_ttl: DurationField | None = None
    dataplane_driver: Text | None = None
    dataplane_watchdog_timeout: DurationField | None = None
    use_internal_dataplane_driver: Bool | None = None
    policy_sync_path_prefix: Text | None = None
    endpoint_status_path_prefix: Text | None = None
    openstack_region: Text | None = None
