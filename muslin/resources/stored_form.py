"""What Calico's client stores for an object that somebody gives it: the object with the defaults that are written.

Models never write a default by themselves; whoever writes to a datastore as calicoctl does asks here. The source of
each default is calico.md section 2; those of the CRDs and those of Go's client come to the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from muslin.errors import BadInput, Problem
from muslin.net import parse_prefix
from muslin.resources.base import Resource
from muslin.resources.guards import refused_write
from muslin.resources.loading import dump, load
from muslin.resources.part import Part
from muslin.resources.places import Places, place_of

__all__ = ["NAMESPACE_LABEL", "ORCHESTRATOR_LABEL", "TIER_LABEL", "as_stored"]

Json = dict[str, Any]

TIER_LABEL: Final = "projectcalico.org/tier"
NAMESPACE_LABEL: Final = "projectcalico.org/namespace"
ORCHESTRATOR_LABEL: Final = "projectcalico.org/orchestrator"


def as_stored(resource: Resource, places: Places | None = None, file: str | None = None) -> dict[str, Any]:
    """The canonical JSON that a create or an update writes; uid, times and revision are the store's to add.

    Args:
        resource: as it was given.
        places: where its values stand in their text, if that is known.
        file: name of the file to show if `places` knows none.

    Raises:
        BadInput: the object may not be written, or its defaults break a rule that what was given keeps.
    """
    problems = refused_write(resource, places, file)
    if problems:
        raise BadInput(problems)
    given = dump(resource)
    if resource.kind not in _EMPTY_IS_MEANT:
        _leave_out_empty(resource, given)
    complete = _COMPLETED.get(resource.kind)
    if complete is None:
        return given
    complete(given)
    found = dump(load(given, places, file))
    problems = tuple(
        Problem(what, str(place_of(path, places, file)), fix) for path, what, fix in _unfit(resource.kind, found)
    )
    if problems:
        raise BadInput(problems)
    return found


_EMPTY_IS_MEANT: Final = frozenset({"FelixConfiguration"})
"""Kinds whose texts may be set to nothing: an empty setting is none of the less special object's."""


def _leave_out_empty(part: Part, written: Json) -> None:
    """Take texts that are empty and need not be there out of a part's JSON, as Go's client does."""
    for name, field in type(part).model_fields.items():
        value, key = getattr(part, name), field.alias or name
        if value == "" and field.default is None and not field.is_required() and name not in part.ALWAYS_WRITTEN:
            written.pop(key, None)
        elif isinstance(value, Part) and key in written:
            _leave_out_empty(value, written[key])
        elif isinstance(value, tuple) and key in written:
            for each, its in zip(value, written[key], strict=True):
                if isinstance(each, Part):
                    _leave_out_empty(each, its)


def _spec(value: Json) -> Json:
    found: Json = value.setdefault("spec", {})
    return found


def _fill(value: Json, **defaults: Any) -> None:
    for name, default in defaults.items():
        if value.get(name) in (None, "", []):
            value[name] = default


def _label(value: Json, name: str, content: str) -> None:
    value["metadata"]["labels"] = {**value["metadata"].get("labels", {}), name: content}


def _policy(value: Json) -> None:
    spec = _spec(value)
    _fill(spec, tier="default")
    _label(value, TIER_LABEL, spec["tier"])
    ways = {name for name in ("ingress", "egress") if spec.get(name)} or {"ingress"}
    _fill(spec, types=[name.capitalize() for name in ("ingress", "egress") if name in ways])


def _staged_policy(value: Json) -> None:
    spec = _spec(value)
    _fill(spec, stagedAction="Set")
    if spec["stagedAction"] != "Delete":
        _policy(value)
        return
    _fill(spec, tier="default")
    _label(value, TIER_LABEL, spec["tier"])


def _staged_kubernetes_policy(value: Json) -> None:
    _fill(_spec(value), stagedAction="Set", podSelector={})


def _tier(value: Json) -> None:
    _fill(_spec(value), order=1_000_000, defaultAction="Deny")
    _fill(value, status={})


def _pool(value: Json) -> None:
    spec = _spec(value)
    spec["cidr"] = str(parse_prefix(spec["cidr"]))
    wide = ":" in spec["cidr"]
    _fill(
        spec,
        blockSize=122 if wide else 26,
        ipipMode="Never",
        vxlanMode="Never",
        nodeSelector="all()",
        allowedUses=["Workload", "Tunnel"],
        assignmentMode="Automatic",
    )


def _bgp_configuration(value: Json) -> None:
    _fill(_spec(value), logSeverityScreen="Info", serviceLoadBalancerAggregation="Enabled")


def _felix_configuration(value: Json) -> None:
    spec = _spec(value)
    former = spec.get("bpfConnectTimeLoadBalancingEnabled")
    if former is not None:  # the setting's older form wins
        spec["bpfConnectTimeLoadBalancing"] = "Enabled" if former else "Disabled"
        spec["bpfHostNetworkedNATWithoutCTLB"] = "Disabled"
    _fill(
        spec,
        bpfConnectTimeLoadBalancing="TCP",
        bpfHostNetworkedNATWithoutCTLB="Enabled",
        bpfLogLevel="",
        floatingIPs="Disabled",
        nftablesFlowTableOffload="Disabled",
        nftablesMode="Auto",
    )


def _controllers(value: Json) -> None:
    spec = _spec(value)
    _fill(spec, healthChecks="Enabled", prometheusMetricsPort=9094)
    for name, default in (
        ("node", {"leakGracePeriod": "15m0s"}),
        ("loadBalancer", {"assignIPs": "AllServices"}),
        ("migration", {"policyNameMigrator": "Enabled"}),
    ):
        if name in spec["controllers"]:
            _fill(spec["controllers"][name], **default)
    _fill(value, status={})


def _node(value: Json) -> None:
    _fill(value, status={})


def _workload(value: Json) -> None:
    _label(value, NAMESPACE_LABEL, value["metadata"].get("namespace", ""))
    _label(value, ORCHESTRATOR_LABEL, _spec(value).get("orchestrator", ""))


_COMPLETED: Final[Mapping[str, Callable[[Json], None]]] = MappingProxyType(
    {
        "BGPConfiguration": _bgp_configuration,
        "FelixConfiguration": _felix_configuration,
        "GlobalNetworkPolicy": _policy,
        "IPPool": _pool,
        "KubeControllersConfiguration": _controllers,
        "NetworkPolicy": _policy,
        "Node": _node,
        "StagedGlobalNetworkPolicy": _staged_policy,
        "StagedKubernetesNetworkPolicy": _staged_kubernetes_policy,
        "StagedNetworkPolicy": _staged_policy,
        "Tier": _tier,
        "WorkloadEndpoint": _workload,
    }
)
"""Mapping[kind, what fills in the defaults of its JSON]: kinds that are not here are stored as given."""

_TEMPLATES: Final = ("spec", "controllers", "node", "hostEndpoint", "templates")


def _unfit(kind: str, value: Json) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(path, what, fix) of what a store refuses although `validate` lets it pass."""
    if kind != "KubeControllersConfiguration":
        return
    templates: Any = value
    for step in _TEMPLATES:
        templates = templates.get(step, {})
    seen: set[str] = set()
    for index, template in enumerate(templates):
        name = template.get("generateName")
        if not name:
            yield (*_TEMPLATES, index), "Template name must be specified", "set generateName"
            continue
        if name in seen:
            yield (*_TEMPLATES, index, "generateName"), "Template name must be unique", "choose another generateName"
        seen.add(name)
        if not template.get("interfaceCIDRs") and not template.get("interfacePattern"):
            fix = "set interfaceCIDRs or interfacePattern"
            yield (*_TEMPLATES, index), "interfaceCIDRs or interfacePattern must be specified", fix
