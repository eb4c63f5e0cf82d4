"""YAML as Kubernetes understands it: text to JSON-like values with the place of each, and back.

One meaning for every file that people or programs write, the one `kubectl` gives it; hostile text is refused with its
place before anything is built from it. Writing is `muslin.yaml.write`; changing a text that people wrote is
`muslin.yaml.edit`, kept apart because its library loads slowly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muslin.yaml.limits import Limits
    from muslin.yaml.places import Places, field_path
    from muslin.yaml.read import Document, load

__all__ = ["Document", "Limits", "Places", "field_path", "load"]

_FROM = {"Document": "read", "Limits": "limits", "Places": "places", "field_path": "places", "load": "read"}


def __getattr__(name: str) -> Any:
    """What reads is loaded by whoever reads: whoever only writes a text does without it."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"muslin.yaml.{_FROM[name]}"), name)
    return found
