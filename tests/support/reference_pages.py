"""The reference pages of the docs, made of the models: one page a kind, and a page that lists them."""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Final

from pydantic.fields import FieldInfo

from muslin.net import AsNumber, ClusterId, Mac
from muslin.resources.base import (
    GLOBAL_POLICY_NAME,
    LABEL_NAME,
    ONLY_DEFAULT,
    POLICY_NAME,
    SUBDOMAIN_NAME,
    NameForm,
    Resource,
)
from muslin.resources.bgp_peer import PeerAddress
from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.durations import Duration
from muslin.resources.felix_configuration import FelixConfigurationSpec
from muslin.resources.openapi import Schema, field_meaning, schema_of
from muslin.resources.part import Part, rules_of
from muslin.resources.ports import NamedPort, PortRange
from muslin.resources.protocols import Protocol
from muslin.resources.registry import KINDS
from muslin.resources.validation import ChangeRule, ValidationRule
from muslin.resources.workload_endpoint import ENDPOINT_NAME
from muslin.semantics.felix_parameters import PARAMETERS
from muslin.yaml.write import dump
from tests.engines.verdicts import CASES, parts_of

__all__ = ["pages"]

_WORDS: Final[dict[type, str]] = {
    IPv4Network: "prefix",
    IPv6Network: "prefix",
    IPv4Address: "address",
    IPv6Address: "address",
    IPv4Interface: "address with length",
    IPv6Interface: "address with length",
    AsNumber: "AS number",
    ClusterId: "four octets",
    Mac: "MAC address",
    Duration: "duration such as `90s`",
    PeerAddress: "address, with or without port",
    PortRange: "port, range or name",
    NamedPort: "port, range or name",
    Protocol: "protocol",
}
_NAMES: Final[dict[NameForm, str]] = {
    SUBDOMAIN_NAME: "a DNS name, at most 253 characters",
    LABEL_NAME: "one DNS label, at most 63 characters",
    POLICY_NAME: "one or two DNS labels, or what older versions made: `knp.default.` and a DNS name",
    GLOBAL_POLICY_NAME: "one or two DNS labels",
    ONLY_DEFAULT: "only `default`",
    ENDPOINT_NAME: "a DNS name, at most 1024 characters: node, orchestrator, pod and interface, joined by `-`",
}
_NOT_STORED: Final = {
    "Node": "a view of Kubernetes' Node where that is the datastore",
    "WorkloadEndpoint": "a view of a Pod where Kubernetes is the datastore",
    "Profile": "a view of a Namespace or ServiceAccount where Kubernetes is the datastore",
    "LiveMigration": "written by whoever moves virtual machines; kept as it is",
}
_FELIX: Final = {each.field: each for each in PARAMETERS.values() if each.field}


def pages() -> dict[str, str]:
    """Text by file name below `docs/reference`."""
    listed = "".join(f"| [{kind}]({kind.lower()}.md) | {_sentence(kind)} |\n" for kind in KINDS)
    index = (
        "# Reference: the kinds\n\n"
        "Every kind of `projectcalico.org/v3` with its fields and rules, made of the models that check them.\n"
        "`muslin schema` gives the same to [editors](../editors.md), `muslin crds` to Kubernetes.\n\n"
        f"| kind | what it is |\n|---|---|\n{listed}"
    )
    return {"README.md": index} | {f"{kind.lower()}.md": _page(kind) for kind in KINDS}


_schema = functools.cache(schema_of)


def _sentence(kind: str) -> str:
    return str(_schema(KINDS[kind].model)["description"]).replace("|", "\\|")


def _page(kind: str) -> str:
    model = KINDS[kind].model
    sections = [part for part in parts_of(model) if part is not model and part.__name__ not in _OTHERS]
    blocks = [
        f"# {kind}\n\n{_sentence(kind)}\n",
        "".join(f"- {line}\n" for line in _facts(kind, model)),
        _example(kind),
        *(_section(kind, part, sections) for part in sections),
        _rules([model, *sections]),
    ]
    return "\n".join(block for block in blocks if block)


_OTHERS: Final = {"ObjectMeta", "OwnerReference"}


def _facts(kind: str, model: type[Resource]) -> Iterator[str]:
    info = KINDS[kind]
    yield f"lives in {'a namespace' if info.namespaced else 'the cluster'}"
    yield f"on the command line: {', '.join(f'`{name}`' for name in (kind.lower(), *info.aliases))}"
    if kind in CUSTOM_KINDS:
        names = (f"{info.plural}.projectcalico.org", *CUSTOM_KINDS[kind].short_names)
        yield f"with kubectl: {', '.join(f'`{name}`' for name in names)}"
    else:
        yield f"no definition for Kubernetes: {_NOT_STORED[kind]}"
    yield f"names: {_NAMES[model.NAME_FORM]}"
    if kind in CUSTOM_KINDS and CUSTOM_KINDS[kind].status:
        yield "status is written apart from the rest"


def _example(kind: str) -> str:
    found = next((case.obj for case in CASES if case.kind == kind and case.models_accept), None)
    return f"```yaml\n{dump(found)}```\n" if found else ""


def _section(kind: str, part: type[Part], sections: list[type[Part]]) -> str:
    places = ", ".join(f"`{place}`" for place in _places(KINDS[kind].model, part))
    schema = _schema(part)
    required = schema.get("required", ())
    default = " default |" if part is FelixConfigurationSpec else ""
    rows = [
        f"| `{spelt}`{' (required)' if spelt in required else ''} | "
        f"{_value(field, schema['properties'][spelt], sections)} |{_felix(spelt) if default else ''} "
        f"{_meaning(kind, part, name, field)} |\n"
        for name, field in part.model_fields.items()
        for spelt in (field.alias or name,)
    ]
    bar = "|---|---|---|---|" if default else "|---|---|---|"
    head = f"## {part.__name__}\n\n{schema['description']} In {places}.\n\n"
    return f"{head}| field | value |{default} meaning |\n{bar}\n{''.join(rows)}"


def _felix(field: str) -> str:
    text = _FELIX[field].default_text if field in _FELIX else ""
    return f" `{text}` |".replace("|", "\\|", text.count("|")) if text else " |"


def _meaning(kind: str, part: type[Part], name: str, field: FieldInfo) -> str:
    text = (field_meaning(part, name, field) or "").replace("|", "\\|")
    written = CUSTOM_KINDS[kind].defaults if kind in CUSTOM_KINDS else {}
    for path in _places(KINDS[kind].model, part):
        value = written.get(f"{path}.{field.alias or name}")
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else value
            return f"{text} Kubernetes writes `{shown}` where unset.".strip()
    return text


@functools.cache
def _places(model: type[Part], wanted: type[Part]) -> tuple[str, ...]:
    """Where in an object of this kind a model stands."""
    found: list[str] = []

    def look(part: type[Part], at: str) -> None:
        for name, field in part.model_fields.items():
            spelt = field.alias or name
            for each, suffix in _inner(field.annotation, ""):
                path = f"{at}.{spelt}{suffix}".removeprefix(".")
                if each is wanted:
                    found.append(path)
                look(each, path)

    look(model, "")
    return tuple(found)


def _inner(annotation: Any, suffix: str) -> Iterator[tuple[type[Part], str]]:
    if isinstance(annotation, type) and typing.get_origin(annotation) is None and issubclass(annotation, Part):
        yield annotation, suffix
    inside = f"{suffix}[]" if typing.get_origin(annotation) is tuple else suffix
    for argument in typing.get_args(annotation):
        yield from _inner(argument, inside)


def _value(field: FieldInfo, schema: Schema, sections: list[type[Part]]) -> str:
    classes = set(_classes(field.annotation))
    one = next((each.__name__ for each in sections if each in classes), None)
    word = f"[{one}](#{one.lower()})" if one else next((text for kind, text in _WORDS.items() if kind in classes), None)
    if schema.get("type") == "string" and str(field.alias).lower().endswith("selector"):
        word = "selector"
    return _described(schema, word).replace("|", "\\|")


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _classes(argument)


def _described(schema: Schema, word: str | None) -> str:
    kind = schema.get("type")
    if kind == "array":
        most = f", at most {schema['maxItems']}" if "maxItems" in schema and "enum" not in schema["items"] else ""
        unique = ", none twice" if schema.get("x-kubernetes-list-type") == "set" else ""
        return f"list: {_described(schema['items'], word)}{most}{unique}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map: {_described(schema['additionalProperties'], word)}"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"] if each != "")
    if word is not None:
        return word
    if str(schema.get("pattern", "")).startswith("^(?i)("):
        choices = schema["pattern"].removeprefix("^(?i)(").removesuffix(")?$").split("|")
        return f"{', '.join(f'`{each}`' for each in choices)}, in any case"
    if kind in {"integer", "number"}:
        return _range(schema, "whole number" if kind == "integer" else "number")
    if kind == "string":
        return f"text, at most {schema['maxLength']} characters" if "maxLength" in schema else "text"
    return {"boolean": "true or false", "object": "fields"}.get(str(kind), "anything")


def _range(schema: Schema, what: str) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    return what if low is None else f"{what}, at least {low}"


def _rules(parts: list[type[Part]]) -> str:
    told: dict[str, bool] = {}
    for part in parts:
        rules: tuple[ValidationRule | ChangeRule, ...] = (*rules_of(part), *part.CHANGE_RULES)
        for rule in rules:
            if rule.name != "name":
                told.setdefault(rule.message, rule.cel is not None)
    if not told:
        return ""
    lines = "".join(f"- {message}{'' if in_kubernetes else ' *'}\n" for message, in_kubernetes in told.items())
    star = "\n\\* Kubernetes alone doesn't check this; `muslin validate` does.\n" if not all(told.values()) else ""
    return f"## Rules\n\n{lines}{star}"
