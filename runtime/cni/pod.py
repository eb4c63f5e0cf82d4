"""Which pod a request is about: from the declared field `pod` of the configuration or from CNI_ARGS. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from muslin.errors import Problem
from runtime.cni.answer import CniError, Code

__all__ = ["Pod", "parse_pod", "pod_from_arguments"]

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_ARGUMENTS = {
    "IgnoreUnknown", "K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID",
}  # fmt: skip
_MAX_LABELS = 256


@dataclass(frozen=True, slots=True)
class Pod:
    """Identity of a pod. `labels` are its own, without those that profiles and Calico add."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str | None = None


def parse_pod(value: Any) -> tuple[Pod | None, list[Problem]]:
    """The field `pod` of a network configuration and what is wrong with it; no pod where something is."""
    where = "network configuration  pod"
    if not isinstance(value, dict):
        return None, [Problem("pod is not an object", where, "pod: {namespace, name, labels, serviceAccountName}")]
    known = ("namespace", "name", "labels", "serviceAccountName")
    problems = [
        Problem(f"{key!r} is not a field of pod", f"{where}.{key}", "one of " + ", ".join(known))
        for key in value
        if key not in known
    ]
    namespace, name, account = value.get("namespace"), value.get("name"), value.get("serviceAccountName")
    problems += _name_problems(namespace, name, where)
    if account is not None and not (isinstance(account, str) and len(account) <= 253 and _SUBDOMAIN.fullmatch(account)):
        fix = "a lower-case name such as default, 253 characters at most"
        problems.append(Problem(f"{account!r} is not a service account", f"{where}.serviceAccountName", fix))
    labels = value.get("labels", {})
    if not isinstance(labels, dict) or len(labels) > _MAX_LABELS:
        fix = f"an object of strings, {_MAX_LABELS} at most"
        problems.append(Problem("labels are not an object of strings", f"{where}.labels", fix))
        labels = {}
    problems += [
        Problem(f"{key!r}: {label!r} is not a label", f"{where}.labels", "Kubernetes' rules for labels hold")
        for key, label in labels.items()
        if not _is_label(key, label)
    ]
    if problems:
        return None, problems
    return Pod(str(namespace), str(name), labels, account), []


def pod_from_arguments(text: str, declared: Pod | None) -> Pod | None:
    """The pod, from CNI_ARGS and from what the configuration declares; both must agree. None where neither tells.

    Raises:
        CniError: CNI_ARGS is no list of KEY=VALUE, has an unknown key without IgnoreUnknown=1, or disagrees.
    """
    arguments: dict[str, str] = {}
    problems: list[Problem] = []
    for part in filter(None, text.split(";")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            problems.append(Problem(f"{part!r} is not KEY=VALUE", "CNI_ARGS", "KEY=VALUE;KEY=VALUE"))
        arguments[key] = value
    lenient = arguments.get("IgnoreUnknown", "").lower() in {"1", "true", "yes", "on"}
    problems += [
        Problem(f"{key!r} is not an argument that we know", "CNI_ARGS", "leave it out, or pass IgnoreUnknown=1")
        for key in arguments
        if key and key not in _ARGUMENTS and not lenient
    ]
    namespace, name = arguments.get("K8S_POD_NAMESPACE"), arguments.get("K8S_POD_NAME")
    told = None
    if not problems and (namespace is not None or name is not None):
        problems += _name_problems(namespace, name, "CNI_ARGS")
        told = None if problems else Pod(str(namespace), str(name))
    if told and declared and (told.namespace, told.name) != (declared.namespace, declared.name):
        what = f"CNI_ARGS says {told.namespace}/{told.name}, the configuration {declared.namespace}/{declared.name}"
        problems.append(Problem(what, "CNI_ARGS, network configuration  pod", "name one pod"))
    if problems:
        raise CniError(Code.BAD_ENVIRONMENT, problems)
    return replace(declared) if declared else told


def _name_problems(namespace: Any, name: Any, where: str) -> list[Problem]:
    problems = []
    if not (isinstance(namespace, str) and _LABEL.fullmatch(namespace)):
        fix = "lower-case letters, digits and '-', 63 at most"
        problems.append(Problem(f"{namespace!r} is not the name of a namespace", f"{where}.namespace", fix))
    if not (isinstance(name, str) and len(name) <= 253 and _SUBDOMAIN.fullmatch(name)):
        fix = "lower-case letters, digits, '-' and '.', 253 at most"
        problems.append(Problem(f"{name!r} is not the name of a pod", f"{where}.name", fix))
    return problems


def _is_label(key: Any, value: Any) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return bool(name and _QUALIFIED.fullmatch(name) and isinstance(value, str) and _QUALIFIED.fullmatch(value))
