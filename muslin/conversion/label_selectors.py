"""Kubernetes' label selectors as Calico's selector text, character by character as the reference writes them.

Source: calico.md section 1a.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from muslin.conversion.reading import as_list, as_mapping, as_text

__all__ = ["namespace_selector", "pod_selector"]

_PODS: Final = "projectcalico.org/orchestrator == 'k8s'"
_EVERY: Final = "all()"
_NONE: Final = "! all()"
_KEY = re.compile(r"[a-zA-Z0-9_./-]{1,512}")
_VALUE = re.compile(r"[^'\x00-\x1f]*")

Tell = Callable[[str, str], None]


def pod_selector(selector: Any, tell: Tell, path: str = "") -> str:
    """The pods that a label selector means; None means all. Endpoints that are no pods are never meant."""
    return " && ".join([_PODS, *_terms(selector, tell, path)])


def namespace_selector(selector: Any, tell: Tell, path: str = "") -> str:
    """The namespaces that a label selector means; empty text for None, which means the policy's own."""
    if selector is None:
        return ""
    return " && ".join(_terms(selector, tell, path)) or _EVERY


def _terms(selector: Any, tell: Tell, path: str) -> Iterator[str]:
    """The terms, all of which must hold.

    What no label can have (Kubernetes refuses such labels) matches nothing, and what is no selector at all matches
    nothing and is told: a peer is then nobody.
    """
    if selector is not None and not isinstance(selector, dict):
        tell("it is no label selector", path)
        yield _NONE
        return
    labels, expressions = (as_mapping(selector).get(name) for name in ("matchLabels", "matchExpressions"))
    if not isinstance(labels or {}, dict) or not isinstance(expressions or [], list):
        tell("it is no label selector", path)
        yield _NONE
        return
    labels = labels or {}
    for key in sorted(labels):
        yield f"{key} == '{labels[key]}'" if _is_key(key) and _is_value(labels[key]) else _NONE
    for index, expression in enumerate(expressions or ()):
        term = _term(as_mapping(expression))
        if term is None:
            tell("it is no requirement with key, operator and values", f"{path}.matchExpressions[{index}]")
        if term != "":
            yield _NONE if term is None else term


def _term(expression: Any) -> str | None:
    """One requirement, empty text where it holds always, None where it makes no sense."""
    key, values = as_text(expression.get("key")), as_list(expression.get("values"))
    possible = [value for value in values if _is_value(value)]
    listed = "', '".join(possible)
    match expression.get("operator"), bool(_is_key(key)), bool(possible):
        case "In", True, True:
            return f"{key} in {{ '{listed}' }}"
        case "In", _, _:
            return _NONE
        case "NotIn", True, True:
            return f"{key} not in {{ '{listed}' }}"
        case "Exists", True, _:
            return f"has({key})"
        case "Exists", False, _:
            return _NONE
        case "DoesNotExist", True, _:
            return f"! has({key})"
        case (("NotIn" | "DoesNotExist"), _, _):
            return ""
    return None


def _is_key(key: Any) -> bool:
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def _is_value(value: Any) -> bool:
    return isinstance(value, str) and _VALUE.fullmatch(value) is not None
