"""YAML as Kubernetes understands it: text to JSON-like values with the place of each, and back.

One meaning for every file that people or programs write, the one `kubectl` gives it; hostile text is refused with its
place before anything is built from it. Writing is `muslin.yaml.write`; changing a text that people wrote is
`muslin.yaml.edit`, kept apart because its library loads slowly.
"""

from muslin.yaml.limits import Limits
from muslin.yaml.places import Places, field_path
from muslin.yaml.read import Document, load

__all__ = ["Document", "Limits", "Places", "field_path", "load"]
