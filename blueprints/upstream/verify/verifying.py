"""All lines about an installation: mistakes first, then what its way of installing says, then Calico's resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from blueprints.decision import section
from blueprints.upstream.manifests import CONFIG, NAMESPACE, NODE
from blueprints.upstream.network import Network
from blueprints.upstream.verify.installed import Found, Installed
from blueprints.upstream.verify.lines import Line, Verdict, compared, untold
from blueprints.upstream.verify.manifest_lines import manifest_lines
from blueprints.upstream.verify.mistakes import mistakes, text_mistakes
from blueprints.upstream.verify.operator_lines import SYSTEM, operator_lines
from blueprints.upstream.verify.resource_lines import resource_lines
from blueprints.upstream.verify.typha_lines import typha_lines
from blueprints.upstream.verify.wireguard_line import wireguard_lines
from muslin.errors import Problem

__all__ = ["verify"]

_SOURCE: Final = section("Calico Component Overview")


def verify(network: Network, installed: Installed, problems: Iterable[Problem] = ()) -> tuple[Line, ...]:
    """Every line, the same for the same input.

    Args:
        network: what was decided.
        installed: what was read.
        problems: what could not be read, of texts.
    """
    return tuple(_lines(network, installed, tuple(problems)))


def _lines(network: Network, installed: Installed, problems: tuple[Problem, ...]) -> Iterator[Line]:
    if not installed.running:
        yield from text_mistakes(problems)
    yield from mistakes(installed)
    operator = next(installed.all("Installation"), None)
    manifests = installed.find("ConfigMap", CONFIG, NAMESPACE) or installed.find("DaemonSet", NODE, NAMESPACE)
    yield from _seen([_way(operator, manifests)], installed, "Installation", "ConfigMap", "DaemonSet")
    if operator is not None:
        yield from _seen(operator_lines(network, installed), installed, "Installation", "APIServer")
    elif manifests is not None:
        yield from _seen(manifest_lines(network, installed), installed, "ConfigMap", "DaemonSet")
    if operator is not None or manifests is not None:
        namespace = NAMESPACE if operator is None else SYSTEM
        lines = typha_lines(network, installed, namespace, operator=operator is not None)
        yield from _seen(lines, installed, "Deployment", "Service", "PodDisruptionBudget")
        yield from wireguard_lines(network, installed, namespace)
        if installed.running:
            yield from _seen([_nodes(installed, namespace)], installed, "DaemonSet")
    yield from resource_lines(network, installed)


def _seen(lines: Iterable[Line], installed: Installed, *kinds: str) -> Iterator[Line]:
    """The lines; what is absent because we were not let see any of its kind cannot be told."""
    why = next((installed.unread[kind] for kind in kinds if kind in installed.unread), None)
    for each in lines:
        if each.verdict is Verdict.ABSENT and why is not None:
            yield untold(each.check, each.expected, why, each.source, fix="ask as somebody who may read it")
        else:
            yield each


def _way(operator: Found | None, manifests: Found | None) -> Line:
    check, expected = "one way of installing", "the operator or the manifests"
    if operator is not None and manifests is not None:
        fix = "remove one of them: two agents on a node write the same routes and rules"
        return Line(check, expected, "both", Verdict.DIFFERS, fix, _SOURCE, manifests.place("metadata"))
    if operator is None and manifests is None:
        fix = "give upstream's manifests or the operator's Installation; muslin render --for ... writes them"
        return compared(check, expected, None, _SOURCE, fix=fix)
    told = "the operator" if operator is not None else "the manifests"
    return Line(check, expected, told, Verdict.HOLDS, "", _SOURCE)


def _nodes(installed: Installed, namespace: str) -> Line:
    found = installed.find("DaemonSet", NODE, namespace)
    check, fix = "calico-node is ready", f"see why: kubectl -n {namespace} describe daemonset {NODE}"
    if found is None:
        return compared(check, "on every node", None, _SOURCE, fix=fix)
    wanted, ready = found.at("status", "desiredNumberScheduled") or 0, found.at("status", "numberReady") or 0
    told = "on every node" if ready == wanted and wanted else f"on {ready} of {wanted} nodes"
    return compared(check, "on every node", told, _SOURCE, fix=fix, place=found.place("status"))
