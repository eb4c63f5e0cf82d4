"""`printf` of Go, for values of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from muslin.cli.template.values import Absent, printed

__all__ = ["formatted"]

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]{1,4})?(?:\.(?P<precision>[0-9]{1,4})?)?(?P<verb>.)", re.DOTALL
)


def formatted(text: str, arguments: Sequence[Any]) -> str:
    """The text with its verbs replaced. Too few arguments, too many and wrong ones are told in the text, as in Go."""
    given = list(arguments)
    used = 0

    def take() -> Any:
        nonlocal used
        used += 1
        return given[used - 1]

    def replaced(match: re.Match[str]) -> str:
        verb, flags = match["verb"], match["flags"]
        if verb == "%":
            return "%"
        width = match["width"]
        if width == "*":
            width = str(take()) if used < len(given) else "0"
        if used >= len(given):
            return f"%!{verb}(MISSING)"
        value = take()
        precision = int(match["precision"] or 0) if "." in match[0] else None
        return _padded(_one(verb, value, flags, precision), int(width or 0), flags, verb)

    made = _VERB.sub(replaced, text)
    extra = [f"{_kind(value)}={printed(value)}" for value in given[used:]]
    return made + (f"%!(EXTRA {', '.join(extra)})" if extra else "")


def _one(verb: str, value: Any, flags: str, precision: int | None) -> str:
    sign = "+" if "+" in flags else " " if " " in flags else ""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    whole = (
        number
        if isinstance(number, int)
        else int(number)
        if isinstance(number, float) and number.is_integer()
        else None
    )
    text = printed(value)
    match verb:
        case "v":
            return text
        case "s" if not isinstance(value, bool | int | float) and value is not None:
            return text[:precision] if precision is not None else text
        case "q" if isinstance(value, str | Absent):
            return json.dumps(text, ensure_ascii=False)
        case "t" if isinstance(value, bool):
            return text
        case "d" if whole is not None:
            return format(whole, f"{sign}d")
        case "x" | "X" | "o" | "b" if whole is not None:
            prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}[verb] if "#" in flags else ""
            return f"{'-' if whole < 0 else ''}{prefix}{abs(whole):{verb}}"
        case "x" | "X" if isinstance(value, str):
            return value.encode().hex() if verb == "x" else value.encode().hex().upper()
        case "c" | "U" if whole is not None and 0 <= whole < 0x110000:
            return chr(whole) if verb == "c" else f"U+{whole:04X}"
        case "f" | "F" | "e" | "E" | "g" | "G" if number is not None:
            return format(float(number), f"{sign}.{6 if precision is None else precision}{verb}")
        case "T":
            return _kind(value)
    if isinstance(value, list | tuple) and verb in "sdqxt":
        return f"[{' '.join(_one(verb, item, flags, precision) for item in value)}]"
    return f"%!{verb}({_kind(value)}={text})"


def _padded(text: str, width: int, flags: str, verb: str) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and verb in "dxXobfFeEgG":
        return text.zfill(width)
    return text.rjust(width)


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    names = {bool: "bool", int: "int", float: "float64", str: "string", list: "[]interface {}", type(None): "<nil>"}
    return names.get(type(value), "string")
