"""KubeControllersConfiguration `default`: which cluster-wide controllers run, and how often they look again."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from muslin.resources.base import ONLY_DEFAULT, NameForm, Resource
from muslin.resources.durations import Duration
from muslin.resources.felix_patterns import PatternText
from muslin.resources.felix_values import Switch
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    DurationField,
    Int,
    LooseNet,
    ObjectName,
    SelectorText,
    StringMap,
    UniqueTuple,
)
from muslin.resources.frozen import FrozenDict
from muslin.resources.kube_controllers_checks import TEMPLATE_RULES
from muslin.resources.part import Part
from muslin.resources.validation import ValidationRule

__all__ = [
    "AssignIPs", "AutoHostEndpoint", "ControllerLogSeverity", "Controllers", "HostEndpointTemplate",
    "KubeControllersConfiguration", "KubeControllersConfigurationSpec", "KubeControllersConfigurationStatus",
    "LoadBalancerController", "MigrationController", "NodeController", "PeriodicController",
]  # fmt: skip

DEFAULT_RECONCILER_PERIOD: Final = Duration(300 * 10**9)
DEFAULT_LEAK_GRACE_PERIOD: Final = Duration(900 * 10**9)
DEFAULT_COMPACTION_PERIOD: Final = Duration(600 * 10**9)


class ControllerLogSeverity(enum.Enum):
    """From which severity on something is logged."""

    NONE = "None"
    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"
    FATAL = "Fatal"
    PANIC = "Panic"


class AssignIPs(enum.Enum):
    """Which Services get an address: all of type LoadBalancer, or those that ask."""

    ALL_SERVICES = "AllServices"
    REQUESTED_SERVICES_ONLY = "RequestedServicesOnly"


class HostEndpointTemplate(Part):
    """What HostEndpoints to make for nodes: one a node and template, by interface or by address."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = TEMPLATE_RULES

    generate_name: ObjectName | None = None
    interface_cidrs: UniqueTuple[LooseNet] = ()
    interface_pattern: PatternText | None = None
    node_selector: SelectorText | None = None
    labels: StringMap = FrozenDict()
    annotations: StringMap = FrozenDict()


class AutoHostEndpoint(Part):
    """Whether HostEndpoints are made for nodes, and which."""

    auto_create: Annotated[Switch | None, EMPTY_IS_UNSET] = None
    create_default_host_endpoint: Annotated[Switch | None, EMPTY_IS_UNSET] = None
    templates: tuple[HostEndpointTemplate, ...] = ()

    @property
    def effective_auto_create(self) -> bool:
        """Whether any are made; not so where unset."""
        return self.auto_create is Switch.ENABLED

    @property
    def effective_create_default_host_endpoint(self) -> bool:
        """Whether each node gets one for all its interfaces; so where unset."""
        return self.create_default_host_endpoint is not Switch.DISABLED


class PeriodicController(Part):
    """A controller that looks at everything again now and then."""

    reconciler_period: DurationField | None = None

    @property
    def effective_reconciler_period(self) -> Duration:
        """Time between two full looks, five minutes where unset."""
        return DEFAULT_RECONCILER_PERIOD if self.reconciler_period is None else self.reconciler_period


class NodeController(PeriodicController):
    """Follows nodes: their labels, their HostEndpoints, addresses that nobody uses any more."""

    sync_labels: Annotated[Switch | None, EMPTY_IS_UNSET] = None
    host_endpoint: AutoHostEndpoint | None = None
    leak_grace_period: DurationField | None = None

    @property
    def effective_sync_labels(self) -> bool:
        """Whether labels of Kubernetes nodes are copied; so where unset."""
        return self.sync_labels is not Switch.DISABLED

    @property
    def effective_leak_grace_period(self) -> Duration:
        """How long an address must look unused before it is taken back, 15 minutes where unset; 0 is never."""
        return DEFAULT_LEAK_GRACE_PERIOD if self.leak_grace_period is None else self.leak_grace_period


class LoadBalancerController(Part):
    """Gives addresses to Services of type LoadBalancer."""

    assign_ips: Annotated[AssignIPs | None, EMPTY_IS_UNSET] = None

    @property
    def effective_assign_ips(self) -> AssignIPs:
        """Which Services get one, all where unset."""
        return self.assign_ips or AssignIPs.ALL_SERVICES


class MigrationController(Part):
    """Renames policies that older versions stored under another name."""

    policy_name_migrator: Annotated[Switch | None, EMPTY_IS_UNSET] = None


class Controllers(Part):
    """One entry a controller. A controller without an entry does not run, except for `migration`, which does."""

    node: NodeController | None = None
    policy: PeriodicController | None = None
    workload_endpoint: PeriodicController | None = None
    service_account: PeriodicController | None = None
    namespace: PeriodicController | None = None
    load_balancer: LoadBalancerController | None = None
    migration: MigrationController | None = None


class KubeControllersConfigurationSpec(Part):
    """What the operator wants of the controllers."""

    ALWAYS_WRITTEN: ClassVar[frozenset[str]] = frozenset({"controllers"})

    log_severity_screen: Annotated[ControllerLogSeverity | None, EMPTY_IS_UNSET] = None
    health_checks: Annotated[Switch | None, EMPTY_IS_UNSET] = None
    etcd_v3_compaction_period: DurationField | None = None
    prometheus_metrics_port: Int | None = Field(default=None, ge=0, le=65535)
    controllers: Controllers = Controllers()
    debug_profile_port: Int | None = Field(default=None, ge=0, le=65535)

    @property
    def effective_log_severity_screen(self) -> ControllerLogSeverity:
        """From which severity on something is logged, `INFO` where unset."""
        return self.log_severity_screen or ControllerLogSeverity.INFO

    @property
    def effective_health_checks(self) -> bool:
        """Whether health is reported; so where unset."""
        return self.health_checks is not Switch.DISABLED

    @property
    def effective_etcd_v3_compaction_period(self) -> Duration:
        """Time between two compactions of etcd, ten minutes where unset; 0 is never."""
        return DEFAULT_COMPACTION_PERIOD if self.etcd_v3_compaction_period is None else self.etcd_v3_compaction_period


class KubeControllersConfigurationStatus(Part):
    """What the controllers run with, after the environment had its say."""

    running_config: KubeControllersConfigurationSpec | None = None
    environment_vars: StringMap = FrozenDict()


class KubeControllersConfiguration(Resource):
    """Settings of the cluster-wide controllers; cluster-scoped, the only name is `default`."""

    NAME_FORM: ClassVar[NameForm] = ONLY_DEFAULT

    kind: Literal["KubeControllersConfiguration"] = "KubeControllersConfiguration"
    spec: KubeControllersConfigurationSpec = KubeControllersConfigurationSpec()
    status: KubeControllersConfigurationStatus | None = None
