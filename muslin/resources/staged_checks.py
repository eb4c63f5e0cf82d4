"""Rules over staged policies: a deletion says no more than what would go; one of Kubernetes can become Calico's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from muslin.resources.part import Part
from muslin.resources.ports import MAX_PORT
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = ["STAGED_KUBERNETES_RULES", "STAGED_RULES"]


def _nothing_but(kept: frozenset[str], message: str) -> Callable[[Any], Iterator[Breach]]:
    def find(spec: Any) -> Iterator[Breach]:
        if spec.staged_action is None or spec.staged_action.value != "Delete":
            return
        for name, field in type(spec).model_fields.items():
            value = getattr(spec, name)
            empty = value == field.default or (isinstance(value, Part) and not value.to_json())
            if name not in kept and not empty:
                yield Breach(message, (field.alias or name,))

    return find


_NUMBERS: Final = re.compile(r"(\d+)(?::(\d+))?", re.ASCII)
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,128}")


def _ports_that_stay(spec: Any) -> Iterator[Breach]:
    """The reference makes Calico's policy of it to see whether it can, which fails for ports alone."""
    if spec.staged_action is not None and spec.staged_action.value == "Delete":
        return
    for direction in ("ingress", "egress"):
        for index, rule in enumerate(getattr(spec, direction)):
            for number, each in enumerate(rule.ports):
                if each.port is None:
                    continue
                text = str(each.port) if each.end_port is None else f"{each.port}:{each.end_port}"
                if problem := _no_port(text):
                    what = f"conversion to stagednetworkpolicy failed: invalid port {text}: {problem}"
                    yield Breach(what, (direction, index, "ports", number))


def _no_port(text: str) -> str:
    """Why a text is no port of Calico's, empty if it is one. As the reference's, 0 passes here."""
    numbers = _NUMBERS.fullmatch(text)
    if numbers is None:
        return "" if _NAME.fullmatch(text) else f"invalid name for named port ({text})"
    first, last = int(numbers.group(1)), int(numbers.group(2) or numbers.group(1))
    if max(first, last) > MAX_PORT:
        return f"invalid port format ({text})"
    if first > last:
        return f"minimum port number ({first}) is greater than maximum port number ({last}) in port range"
    return ""


STAGED_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "deletion-is-bare",
        "Spec fields, except Tier, should all be zero-value if stagedAction is Delete",
        _nothing_but(
            frozenset({"tier", "staged_action"}),
            "Spec fields, except Tier, should all be zero-value if stagedAction is Delete",
        ),
        fix="remove the field, or set stagedAction to Set",
    ),
)
STAGED_KUBERNETES_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "deletion-is-bare",
        "Spec fields should all be zero-value if stagedAction is Delete",
        _nothing_but(frozenset({"staged_action"}), "Spec fields should all be zero-value if stagedAction is Delete"),
        fix="remove the field, or set stagedAction to Set",
    ),
    go(
        "ports-convert",
        "conversion to stagednetworkpolicy failed",
        _ports_that_stay,
        fix="use a number up to 65535, a name without an endPort, or an endPort that is not below the port",
    ),
)
