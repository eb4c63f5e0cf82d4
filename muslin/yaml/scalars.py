"""What a scalar means to Kubernetes: sigs.k8s.io/yaml, that is goyaml.v2's rules and then JSON.

They are neither YAML 1.1 nor 1.2: `yes` is true, `017` and `0o17` are 15, `1:30` and dates are strings, a number too
large for a float is a string. tests/muslin/yaml/scalars.json holds the real program's answers.
"""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import TypeAlias

__all__ = ["Scalar", "key_text", "resolved", "tagged"]

Scalar: TypeAlias = str | int | float | bool | None
"""What JSON can say in one scalar."""

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
}
_NUMBER_STARTS = frozenset("0123456789+-")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[oO]?(?P<octal>[0-7]+)|0[bB](?P<binary>[01]+)|(?P<decimal>0|[1-9][0-9]*))",
    re.ASCII,
)
_BASES = {"hex": 16, "octal": 8, "binary": 2, "decimal": 10}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_POINT_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?", re.ASCII)
"""After a leading point Go's ParseFloat reads on its own, with underscores between digits only."""
_LOWEST, _HIGHEST_SIGNED, _HIGHEST = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
_CORE = "tag:yaml.org,2002:"


def resolved(text: str) -> Scalar:
    """The value of a plain scalar; infinities and NaN come back as floats, for the caller to refuse."""
    return _as_json(_typed(text))


def tagged(tag: str, text: str) -> Scalar:
    """The value of a scalar under an explicit core tag. Raises ValueError with a sentence for people."""
    kind = tag.removeprefix(_CORE)
    if kind == "str":
        return text
    value = _typed(text)
    fits = {
        "null": value is None,
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
    }
    if kind not in fits:
        raise ValueError(f"the tag {tag.replace(_CORE, '!!')[:60]} has no meaning here")
    if not fits[kind]:
        raise ValueError(f"{text[:40]!r} is not a value of !!{kind}")
    return _as_json(value)


def key_text(text: str) -> str:
    """What a plain scalar says as a mapping's key, which in JSON is a string. Raises ValueError with a sentence."""
    value = _typed(text)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        raise ValueError("a key must not be null")
    if isinstance(value, float):
        return _short_float(value)
    if value >= 1 << 63:
        raise ValueError(f"the key {value} is too large a number")
    return str(value)


def _typed(text: str) -> Scalar:
    """The value with goyaml's own type, a float also where it is whole."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first in _NUMBER_STARTS:
        return _number(text)
    if first == "." and _POINT_FLOAT.fullmatch(text):
        return _finite(text, text)
    return text


def _number(text: str) -> Scalar:
    plain = text.replace("_", "")
    if found := _INTEGER.fullmatch(plain):
        kind = found.lastgroup or "decimal"
        # Longer ones are beyond 64 bits in any base, and Python refuses to convert very long ones.
        digits = found[kind].lstrip("0")
        value = int(found["sign"] + (digits or "0"), _BASES[kind]) if len(digits) <= 64 else _HIGHEST + 1
        if _LOWEST <= value <= (_HIGHEST_SIGNED if found["sign"] else _HIGHEST):
            return value
    return _finite(plain, text) if _FLOAT.fullmatch(plain) else text


def _finite(plain: str, text: str) -> Scalar:
    """The float, or the text where it is beyond all floats."""
    value = float(plain)
    return text if math.isinf(value) else value


def _as_json(value: Scalar) -> Scalar:
    """What a reader of Go's JSON gets: Go writes whole floats below 1e21 with all their digits and no point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value


def _short_float(value: float) -> str:
    """Go's shortest `%g` of the value as a 32-bit float, which is how sigs.k8s.io/yaml writes float keys."""
    try:
        narrow: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        narrow = math.copysign(math.inf, value)
    if not math.isfinite(narrow):
        return {"inf": ".inf", "-inf": "-.inf"}.get(str(narrow), ".nan")
    for precision in range(9):
        text = f"{narrow:.{precision}e}"
        if struct.pack("f", float(text)) == struct.pack("f", narrow):
            break
    digits, _, exponent = text.partition("e")
    return f"{Decimal(text):f}" if -4 <= int(exponent) < 6 else f"{digits}e{exponent}"
