"""Names of policies: those that releases up to 3.28 wrote with a prefix, and those that stand for another kind.

Source: calico.md section 1a.
"""

from __future__ import annotations

from typing import Final

__all__ = ["KUBERNETES_PREFIX", "names_of_policy", "shown_name", "stored_name_of_kubernetes_policy"]

KUBERNETES_PREFIX: Final = "knp.default."
"""How the name of a Kubernetes policy begins where it is kept as a NetworkPolicy, in etcd."""

_OLD_PREFIX = "default."


def shown_name(stored: str, tier: str) -> str:
    """The name of a policy whose own is not recorded: in the tier `default` an old writer put that before it."""
    return stored.removeprefix(_OLD_PREFIX) if tier in ("", "default") and stored != _OLD_PREFIX else stored


def names_of_policy(name: str) -> tuple[str, ...]:
    """Names under which a policy may be stored: its own, then the one that old releases gave it."""
    return (name,) if name.startswith(_OLD_PREFIX) else (name, _OLD_PREFIX + name)


def stored_name_of_kubernetes_policy(name: str) -> str:
    """The name in etcd of a Kubernetes NetworkPolicy's conversion."""
    return KUBERNETES_PREFIX + name
