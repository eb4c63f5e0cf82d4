"""Ways to change an installation, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = [
    "Change", "Objects", "backend", "container", "loose_budget", "newer_probes", "no_bird", "of",
    "older_typha", "other_labels", "pod_network", "set_config", "set_spec", "set_variable", "typha_replicas",
    "with_variable", "without",
]  # fmt: skip

Objects: TypeAlias = list[dict[str, Any]]
Change: TypeAlias = Callable[[Objects], None]


def of(objects: Objects, kind: str) -> dict[str, Any]:
    """The object of this kind."""
    return next(each for each in objects if each["kind"] == kind)


def container(objects: Objects, kind: str = "DaemonSet") -> dict[str, Any]:
    """The first container of it."""
    found: dict[str, Any] = of(objects, kind)["spec"]["template"]["spec"]["containers"][0]
    return found


def set_variable(objects: Objects, name: str, value: str | None) -> None:
    """A variable of calico-node; None takes it out."""
    node = container(objects)
    node["env"] = [each for each in node["env"] if each["name"] != name]
    if value is not None:
        node["env"].append({"name": name, "value": value})


def backend(objects: Objects) -> None:
    """Another backend."""
    of(objects, "ConfigMap")["data"]["calico_backend"] = "vxlan"


def no_bird(objects: Objects) -> None:
    """BIRD is not asked whether it lives."""
    container(objects)["livenessProbe"]["exec"]["command"].remove("-bird-live")


def typha_replicas(objects: Objects) -> None:
    """One Typha."""
    of(objects, "Deployment")["spec"]["replicas"] = 1


def other_labels(objects: Objects) -> None:
    """A Service that selects others."""
    of(objects, "Service")["spec"]["selector"] = {"app": "typha"}


def older_typha(objects: Objects) -> None:
    """A Typha of another version than calico-node."""
    container(objects, "Deployment")["image"] = "quay.io/calico/typha:v3.31.0"


def pod_network(objects: Objects) -> None:
    """A Typha without the hosts' network."""
    del of(objects, "Deployment")["spec"]["template"]["spec"]["hostNetwork"]


def loose_budget(objects: Objects) -> None:
    """A budget that lets half of them go."""
    of(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] = "50%"


def without(kind: str) -> Change:
    """Without the object of this kind."""
    return lambda objects: objects.remove(of(objects, kind))


def with_variable(name: str, value: str | None) -> Change:
    """With a variable of calico-node; None is without."""
    return lambda objects: set_variable(objects, name, value)


def set_config(key: str, value: str | None) -> Change:
    """A key of calico-config; None is without."""

    def change(objects: Objects) -> None:
        data = of(objects, "ConfigMap")["data"]
        data.pop(key) if value is None else data.update({key: value})

    return change


def set_spec(kind: str, field: str, value: Any) -> Change:
    """A field of a spec."""
    return lambda objects: of(objects, kind)["spec"].update({field: value})


def newer_probes(objects: Objects) -> None:
    """The words of newer versions for the same questions."""
    for probe in ("livenessProbe", "readinessProbe"):
        command = container(objects)[probe]["exec"]["command"]
        told = [f"-{each}" for each in command if each.startswith("-")]
        container(objects)[probe]["exec"]["command"] = ["calico", "component", "node", "health", *told]
