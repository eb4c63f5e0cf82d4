"""Mistakes that the reference architecture makes, and whoever copied it: found by what stands there, not by facts.

Each has one line that holds where nothing of the kind was read, and one line for every place where it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from blueprints.decision import section
from blueprints.upstream.verify.installed import Found, Installed, value_at
from blueprints.upstream.verify.known_names import INSTALLATION_FIELDS, meant_field, meant_variable
from blueprints.upstream.verify.lines import Line, Verdict
from muslin.errors import Problem
from muslin.resources.places import FieldPath

__all__ = ["cni_plugins", "mistakes", "text_mistakes"]

_VXLAN: Final = section("VXLAN Configuration")
_REFLECTION: Final = section("Global Route Reflection")
_DATASTORE: Final = section("Kubernetes Datastore Mode (Recommended)")
_QUOTES: Final = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u201b"
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_OF_PROBES: Final = frozenset(
    {"exec", "failureThreshold", "grpc", "httpGet", "initialDelaySeconds", "periodSeconds", "successThreshold"}
    | {"tcpSocket", "timeoutSeconds"}
)
_WORKLOADS: Final = ("DaemonSet", "Deployment")
_LOOKED_AT: Final = (
    *_WORKLOADS, "APIServer", "BGPConfiguration", "BGPPeer", "ConfigMap", "FelixConfiguration", "GlobalNetworkPolicy",
    "IPPool", "Installation", "Node",
)  # fmt: skip
_TAG: Final = re.compile(r"the tag (?P<tag>!\S*) has no meaning here")
_PLACEHOLDER: Final = re.compile(r"(?<![\"\w])__[A-Z_]+__(?![\"\w])")


@dataclass(frozen=True, slots=True)
class _Mistake:
    """One that was found."""

    found: str
    expected: str
    fix: str
    place: str


_Finder = Callable[[Installed], Iterable[_Mistake]]


def mistakes(installed: Installed) -> Iterator[Line]:
    """Lines about mistakes in the objects."""
    for check, expected, source, find in _KINDS:
        yield from _lines(check, expected, source, find(installed))


def text_mistakes(problems: Iterable[Problem]) -> Iterator[Line]:
    """Lines about texts that are no YAML: an unquoted selector that begins with `!` by its name, others as they are."""
    tags: list[_Mistake] = []
    others: list[_Mistake] = []
    for problem in problems:
        tag = _TAG.fullmatch(problem.what)
        if tag is not None and "(" in tag["tag"]:
            fix = "write the selector in quotes: YAML takes what begins with ! for a tag, and the selector is lost"
            tags.append(_Mistake(tag["tag"], f'"{tag["tag"]}"', fix, problem.where))
        else:
            others.append(_Mistake(problem.what, "YAML that Kubernetes reads", problem.fix, problem.where))
    yield from _lines("selectors are quoted", "no selector is read as a tag", _REFLECTION, tags)
    yield from _lines("files are read", "YAML that Kubernetes reads", "Kubernetes", others)


def _lines(check: str, expected: str, source: str, found: Iterable[_Mistake]) -> Iterator[Line]:
    listed = list(found)
    if not listed:
        yield Line(check, expected, "none otherwise", Verdict.HOLDS, "", source)
    for each in listed:
        yield Line(check, each.expected, each.found, Verdict.DIFFERS, each.fix, source, each.place)


def _objects(installed: Installed, kinds: Iterable[str] = _LOOKED_AT) -> Iterator[Found]:
    for kind in kinds:
        yield from (each for each in installed.all(kind) if _is_calicos(each))


def _is_calicos(found: Found) -> bool:
    """Whether it may be part of Calico: other people's workloads and settings are none of our business."""
    return found.kind not in (*_WORKLOADS, "ConfigMap") or found.name.startswith("calico")


def _containers(installed: Installed) -> Iterator[tuple[Found, FieldPath, Mapping[str, Any]]]:
    for each in _objects(installed, _WORKLOADS):
        for group in ("initContainers", "containers"):
            path = ("spec", "template", "spec", group)
            listed = each.at(*path)
            for index, container in enumerate(listed if isinstance(listed, list) else ()):
                if isinstance(container, Mapping):
                    yield each, (*path, index), container


def _variables(installed: Installed) -> Iterator[tuple[Found, FieldPath, Any, Any]]:
    """(Object, path, name, entry) of every variable."""
    for each, path, container in _containers(installed):
        listed = container.get("env")
        for index, entry in enumerate(listed if isinstance(listed, list) else ()):
            yield each, (*path, "env", index), value_at(entry, ("name",)), entry


def _misspelt(installed: Installed) -> Iterator[_Mistake]:
    for each, path, name, _ in _variables(installed):
        meant = meant_variable(name) if isinstance(name, str) else None
        if meant is not None:
            fix = f"write {meant}: nothing reads {name}, so it has no effect"
            yield _Mistake(name, meant, fix, each.place(*path, "name"))


def _no_texts(installed: Installed) -> Iterator[_Mistake]:
    """What must be text and is a number or true: the API refuses the object."""
    for each, path, name, entry in _variables(installed):
        value = value_at(entry, ("value",))
        if value is not None and not isinstance(value, str):
            yield _as_text(f"{name}: {_json(value)}", value, each.place(*path, "value"))
    for each in _objects(installed, ("ConfigMap",)):
        data = each.at("data")
        for key, value in (data if isinstance(data, Mapping) else {}).items():
            if not isinstance(value, str):
                yield _as_text(f"{key}: {_json(value)}", value, each.place("data", key))
    for each in _objects(installed):
        labels = each.at("metadata", "labels")
        for key, value in (labels if isinstance(labels, Mapping) else {}).items():
            if not isinstance(value, str):
                yield _as_text(f"{key}: {_json(value)}", value, each.place("metadata", "labels", key))


def _as_text(found: str, value: Any, place: str) -> _Mistake:
    text = _json(value)
    return _Mistake(found, f'"{text}"', f'write "{text}" in quotes: the API refuses what is no text here', place)


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _quoted(installed: Installed) -> Iterator[_Mistake]:
    for each in _objects(installed):
        for path, text in _texts(each.value, ()):
            if any(character in _QUOTES for character in text):
                plain = "".join("" if character in _QUOTES else character for character in text)
                fix = "use plain quotes or none: these are part of the value"
                yield _Mistake(_short(text), _short(plain), fix, each.place(*path))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


def _texts(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    """Every text inside, but for what servers and tools keep in annotations."""
    waiting: list[tuple[FieldPath, Any]] = [(path, value)]
    while waiting:
        here, held = waiting.pop()
        if isinstance(held, str):
            yield here, held
        elif isinstance(held, Mapping):
            waiting.extend(((*here, key), inner) for key, inner in held.items() if key not in _KEPT)
        elif isinstance(held, list):
            waiting.extend(((*here, index), inner) for index, inner in enumerate(held))


_KEPT: Final = frozenset({"annotations", "managedFields"})


def _misplaced(installed: Installed) -> Iterator[_Mistake]:
    for each, path, container in _containers(installed):
        strays = sorted(_OF_PROBES & set(container))
        if strays:
            fix = "indent them below livenessProbe or readinessProbe: here the API refuses the container"
            told = f"{', '.join(strays)} beside the probe"
            yield _Mistake(told, "fields of a probe inside it", fix, each.place(*path, strays[0]))
        for probe in _PROBES:
            if probe in container and not container[probe]:
                fix = "indent what follows, or leave the probe out"
                yield _Mistake(f"{probe} without content", "a probe that asks", fix, each.place(*path, probe))


def cni_plugins(text: str) -> list[Any]:
    """The plugins of a CNI configuration, with 0 for numbers that install-cni fills in. Raises ValueError."""
    whole = json.loads(_PLACEHOLDER.sub("0", text))
    plugins = whole.get("plugins") if isinstance(whole, dict) else None
    if not isinstance(plugins, list):
        raise ValueError("there is no list of plugins")  # noqa: TRY004 - of a text
    return plugins


def _no_json(installed: Installed) -> Iterator[_Mistake]:
    for each in _objects(installed, ("ConfigMap",)):
        text = each.at("data", "cni_network_config")
        if not isinstance(text, str):
            continue
        try:
            cni_plugins(text)
        except (ValueError, RecursionError) as error:
            fix = "correct it: the plugin reads JSON"
            if any(line.strip().startswith("#") for line in text.splitlines()):
                fix = "remove the lines that begin with #: JSON has no comments"
            told = f"no JSON: {error}" if isinstance(error, ValueError) else "no JSON: it is too deep"
            yield _Mistake(told, "JSON with plugins", fix, each.place("data", "cni_network_config"))


_CONFIG_KEYS: Final = (
    "calico_backend", "cni_network_config", "etcd_ca", "etcd_cert", "etcd_endpoints", "etcd_key",
    "kubernetes_service_host", "kubernetes_service_port", "typha_service_name", "veth_mtu",
)  # fmt: skip


def _unread_keys(installed: Installed) -> Iterator[_Mistake]:
    for each in _objects(installed, ("ConfigMap",)):
        data = each.at("data")
        for key in data if isinstance(data, Mapping) and each.name == "calico-config" else ():
            meant = meant_field(str(key), _CONFIG_KEYS) or ("calico_backend" if key == "backend" else None)
            if meant is not None:
                fix = f"write {meant}: nothing reads {key}"
                yield _Mistake(str(key), meant, fix, each.place("data", key))


def _unknown_fields(installed: Installed) -> Iterator[_Mistake]:
    for each in _objects(installed, ("Installation",)):
        for below, known in INSTALLATION_FIELDS.items():
            held = each.at("spec", *below)
            listed = list(enumerate(held)) if isinstance(held, list) else [(None, held)]
            for index, value in listed:
                path: FieldPath = ("spec", *below, *(() if index is None else (index,)))
                for name in value if isinstance(value, Mapping) else ():
                    meant = meant_field(str(name), known)
                    if meant is not None:
                        fix = f"write {meant}: the operator knows no {name}"
                        yield _Mistake(str(name), meant, fix, each.place(*path, name))


_KINDS: Final[tuple[tuple[str, str, str, _Finder], ...]] = (
    ("variables are spelt right", "only names that something reads", _VXLAN, _misspelt),
    ("keys of calico-config are spelt right", "only keys that something reads", _VXLAN, _unread_keys),
    (
        "fields of the Installation are spelt right",
        "only fields that the operator knows",
        "operator.tigera.io/v1",
        _unknown_fields,
    ),
    ("quotes are plain", "no typographic quotes", _VXLAN, _quoted),
    ("probes are indented", "fields of a probe inside it", _VXLAN, _misplaced),
    ("texts are texts", "no number or true where text must be", _REFLECTION, _no_texts),
    ("the CNI configuration is JSON", "JSON with plugins", _DATASTORE, _no_json),
)
