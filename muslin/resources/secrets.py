"""References to secrets; a secret's value never stands in a resource."""

from __future__ import annotations

from muslin.resources.fields import Bool, Text
from muslin.resources.part import Part

__all__ = ["PasswordSource", "SecretKeyReference"]


class SecretKeyReference(Part):
    """A key of a Secret in the namespace of the node's own pod."""

    name: Text = ""
    key: Text
    optional: Bool | None = None


class PasswordSource(Part):
    """Where a password comes from."""

    secret_key_ref: SecretKeyReference | None = None
