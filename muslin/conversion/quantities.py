"""Kubernetes' quantities as whole numbers: `10M`, `1.5Gi`, `500m`, `1e3`.

Source: k8s.io/apimachinery `pkg/api/resource`.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Final

__all__ = ["quantity"]

_FORM: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,4})|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_LARGEST: Final = 2**63 - 1
_LONGEST: Final = 128


def quantity(text: str) -> int:
    """The number, rounded away from zero to a whole one; beyond 64 bits the largest there is.

    Raises:
        ValueError: it is no quantity.
    """
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST and text.isascii() else None
    if found is None:
        raise ValueError(f"{text!r} is not a quantity such as 10M")
    digits, exponent, suffix = found[1], found[2], found[3] or ""
    with localcontext() as context:
        context.prec = 200
        number = Decimal(digits)
        if number and suffix in _BINARY:
            number *= 2 ** _BINARY[suffix]
        elif number:
            number = number.scaleb(max(-99, min(99, int(exponent[1:]) if exponent else _DECIMAL[suffix])))
        whole = int(abs(number).to_integral_value(ROUND_CEILING))
    return min(whole, _LARGEST) * (-1 if number < 0 else 1)
