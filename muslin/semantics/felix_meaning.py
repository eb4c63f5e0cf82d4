"""What several settings mean together: contradictions among them, and what is read out of them."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from muslin.errors import Problem
from muslin.semantics.felix_sources import Settings, Source

__all__ = [
    "ClusterRoutes", "contradictions", "felix_programs", "is_openstack", "kubernetes_provider", "route_tables",
]  # fmt: skip

_TYPHA_FILES: Final = ("TyphaKeyFile", "TyphaCertFile", "TyphaCAFile")
_TYPHA_NAMES: Final = ("TyphaCN", "TyphaURISAN")
_METADATA_DEFAULTS: Final = ("127.0.0.1", 8775)
_PROVIDERS: Final = {
    "eks": "EKS", "ecs": "EKS", "gke": "GKE", "aks": "AKS", "openshift": "OpenShift",
    "dockerenterprise": "DockerEnterprise",
}  # fmt: skip


class ClusterRoutes(enum.Enum):
    """Ways between nodes that somebody writes into the kernel."""

    IPIP = "IPIP"
    NO_ENCAPSULATION = "NoEncap"


def contradictions(settings: Settings) -> Iterator[Problem]:
    """Settings that cannot stand together; the reference's agent does not start with them."""
    if not settings["FelixHostname"]:
        yield Problem("the node has no name", "environment  FELIX_FELIXHOSTNAME", "set it, or the machine's host name")
    if settings["DatastoreType"] == "etcdv3" and not settings["EtcdEndpoints"]:
        for name in ("EtcdScheme", "EtcdAddr"):
            if not settings[name]:
                what = f"both EtcdEndpoints and {name} are missing"
                yield Problem(what, f"environment  FELIX_{name.upper()}", "set EtcdEndpoints")
    files, names = ([settings[name] for name in group] for group in (_TYPHA_FILES, _TYPHA_NAMES))
    if any((*files, *names)) and not (all(files) and any(names)):
        what = (
            "if any Felix-Typha TLS config parameters are specified, they _all_ must be - except that either TyphaCN "
            "or TyphaURISAN may be left unset"
        )
        missing = [name for name in (*_TYPHA_FILES, *_TYPHA_NAMES) if not settings[name]]
        yield Problem(what, f"environment  {', '.join(f'FELIX_{name.upper()}' for name in missing)}", "set them")


def is_openstack(settings: Settings) -> bool:
    """Whether the cluster is OpenStack's: it says so, or something is set that only OpenStack needs."""
    address, port = settings["MetadataAddr"], settings["MetadataPort"]
    return (
        "openstack" in settings["ClusterType"].lower()
        or address not in {"", _METADATA_DEFAULTS[0]}
        or port not in {0, _METADATA_DEFAULTS[1]}
        or "tap" in settings["InterfacePrefix"].split(",")
    )


def kubernetes_provider(settings: Settings) -> str:
    """Who runs the Kubernetes that the cluster's type names first, empty where it is nobody known."""
    words = settings["ClusterType"].lower().split(",")
    return next((_PROVIDERS.get(word, "") for word in words if word in _PROVIDERS or not word), "")


def felix_programs(settings: Settings) -> frozenset[ClusterRoutes]:
    """Ways between nodes that the agent writes; the BGP speaker writes the others. VXLAN's are always the agent's."""
    match settings["ProgramClusterRoutes"]:
        case "Enabled":
            return frozenset(ClusterRoutes)
        case "EnabledIPIPOnly":
            return frozenset({ClusterRoutes.IPIP})
        case "EnabledNoEncapOnly":
            return frozenset({ClusterRoutes.NO_ENCAPSULATION})
        case _:
            return frozenset()


def route_tables(settings: Settings) -> tuple[tuple[int, int], ...]:
    """Ranges of routing tables that the agent may take, both ends included; the newer setting counts before the older.

    Tables 253 to 255 are the kernel's own, whatever a range says.
    """
    if settings["RouteTableRanges"]:
        return tuple(settings["RouteTableRanges"])
    if settings.setting("RouteTableRange").source is not Source.DEFAULT and settings["RouteTableRange"] != (0, 0):
        return (settings["RouteTableRange"],)
    return ((1, 250),)
