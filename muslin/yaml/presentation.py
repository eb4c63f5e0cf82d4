"""How a value is written so that every reader reads it back: plainly where nobody can misread it, else quoted.

Kubernetes, YAML 1.1 (PyYAML) and YAML 1.2 differ about `yes`, `1:30`, `017` or dates. A string is written without
quotes only if all of them take it for a string.
"""

from __future__ import annotations

import json
import math
import re

import yaml
from yaml.resolver import Resolver

from muslin.yaml.scalars import Scalar, resolved

__all__ = ["plain_text", "quoted_text"]

_PLAIN = re.compile(r"[A-Za-z0-9_./+(][^\x00-\x1f\x7f-\U0010ffff]*")
"""Begins with no indicator, and is printable ASCII."""
_BREAKS_PLAIN = re.compile(r": |:$| #| $")
_TO_ESCAPE = re.compile("[^\x20-\x7e\xa1-\u167f\u1681-\u1fff\u2030-\u2fff\u3001-\ud7ff\U00010000-\U0001ffff]")
"""Control characters, Unicode's line breaks and odd blanks, the byte order mark, private characters."""
_POINTED = re.compile(r"[-+]?\.[-+0-9_.eE]*")
"""What some readers try as a number and stumble over."""
_YAML_1_1 = Resolver()
_STRING = "tag:yaml.org,2002:str"


def plain_text(value: Scalar) -> str | None:
    """The value without quotes; None for a string that some reader would take for something else.

    Raises ValueError for numbers that no reader gives back: NaN, infinities, integers beyond what Kubernetes reads.
    """
    if isinstance(value, str):
        return value if _is_plain(value) else None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    text = json.dumps(value)
    back = resolved(text)
    if (float(back) if isinstance(value, float) and isinstance(back, int) else back) != value:
        raise ValueError(f"the number {text[:40]} is too large to be read back")
    return text


def quoted_text(value: str) -> str:
    """The string in double quotes, in one line, with an escape for whatever cannot be seen."""
    inner = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_TO_ESCAPE.sub(_escaped, inner)}"'


def _is_plain(text: str) -> bool:
    yaml_1_1: str = _YAML_1_1.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return (
        _PLAIN.fullmatch(text) is not None
        and _POINTED.fullmatch(text) is None
        and _BREAKS_PLAIN.search(text) is None
        and not text.startswith(("---", "..."))
        and resolved(text) is text
        and yaml_1_1 == _STRING
    )


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 0x0A:
        return "\\n"
    if code == 0x09:
        return "\\t"
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
