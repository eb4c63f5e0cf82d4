"""Typha against the decisions: Service, Deployment, PodDisruptionBudget, as the document asks, and what they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from blueprints.decision import section
from blueprints.upstream.network import Network
from blueprints.upstream.operator import operators_typhas
from blueprints.upstream.typha import NAME, PORT
from blueprints.upstream.verify.installed import Found, Installed, value_at
from blueprints.upstream.verify.lines import Line, compared, untold

__all__ = ["typha_lines"]

_SOURCE: Final = section("Typha")
_DATASTORE: Final = section("Kubernetes Datastore Mode (Recommended)")
_RENDER: Final = "apply typha.yaml of `muslin render --for manifests`"


def typha_lines(network: Network, installed: Installed, namespace: str, *, operator: bool) -> Iterator[Line]:
    """Whether it runs as often as decided, where agents find it, and what a drain may do to it."""
    deployment = installed.find("Deployment", NAME, namespace)
    if network.typha_replicas == 0:
        yield _is_off(deployment)
        return
    if operator and not installed.running:
        told = str(operators_typhas(len(network.facts.nodes)))
        why = f"the operator sets it by the nodes that run: {told} for today's"
        yield untold("Typha replicas", str(network.typha_replicas), why, _SOURCE, fix="ask the running cluster")
        return
    service = installed.find("Service", NAME, namespace)
    budget = installed.find("PodDisruptionBudget", NAME, namespace)
    yield _there("Typha Service", "port " + str(PORT), None if service is None else _port(service), service)
    yield _replicas(network, deployment, operator=operator)
    network_of_hosts = None if deployment is None else deployment.at("spec", "template", "spec", "hostNetwork")
    yield _there(
        "Typha on the hosts' network",
        "yes",
        None if deployment is None else ("yes" if network_of_hosts is True else "no"),
        deployment,
        "spec",
        "template",
        "spec",
        "hostNetwork",
    )
    yield _there(
        "Typha PodDisruptionBudget",
        "maxUnavailable 1",
        None if budget is None else _budget(budget),
        budget,
        "spec",
    )
    yield from _selected(deployment, service, budget)
    yield from _version(installed, deployment, namespace)
    if installed.running and deployment is not None:
        ready, wanted = deployment.at("status", "readyReplicas") or 0, deployment.at("spec", "replicas")
        fix = f"see why: kubectl -n {namespace} describe deployment {NAME}"
        yield compared("Typha is ready", str(wanted), str(ready), _SOURCE, fix=fix, place=deployment.place("status"))


def _is_off(deployment: Found | None) -> Line:
    replicas = 0 if deployment is None else deployment.at("spec", "replicas")
    told = "none" if deployment is None or replicas == 0 else f"{1 if replicas is None else replicas} replicas"
    place = "" if deployment is None else deployment.place("spec", "replicas")
    fix = "remove it, and set typha_service_name to none: agents ask the datastore themselves"
    return compared("Typha", "none", told, _SOURCE, fix=fix, place=place)


def _there(check: str, expected: str, told: str | None, found: Found | None, *path: str | int) -> Line:
    place = "" if found is None else found.place(*path)
    return compared(check, expected, told, _DATASTORE, fix=_RENDER, place=place)


def _port(service: Found) -> str:
    ports = service.at("spec", "ports")
    given = [value_at(each, ("port",)) for each in ports] if isinstance(ports, list) else []
    return "port " + ", ".join(map(str, given)) if given else "no port"


def _budget(budget: Found) -> str:
    spec = budget.at("spec")
    for field in ("maxUnavailable", "minAvailable"):
        value = value_at(spec, (field,))
        if value is not None:
            return f"{field} {value}"
    return "neither maxUnavailable nor minAvailable"


def _replicas(network: Network, deployment: Found | None, *, operator: bool) -> Line:
    check, place = "Typha replicas", "" if deployment is None else deployment.place("spec", "replicas")
    replicas = None if deployment is None else deployment.at("spec", "replicas")
    told = None if deployment is None else str(1 if replicas is None else replicas)
    if operator:
        expected = str(operators_typhas(len(network.facts.nodes)))
        fix = "the operator sets it by the nodes that run: see which of the facts' nodes do not"
        return compared(check, expected, told, _SOURCE, fix=fix, place=place)
    fix = f"kubectl -n kube-system scale deployment {NAME} --replicas={network.typha_replicas}"
    return compared(check, str(network.typha_replicas), told, _SOURCE, fix=fix, place=place)


def _selected(deployment: Found | None, service: Found | None, budget: Found | None) -> Iterator[Line]:
    """A Service or budget that selects other pods is as good as none."""
    labels = None if deployment is None else deployment.at("spec", "template", "metadata", "labels")
    for found, path in ((service, ("spec", "selector")), (budget, ("spec", "selector", "matchLabels"))):
        wanted = None if found is None else found.at(*path)
        if found is None or not isinstance(labels, dict):
            continue
        fits = isinstance(wanted, dict) and bool(wanted) and wanted.items() <= labels.items()
        fix = f"select the labels of the Deployment's pods: {_pairs(labels)}"
        check = f"{found.kind} selects Typha"
        told = "yes" if fits else f"selects {_pairs(wanted) if isinstance(wanted, dict) else 'nothing'}"
        yield compared(check, "yes", told, _DATASTORE, fix=fix, place=found.place(*path))


def _pairs(labels: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items()) or "nothing"


def _version(installed: Installed, deployment: Found | None, namespace: str) -> Iterator[Line]:
    """Typha and calico-node speak a protocol of their own, which changes with versions."""
    node = installed.find("DaemonSet", "calico-node", namespace)
    if deployment is None or node is None:
        return
    tags = []
    for found, name in ((node, "calico-node"), (deployment, NAME)):
        path = installed.container(found, name)
        image = None if path is None else found.at(*path, "image")
        tags.append(image.rpartition(":")[2] if isinstance(image, str) and ":" in image else "")
    path = installed.container(deployment, NAME)
    place = deployment.place(*(path or ()), "image")
    if not all(tags):
        yield untold(
            "Typha version", tags[0] or "as calico-node", "an image without a tag", _SOURCE, fix="", place=place
        )
        return
    yield compared("Typha version", tags[0], tags[1], _SOURCE, fix=f"run Typha {tags[0]}, as calico-node", place=place)
