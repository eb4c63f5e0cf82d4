"""What a lab's datastore holds before anything runs: the Profiles that Kubernetes would give, and the basics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.protocol import AlreadyExists
from muslin.lab.topology import POD_NAMESPACES
from muslin.resources.keys import Key

__all__ = ["profile", "seed"]


def profile(namespace: str) -> dict[str, Any]:
    """The Profile of a namespace as Calico makes it from a Kubernetes Namespace: its label, and all traffic allowed."""
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Profile",
        "metadata": {"name": f"kns.{namespace}"},
        "spec": {
            "ingress": [{"action": "Allow"}],
            "egress": [{"action": "Allow"}],
            "labelsToApply": {"pcns.projectcalico.org/name": namespace},
        },
    }


async def seed(path: Path, namespaces: Iterable[str] = POD_NAMESPACES) -> None:
    """Write the Profiles and initialise the datastore. What is there already stays."""
    datastore = EmbeddedDatastore.open(path)
    try:
        await ensure_initialized(datastore)
        for namespace in namespaces:
            value = profile(namespace)
            try:
                await datastore.create(Key("Profile", value["metadata"]["name"]), value)
            except AlreadyExists:
                continue
    finally:
        await datastore.close()
