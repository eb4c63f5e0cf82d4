"""Python's own writer of JSON, without what it makes anew for each value: for a small one that is most of the work."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["JsonWriter"]


class JsonWriter(json.JSONEncoder):
    """Compact; refuses NaN, infinities and circles with ValueError, other objects of Python with TypeError.

    Args:
        ensure_ascii: escape what is not ASCII.
    """

    def __init__(self, *, ensure_ascii: bool) -> None:
        super().__init__(ensure_ascii=ensure_ascii, separators=(",", ":"), allow_nan=False)
        self._within: dict[int, Any] = {}
        make = getattr(json.encoder, "c_make_encoder", None)
        text = json.encoder.encode_basestring_ascii if ensure_ascii else json.encoder.encode_basestring
        self._pieces = make and make(self._within, self.default, text, None, ":", ",", False, False, False)

    def encode(self, o: Any) -> str:
        """See `json.JSONEncoder`."""
        if self._pieces is None:  # an interpreter without it
            return super().encode(o)
        try:
            return "".join(self._pieces(o, 0))
        except BaseException:
            self._within.clear()  # what it was inside of must not look like a circle the next time
            raise
