"""Calico's resources against those that were decided, field by field: pools, settings, peers, nodes, policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from blueprints.staged import states_of
from blueprints.upstream.network import Network
from blueprints.upstream.verify.installed import Found, Installed
from blueprints.upstream.verify.lines import Line, Verdict, compared, untold
from muslin import resources
from muslin.errors import BadInput
from muslin.resources import dump
from muslin.resources.base import Resource
from muslin.resources.ip_pool import IPPool
from muslin.resources.keys import Key

__all__ = ["resource_lines"]

_KINDS: Final = ("IPPool", "FelixConfiguration", "BGPConfiguration", "BGPPeer", "Node", "GlobalNetworkPolicy")
_SOURCE: Final = "the blueprint"
_PUSH: Final = "push the resources of `muslin render`"


def resource_lines(network: Network, installed: Installed) -> Iterator[Line]:
    """One line for each field that a decision determines or the resource says."""
    before: dict[Key, list[Resource]] = {}
    for state in states_of(network.blueprint) if network.blueprint.procedures else ():
        for key, resource in state.items():
            before.setdefault(key, []).append(resource)
    for resource in network.blueprint.resources:
        if resource.kind in _KINDS:
            for line in _of_resource(network, installed, resource):
                yield _on_the_way(line, resource, before.get(resource.key, []))


def _on_the_way(line: Line, resource: Resource, states: list[Resource]) -> Line:
    """A line that differs, but as in a stage before the last: then a person knows which one it is, and not we."""
    name = line.check.removeprefix(f"{resource.key} ")
    if line.verdict is Verdict.DIFFERS and any(_meaning(each).get(name, "unset") == line.found for each in states):
        told, fix = f"{line.found}: as in a stage before the last", "go on with the stages of DECISIONS.md"
        return untold(line.check, line.expected, told, line.source, fix=fix, place=line.place)
    return line


def _of_resource(network: Network, installed: Installed, resource: Resource) -> Iterator[Line]:
    found = installed.find(resource.kind, resource.metadata.name)
    check, source = str(resource.key), _decided_by(network, resource)
    if found is None:
        if resource.kind in installed.unread:
            yield untold(check, "as decided", installed.unread[resource.kind], source, fix=_PUSH)
        elif installed.running:
            yield compared(check, "as decided", None, source, fix=_PUSH)
        else:
            yield untold(check, "as decided", "not among what was read", source, fix=_PUSH)
        return
    try:
        held = _loaded(found)
    except BadInput as error:
        what, fix = "; ".join(each.what for each in error.problems), error.problems[0].fix
        yield Line(check, "an object that Calico takes", what, Verdict.DIFFERS, fix, source, found.place("spec"))
        return
    for name, value in resource.metadata.labels.items():
        fix, place = f"set the label {name}: {value}", found.place("metadata", "labels", name)
        yield compared(f"{check} label {name}", value, held.metadata.labels.get(name), source, fix=fix, place=place)
    for name, expected, told in _fields(resource, held):
        place = found.place("spec", *name.split("."))
        yield compared(f"{check} {name}", expected, told, source, fix=_PUSH, place=place)


def _loaded(found: Found) -> Resource:
    """The object, whichever of Calico's API groups it came from. Raises BadInput."""
    value = {
        "apiVersion": "projectcalico.org/v3",
        "kind": found.kind,
        "metadata": {"name": found.name, "labels": found.at("metadata", "labels") or {}},
        "spec": found.at("spec") or {},
    }
    return resources.load(value, file=found.source)


def _fields(wanted: Resource, held: Resource) -> Iterator[tuple[str, str, str]]:
    """(Name, expected, found) of each field of the spec.

    Agents and the operator write settings of their own into those of Felix and BGP, and nodes are their agents': of
    these only what is decided counts. Of the others whatever is said beyond that counts as well.
    """
    ours, theirs = _meaning(wanted), _meaning(held)
    yield from ((name, value, theirs.get(name, "unset")) for name, value in ours.items())
    if wanted.kind not in ("BGPConfiguration", "FelixConfiguration", "Node"):
        yield from ((name, "unset", value) for name, value in theirs.items() if name not in ours)


def _meaning(resource: Resource) -> dict[str, str]:
    """Mapping[field, its value as text], with what counts where a pool does not say."""
    if isinstance(resource, IPPool):
        spec = resource.spec
        return {
            "cidr": str(spec.cidr),
            "blockSize": str(spec.effective_block_size),
            "ipipMode": spec.effective_ipip_mode.value,
            "vxlanMode": spec.effective_vxlan_mode.value,
            "natOutgoing": _text(spec.nat_outgoing),
            "nodeSelector": spec.effective_node_selector,
            "disabled": _text(spec.disabled),
            "disableBGPExport": _text(spec.disable_bgp_export),
            "allowedUses": ", ".join(sorted(each.value for each in spec.effective_allowed_uses)),
            "assignmentMode": spec.effective_assignment_mode.value,
        }
    spec = dump(resource).get("spec", {})
    if resource.kind == "Node":
        return {f"bgp.{name}": _text(value) for name, value in spec.get("bgp", {}).items()}
    return {name: _text(value) for name, value in spec.items() if (name, value) != ("tier", "default")}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _decided_by(network: Network, resource: Resource) -> str:
    """Source of the first decision about this resource."""
    for decision in network.blueprint.decisions:
        if any(key == resource.key for key, _ in decision.fields):
            return decision.source
    return _SOURCE
