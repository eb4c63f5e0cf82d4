"""The UID of a `projectcalico.org/v3` object from that of the `crd.projectcalico.org/v1` object behind it, and back.

Source: calico.md section 1a. Both objects exist in the same API; garbage collection wants their UIDs to differ.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["convert_uid"]

_FORMS: Final = re.compile(
    r"(?P<plain>[0-9a-f]{32})|(?:urn:uuid:)?(?P<dashed>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|\{(?P<braced>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\}",
    re.IGNORECASE,
)
_KEPT: Final = (6, 8)
"""Octets that say version and variant of a UUID."""
_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def convert_uid(uid: str) -> str:
    """The other UID: the bits of every octet reversed except those of version and variant; its own inverse.

    Raises:
        ValueError: it is no UUID.
    """
    found = _FORMS.fullmatch(uid)
    if found is None:
        raise ValueError(f"{uid!r} is not a UID such as 0bd4b3a4-1e1e-4b0e-9c5f-2c6f5a3e8d11")
    octets = bytes.fromhex((found["plain"] or found["dashed"] or found["braced"]).replace("-", ""))
    digits = bytes(octet if i in _KEPT else _REVERSED[octet] for i, octet in enumerate(octets)).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
